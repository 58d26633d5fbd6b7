#include "base/check.h"
#include "os/linux/linux.h"

#include <algorithm>
#include <time.h>

namespace hr::os {
namespace {

Nanos read(clockid_t id) {
  timespec t{};
  HR_CHECK(clock_gettime(id, &t) == 0);
  return std::chrono::seconds(t.tv_sec) + Nanos(t.tv_nsec);
}

Time wall_now() { return Time(std::chrono::floor<Duration>(read(CLOCK_REALTIME))); }

class StoreClock final : public Clock {
 public:
  explicit StoreClock(Time floor) : start_(std::max(wall_now(), floor)), start_boottime_(boottime()) {}

  Time now() const override { return start_ + std::chrono::floor<Duration>(boottime() - start_boottime_); }
  Time wall() const override { return wall_now(); }
  Nanos boottime() const override { return read(CLOCK_BOOTTIME); }

 private:
  const Time start_;
  const Nanos start_boottime_;
};

}  // namespace

std::unique_ptr<Clock> make_clock(Time floor) { return std::make_unique<StoreClock>(floor); }

}  // namespace hr::os
