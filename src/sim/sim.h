// A clock that moves only when told, and randomness that repeats.
#pragma once

#include "base/time.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "sim/random.h"

#include <algorithm>
#include <mutex>

namespace hr::sim {

// Thread-safe. Like the real one, setting the wall clock does not move now().
class SimClock final : public os::Clock {
 public:
  explicit SimClock(Time start = from_ms(1'700'000'000'000)) : now_(start), wall_(start) {}

  Time now() const override {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  Time wall() const override {
    const std::lock_guard lock(mutex_);
    return wall_;
  }
  Nanos boottime() const override {
    const std::lock_guard lock(mutex_);
    return boottime_;
  }

  void advance(Duration by) {
    const std::lock_guard lock(mutex_);
    now_ += by;
    wall_ += by;
    boottime_ += by;
  }
  // Forward only: now() and everything with it.
  void advance_to(Time to) {
    const Time from = now();
    if (to > from) advance(to - from);
  }
  void set_wall(Time to) {
    const std::lock_guard lock(mutex_);
    wall_ = to;
  }
  // As a store's clock begins (os::make_clock): at the wall time, never below what was logged.
  void begin_again(Time floor) {
    const std::lock_guard lock(mutex_);
    now_ = std::max(wall_, floor);
  }

 private:
  mutable std::mutex mutex_;
  Time now_;
  Time wall_;
  Nanos boottime_{0};
};

// Thread-safe; repeatable only where the order of the calls is.
class SimEntropy final : public os::Entropy {
 public:
  explicit SimEntropy(std::uint64_t seed) : random_(seed) {}

  void fill(std::span<std::uint8_t> out) override {
    const std::lock_guard lock(mutex_);
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < out.size(); ++i, word >>= 8) {
      if (i % 8 == 0) word = random_.u64();
      out[i] = static_cast<std::uint8_t>(word);
    }
  }

 private:
  std::mutex mutex_;
  Random random_;
};

}  // namespace hr::sim
