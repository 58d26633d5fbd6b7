// Stores of objects with one bug each, planted on purpose: a simulation that does not find them all proves
// nothing.
#pragma once

#include "object_run.h"

#include <string>
#include <vector>

namespace hr::sim {

struct ObjectPlant {
  std::string name;
  MakeObjectSubject make;
};

std::vector<ObjectPlant> object_plants();

}  // namespace hr::sim
