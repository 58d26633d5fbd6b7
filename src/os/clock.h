// The clock of the store: Unix time that never runs backwards (the wall time at start, never below the
// last logged time, advanced by CLOCK_BOOTTIME). A setting of the wall clock does not move it.
#pragma once

#include "base/time.h"

namespace hr::os {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;        // for deadlines and everything that is stored
  virtual Time wall() const = 0;       // the host's wall clock as it is: for signatures and Date headers
  virtual Nanos boottime() const = 0;  // counts suspended time too; for measuring
};

}  // namespace hr::os
