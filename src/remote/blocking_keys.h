// The credentials of threads that may wait: whoever finds that it is time to search does so itself, while the
// others go on with what there is. Thread-safe; not safe to use after a fork that it did not see.
#pragma once

#include "remote/key_keeper.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <random>

namespace hr::remote {

class BlockingKeys {
 public:
  using Search = std::function<Result<Keys>()>;  // blocks

  BlockingKeys(Search search, std::uint32_t seed) : search_(std::move(search)), random_(seed) {}

  // The search's error where there are none, kTimeout.
  Result<codec::Credentials> get(Time now, std::chrono::steady_clock::time_point deadline);
  void refused(const codec::Credentials& credentials, Time now);
  void clock_moved(Time now);

 private:
  void search(std::unique_lock<std::mutex>& lock, Time now);

  const Search search_;
  std::mutex mutex_;
  std::condition_variable ended_;
  KeyKeeper keeper_;
  std::minstd_rand random_;  // of jitter
};

}  // namespace hr::remote
