// When a failed task is tried again. Pure: the caller brings the random bits.
#pragma once

#include "base/time.h"

#include <cstdint>

namespace hr::task {

struct RetryPolicy {
  std::uint32_t retries = 5;  // further attempts after the first
  Duration backoff = 1s;      // the first delay at most; doubles with each failure
  Duration backoff_cap = 600s;

  bool operator==(const RetryPolicy&) const = default;
};

inline constexpr Duration kDelayMax = 900s;  // what is later needs more than a visibility timeout
inline constexpr std::uint32_t kCrashesMax = 3;

// After `failures` failed attempts (1 or more): uniform from 0 to backoff x 2^(failures - 1), capped ("full
// jitter"). `random` is 64 uniform bits.
Duration retry_delay(const RetryPolicy& policy, std::uint32_t failures, std::uint64_t random);

// The bound that the delay above is drawn under.
Duration retry_bound(const RetryPolicy& policy, std::uint32_t failures);

}  // namespace hr::task
