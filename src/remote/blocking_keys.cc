#include "remote/blocking_keys.h"

namespace hr::remote {

void BlockingKeys::search(std::unique_lock<std::mutex>& lock, Time now) {
  keeper_.search_began();
  lock.unlock();
  auto keys = search_();
  lock.lock();
  if (keys) {
    keeper_.found(std::move(*keys), now, random_());
  } else {
    keeper_.failed(std::move(keys).error(), now, random_());
  }
  ended_.notify_all();
}

Result<codec::Credentials> BlockingKeys::get(Time now, std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  if (keeper_.wants_search(now)) search(lock, now);
  const bool over = ended_.wait_until(lock, deadline,
                                      [&] { return keeper_.usable(now) != nullptr || !keeper_.searching(); });
  if (const Keys* keys = keeper_.usable(now)) return keys->credentials;
  if (!over) return fail(Errc::kTimeout, "credentials were not found in time");
  return std::unexpected(keeper_.error().value_or(Error{Errc::kUnavailable, "there are no credentials"}));
}

void BlockingKeys::refused(const codec::Credentials& credentials, Time now) {
  const std::scoped_lock lock(mutex_);
  keeper_.refused(credentials, now, random_());
}

void BlockingKeys::clock_moved(Time now) {
  const std::scoped_lock lock(mutex_);
  keeper_.clock_moved(now, random_());
}

}  // namespace hr::remote
