// What a pool does beside its messages, for the whole application, in its bucket: looks every 2 s at what
// people have asked for (`control` and `cancel/`), sends what was put under `later/` when its time is near,
// ends what was cancelled there, and removes what nobody asks for any more: results past their lifetime,
// marks and arguments of jobs that are long over. Owned by the worker; used on the reactor only. What fails
// is tried again at the next look; what was known before stays so.
#pragma once

#include "base/log.h"
#include "net/runtime.h"
#include "os/entropy.h"
#include "remote/s3.h"
#include "remote/services.h"
#include "remote/sqs.h"
#include "task/documents.h"
#include "task/envelope.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace hr::worker {

inline constexpr std::size_t kCancelledMax = 10'000;  // jobs at a time; more wait until those have ended

inline constexpr Duration kCancelsKept = std::chrono::hours(24 * 15);  // no message is kept longer
// Marks and arguments, since they were written last: a dead letter is kept for 14 days, and may then be sent
// again and wait for 14 more.
inline constexpr Duration kSpentKept = std::chrono::hours(24 * 30);

// Whether it is time to send what has that key: it is due within what SQS itself delays. Pure.
bool is_near(ByteView later_key, Time now);

// The queues that `control` says are paused; "*" stands for all. Pure. kInvalid.
Result<std::set<Bytes>> read_paused(ByteView control);

class Caretaker {
 public:
  struct Hears {
    std::function<void(std::set<Bytes> queues)> paused;
    std::function<void(std::set<Bytes> jobs)> cancelled;
  };
  struct Parts {
    net::Runtime& runtime;
    remote::Sqs& sqs;
    remote::S3& s3;
    const remote::Services& services;  // whose clock counts
    os::Entropy& entropy;
    LogSink& log;
  };
  // `name`: no other worker's. Results are kept so long; 0: for ever.
  Caretaker(Parts parts, Bytes bucket, Bytes name, Duration results_kept, Hears hears);

  // These do not end.
  net::Task<void> watch();
  net::Task<void> send_later();
  net::Task<void> sweep();
  net::Task<void> look();  // now

  // Whether the bucket honours conditional writes, as it has shown. Until then two workers that want to send
  // the same thing look which of them was the last to say so.
  void trust_conditions(bool honoured) { conditions_ = honoured; }

 private:
  net::Task<void> look_at_control();
  net::Task<void> look_at_cancelled();
  struct Row;  // keys under later/, for several to take from

  net::Task<std::size_t> send_due();
  net::Task<void> take_all(std::vector<Bytes> keys);
  net::Task<void> take_some(std::shared_ptr<Row> row);
  net::Task<bool> take_one(Bytes key);
  net::Task<bool> claim(Bytes key, Bytes etag, task::Later later);
  net::Task<bool> claim_stood(Bytes key, std::int64_t claimed);
  net::Task<bool> send(Bytes key, task::Later later, std::optional<task::Envelope> call);
  net::Task<bool> tell_cancelled(task::Envelope call, Bytes queue);

  // caretaker_sweep.cc
  using Jobs = std::set<Bytes>;
  net::Task<void> sweep_results();
  net::Task<void> sweep_cancels();
  net::Task<void> sweep_spent();
  net::Task<std::optional<Jobs>> older(Bytes prefix, Duration kept);
  net::Task<std::optional<std::vector<Bytes>>> waiting(Jobs jobs);
  net::Task<bool> marked_lately(Bytes job);
  net::Task<std::size_t> remove(Bytes prefix, Jobs jobs);
  net::Task<void> pause(Duration time);

  net::Runtime& runtime_;
  remote::Sqs& sqs_;
  remote::S3& s3_;
  const remote::Services& services_;
  os::Entropy& entropy_;
  hr::Log log_;
  const Bytes bucket_, name_;
  const Duration results_kept_;
  Hears hears_;
  std::set<Bytes> cancelled_;
  bool conditions_ = false;
  net::Gate gate_;
};

}  // namespace hr::worker
