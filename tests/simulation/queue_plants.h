// Queue engines with one bug each, planted on purpose: a simulation that does not find them all proves
// nothing.
#pragma once

#include "queue_run.h"

#include <string>
#include <vector>

namespace hr::sim {

struct QueuePlant {
  std::string name;
  MakeSubject make;
};

std::vector<QueuePlant> queue_plants();

}  // namespace hr::sim
