// What every command about a host begins with: the configuration, what the host has, the machine and its
// files as they should be, the host's files as they are, and the tools. Made once; owned by the command.
#pragma once

#include "base/result.h"
#include "host/checks.h"
#include "host/facts.h"
#include "host/machine.h"
#include "host/render/file.h"
#include "host/tools.h"
#include "host/tree.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "os/process.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace hr {

struct HostFlags {
  std::string config_file;
  std::string root = "/";
  bool json = false;
};

void add_host_flags(CLI::App& line, HostFlags& flags);

struct HostGround {
  bool live() const { return tree->root() == "/"; }  // the host itself, not a folder that stands for one

  std::unique_ptr<os::Processes> processes;
  std::unique_ptr<os::Clock> clock;
  std::unique_ptr<os::Entropy> entropy;
  std::unique_ptr<host::Tools> tools;
  std::optional<host::Tree> tree;
  host::Machine machine;
  std::vector<host::File> files;
};

// kInvalid, kNotFound: the configuration; kPermission, kIo: the host's files.
Result<HostGround> host_ground(const HostFlags& flags);

}  // namespace hr
