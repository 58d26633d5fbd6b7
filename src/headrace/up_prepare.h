// Everything that must be right before `headrace up` starts its first role: state folder, ports, nginx and
// its configuration, certificate, sockets. Each failure is one sentence with its mend, and an exit code.
#pragma once

#include "codec/config.h"
#include "headrace/up_role.h"
#include "headrace/up_state.h"
#include "host/topology.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "os/linux/fd.h"
#include "os/process.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hr {

struct UpFlags {
  std::string config_file, state, http, https, ready_file;
};

// What stands once everything is prepared.
struct UpGround {
  Config config;
  host::Place place;
  std::optional<StateFolder> lock;
  std::vector<UpRole> roles;
};

struct UpRefusal {
  int exit_code = 0;
  std::string sentence;
};

std::expected<UpGround, UpRefusal> prepare_up(const UpFlags& flags, os::Processes& processes,
                                              const os::Clock& clock, os::Entropy& entropy);

}  // namespace hr
