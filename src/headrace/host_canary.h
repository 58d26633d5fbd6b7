// Whether a host works, asked hop by hop rather than believed: units, nginx on its port, the API behind its
// socket, a log record that arrives in its file. Blocks. What goes through all of it:
// headrace/doctor_canary.h.
#pragma once

#include "base/result.h"
#include "host/machine.h"
#include "host/tools.h"
#include "host/tree.h"
#include "os/clock.h"

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace hr {

struct Hop {
  std::string name;      // "nginx answers on port 80"
  std::string wrong;     // "" where it works; else what was seen
  std::string mend;      // the command to look with, or that mends it
  std::string why = {};  // what comes of it
};

// Every hop, once, now.
std::vector<Hop> ask_hops(const host::Machine& machine, const host::Tree& tree, host::Tools& tools,
                          const os::Clock& clock);

// Whether one of the last lines (4 MiB) of a file of the log folder has all of these.
bool logged(const host::Tree& tree, std::string_view file, std::initializer_list<std::string_view> parts);

}  // namespace hr
