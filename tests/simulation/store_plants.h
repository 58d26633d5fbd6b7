// Planted bugs of the whole store: parts that break one promise each, for the simulator to find.
#pragma once

#include "store_world.h"

#include <string>
#include <vector>

namespace hr::sim {

struct StorePlant {
  std::string name;
  StoreParts parts;
};

std::vector<StorePlant> store_plants();

}  // namespace hr::sim
