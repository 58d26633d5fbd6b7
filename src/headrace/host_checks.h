// What each program of the host says about the files made for it, before one of them is used. Blocks.
#pragma once

#include "base/result.h"
#include "headrace/host_ground.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hr {

struct Finding {
  std::string check, says;
  bool absent = false;  // its program is not installed, or needs root
};

// In a folder of its own, gone afterwards. And whether the firewall would close a port that sshd listens on,
// or that who asks is connected through.
Result<std::vector<Finding>> run_checks(const HostGround& ground);

// Whether the host may get these files. A folder that stands for one need not have the programs.
bool acceptable(const HostGround& ground, const std::vector<Finding>& findings);

void print_findings(const std::vector<Finding>& findings);

// The site's certificate, or its key, as nginx finds it: one that somebody named may be reached through
// links.
Result<std::optional<host::Seen>> read_certificate(const HostGround& ground, std::string_view path);

}  // namespace hr
