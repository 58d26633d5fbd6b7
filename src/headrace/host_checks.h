// What each program of the host says about the files made for it, before one of them is used. Blocks.
#pragma once

#include "base/result.h"
#include "headrace/host_ground.h"

#include <string>
#include <vector>

namespace hr {

struct Finding {
  std::string check, says;
  bool absent = false;  // its program is not installed, or needs root
};

// In a folder of its own, gone afterwards.
Result<std::vector<Finding>> run_checks(const HostGround& ground);

// Whether the host may get these files. A folder that stands for one need not have the programs.
bool acceptable(const HostGround& ground, const std::vector<Finding>& findings);

void print_findings(const std::vector<Finding>& findings);

// The port somebody may be connected through must stay open: the firewall would lock them out. kInvalid.
Status check_ssh(const HostGround& ground);

}  // namespace hr
