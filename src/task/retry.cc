#include "task/retry.h"

#include <algorithm>

namespace hr::task {

Duration retry_bound(const RetryPolicy& policy, std::uint32_t failures) {
  Duration bound = std::clamp<Duration>(policy.backoff, 0ms, policy.backoff_cap);
  for (std::uint32_t i = 1; i < failures && bound < policy.backoff_cap && bound > 0ms; ++i) {
    bound = bound > policy.backoff_cap / 2 ? policy.backoff_cap : bound * 2;
  }
  return std::max<Duration>(bound, 0ms);
}

Duration retry_delay(const RetryPolicy& policy, std::uint32_t failures, std::uint64_t random) {
  const Duration bound = retry_bound(policy, failures);
  return Duration(static_cast<std::int64_t>(random % (static_cast<std::uint64_t>(bound.count()) + 1)));
}

}  // namespace hr::task
