// What a pool does beside its messages, for the whole application, in its bucket: looks every 2 s at what
// people have asked for (`control` and `cancel/`), sends what was put under `later/` when its time is near,
// and removes results past their lifetime. Owned by the worker; used on the reactor only. What fails is tried
// again at the next look; what was known before stays so.
#pragma once

#include "base/log.h"
#include "net/runtime.h"
#include "os/clock.h"
#include "remote/s3.h"
#include "remote/sqs.h"
#include "task/documents.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>

namespace hr::worker {

inline constexpr std::size_t kCancelledMax = 10'000;  // jobs at a time; more wait until those have ended

inline constexpr Duration kCancelsKept = std::chrono::hours(24 * 15);  // no message is kept longer

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
    const os::Clock& clock;
    LogSink& log;
  };
  // `name`: no other worker's. Results are kept so long; 0: for ever.
  Caretaker(Parts parts, Bytes bucket, Bytes name, Duration results_kept, Hears hears);

  // These do not end.
  net::Task<void> watch();
  net::Task<void> send_later();
  net::Task<void> sweep();
  net::Task<void> look();  // now

 private:
  net::Task<void> look_at_control();
  net::Task<void> look_at_cancelled();
  net::Task<void> send_due();
  net::Task<void> send_one(Bytes key);
  net::Task<bool> claim(Bytes key, Bytes etag, task::Later later);
  net::Task<bool> end_cancelled(const task::Later& later);
  net::Task<void> remove_old(Bytes prefix, Duration kept);
  net::Task<void> pause(Duration time);

  net::Runtime& runtime_;
  remote::Sqs& sqs_;
  remote::S3& s3_;
  const os::Clock& clock_;
  hr::Log log_;
  const Bytes bucket_, name_;
  const Duration results_kept_;
  Hears hears_;
  std::set<Bytes> cancelled_;
};

}  // namespace hr::worker
