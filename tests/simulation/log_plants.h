// Wrong logs: each leaves out one thing that the log does, by a part put below, above or into it. A
// simulation that does not find all of them would not find a real mistake either.
#pragma once

#include "log_run.h"

#include <string>
#include <vector>

namespace hr::sim {

struct LogPlant {
  std::string name;
  LogSubject subject;
};

std::vector<LogPlant> log_plants();

}  // namespace hr::sim
