// What AWS makes its callers wait for, and this store does only under store.strict_aws: 60 seconds between
// two purges of a queue, and between the deletion of a queue and the creation of another with its name. In
// memory: a restart forgets it. Bounded: the oldest go first. Source: API_PurgeQueue, API_DeleteQueue,
// API_CreateQueue.
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "queue/queue.h"
#include "sqs/names.h"

#include <cstddef>
#include <deque>
#include <utility>

namespace hr::sqs {

inline constexpr Duration kRecently = 60s;
inline constexpr std::size_t kRecentMax = 10'000;

class Recent {
 public:
  explicit Recent(bool strict) : strict_(strict) {}

  bool purged(queue::QueueId queue, Time now) { return has(purged_, queue, now); }
  bool deleted(const QueueName& queue, Time now) { return has(deleted_, queue, now); }
  void note_purge(queue::QueueId queue, Time now) { note(purged_, queue, now); }
  void note_deletion(const QueueName& queue, Time now) { note(deleted_, queue, now); }

 private:
  template <class What>
  using Times = std::deque<std::pair<Time, What>>;

  template <class What>
  static bool has(Times<What>& times, const What& what, Time now) {
    while (!times.empty() && times.front().first + kRecently <= now) times.pop_front();
    for (const auto& [at, one] : times) {
      if (one == what) return true;
    }
    return false;
  }
  template <class What>
  void note(Times<What>& times, const What& what, Time now) const {
    if (!strict_) return;
    if (times.size() >= kRecentMax) times.pop_front();
    times.emplace_back(now, what);
  }

  bool strict_;
  Times<queue::QueueId> purged_;
  Times<QueueName> deleted_;
};

}  // namespace hr::sqs
