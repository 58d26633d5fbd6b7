// After files have changed: which commands make the host's programs use them, in order. Listening sockets
// stay open where their units did not change, so nothing is refused meanwhile. Pure; the caller runs them.
#pragma once

#include "host/apply.h"
#include "host/machine.h"

#include <string>
#include <string_view>
#include <vector>

namespace hr::host {

inline constexpr std::string_view kFirewallUnit = "headrace-firewall.service";

// `running`: of the instances of Headrace's templates and the firewall's unit, those that systemd knows; what
// the machine has no more is stopped. None of them may have been preceded by a daemon-reload.
std::vector<std::vector<std::string>> activation_of(const Machine& machine,
                                                    const std::vector<Change>& changes,
                                                    const std::vector<std::string>& running);

// What a host of no machine needs after a rollback to nothing: everything of Headrace stopped.
std::vector<std::vector<std::string>> deactivation();

}  // namespace hr::host
