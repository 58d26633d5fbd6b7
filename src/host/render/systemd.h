// systemd's units for a host: a target, a slice, sockets that outlive their services, a service for each role
// (templates for web and worker), and drop-ins that bring the distribution's nginx, rsyslog and chrony into
// the same order and sandbox. Pure; `systemd-analyze verify` and `security` are asked about the result.
#pragma once

#include "host/machine.h"
#include "host/render/file.h"

#include <string>
#include <string_view>
#include <vector>

namespace hr::host {

std::vector<File> render_systemd(const Machine& machine);

// Every unit that belongs to Headrace alone, in starting order: what operators may start and stop.
std::vector<std::string> own_units(const Machine& machine);

// The unit whose being active means that `node` is ready.
std::string ready_unit(const Machine& machine, const Node& node);

}  // namespace hr::host
