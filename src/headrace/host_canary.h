// Whether a host that was just changed works, asked through every hop rather than believed: units, nginx on
// its port, the API behind its socket, a log record that arrives in its file. Blocks.
#pragma once

#include "base/result.h"
#include "host/machine.h"
#include "host/tools.h"
#include "host/tree.h"
#include "os/clock.h"

#include <string>
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

// How long canary() waits at most.
Duration canary_patience(const host::Machine& machine);

// Again until all of them work or a unit has failed for good, for at most a minute beyond the longest time
// that a unit may take to stop; the last answers.
std::vector<Hop> canary(const host::Machine& machine, const host::Tree& tree, host::Tools& tools,
                        const os::Clock& clock);

}  // namespace hr
