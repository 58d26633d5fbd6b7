// The supervisor of `headrace up`: starts the roles of a topology with their sockets, hears what they say and
// print, reaps them, and does what supervise::Supervisor decides. Owns the listening sockets: a role that
// starts again refuses no connection. One thread, which waits in poll only.
#pragma once

#include "base/log.h"
#include "headrace/up_output.h"
#include "host/topology.h"
#include "os/clock.h"
#include "os/linux/fd.h"
#include "os/process.h"

#include <functional>
#include <string>
#include <vector>

namespace hr {

struct UpRole {
  host::Role role;
  std::vector<os::Fd> sockets;           // listening, one for each of role.sockets
  std::vector<std::string> environment;  // "NAME=value", without what the protocols add
};

struct UpParts {
  std::vector<UpRole> roles;
  std::string notify_path;  // of the socket made for READY=1
  os::Processes& processes;
  const os::Clock& clock;
  Console& console;
  hr::Log diary;
  std::function<void(const std::string& role)> ready;  // one role is
  std::function<void()> all_ready;                     // the first time that all are
};

// Until a signal has asked it to stop and everything is gone. An exit code (headrace/commands.h).
int run_up(UpParts parts);

}  // namespace hr
