// What FIFO queues remember for five minutes: which deduplication ids were sent, and which messages a receive
// attempt was given. Both follow from the records and their times; what is older than the window counts as
// forgotten from that moment on, and is taken out of memory a few entries at a time.
#pragma once

#include "base/time.h"
#include "base/uuid.h"
#include "queue/queue.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

namespace hr::queue {

inline constexpr Duration kWindow = 300s;

// Values by (queue, fingerprint), in the order of their times.
template <class Value>
class Memory {
 public:
  struct Entry {
    Time at;
    Value value;
  };

  // Null: never there, or older than the window.
  Entry* find(QueueId queue, const Fingerprint& print, Time now) {
    const auto it = entries_.find({queue, print});
    return it == entries_.end() || it->second.at + kWindow <= now ? nullptr : &it->second;
  }
  // In place of what is there. `at` is never before that of an entry put earlier.
  Entry& put(QueueId queue, const Fingerprint& print, Time at, Value value) {
    Entry& entry = entries_[{queue, print}];
    entry = {at, std::move(value)};
    order_.push_back({at, {queue, print}});
    return entry;
  }
  // Takes out up to `at_most` entries that are past the window.
  void forget(Time now, std::size_t at_most) {
    while (at_most > 0 && !order_.empty() && order_.front().at + kWindow <= now) {
      drop_first();
      --at_most;
    }
  }
  // The oldest one goes, whatever its age.
  void drop_first() {
    ++dropped_;
    const auto it = entries_.find(order_.front().key);
    // Put again since then: the later place in the order is the one that counts.
    if (it != entries_.end() && it->second.at == order_.front().at) entries_.erase(it);
    order_.pop_front();
  }
  std::size_t size() const { return order_.size(); }
  using value_type = Value;

  // For a capture: every place in the order has a number that never changes, [first(), end()).
  std::uint64_t first() const { return dropped_; }
  std::uint64_t end() const { return dropped_ + order_.size(); }
  // f(at, queue, fingerprint, value): null where the key was put again later.
  template <class F>
  void at(std::uint64_t number, F&& f) const {
    const Place& place = order_[number - dropped_];
    const auto it = entries_.find(place.key);
    const bool current = it != entries_.end() && it->second.at == place.at;
    f(place.at, place.key.first, place.key.second, current ? &it->second.value : nullptr);
  }
  // Loads a place whose value is null there.
  void put_place(QueueId queue, const Fingerprint& print, Time at) { order_.push_back({at, {queue, print}}); }

  // f(queue, fingerprint, entry) for each that is within the window, in the order of their times.
  template <class F>
  void each(Time now, F&& f) const {
    for (const auto& place : order_) {
      const auto it = entries_.find(place.key);
      if (it == entries_.end() || it->second.at != place.at || place.at + kWindow <= now) continue;
      f(place.key.first, place.key.second, it->second);
    }
  }

 private:
  using Key = std::pair<QueueId, Fingerprint>;
  struct Hash {
    std::size_t operator()(const Key& key) const noexcept {
      std::uint64_t h = 0;
      std::memcpy(&h, key.second.bytes.data(),
                  sizeof h);  // cut from a digest: spread already
      return static_cast<std::size_t>(h ^ (static_cast<std::uint64_t>(key.first) * 0x9E3779B97F4A7C15));
    }
  };
  struct Place {
    Time at;
    Key key;
  };

  std::unordered_map<Key, Entry, Hash> entries_;  // looked up, never walked
  std::deque<Place> order_;
  std::uint64_t dropped_ = 0;
};

struct Original {  // of a message sent again
  Seq seq{};
  Uuid id;
};

struct Handed {  // a message that a receive attempt was given
  Seq seq{};
  std::uint32_t receive = 0;
  Time visible_at;
};

using Originals = Memory<Original>;
using Attempts = Memory<std::vector<Handed>>;

}  // namespace hr::queue
