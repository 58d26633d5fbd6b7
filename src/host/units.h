// systemd's units, as somebody can tell them who asks its manager directly. An interface: the real one speaks
// D-Bus (headrace/bus_units.h).
#pragma once

#include "base/result.h"

#include <map>
#include <string>
#include <vector>

namespace hr::host {

struct UnitSeen {
  bool active = false;
  std::string state = {};  // "active", "failed", ...
  std::string pid = {};
  bool operator==(const UnitSeen&) const = default;
};
using UnitsSeen = std::map<std::string, UnitSeen>;

class Units {
 public:
  virtual ~Units() = default;
  // Those of these names, also such as are not loaded, and every loaded one of these patterns
  // ("headrace-*.service"). kUnavailable: the manager does not answer.
  virtual Result<UnitsSeen> units(std::vector<std::string> names, std::vector<std::string> patterns) = 0;
};

}  // namespace hr::host
