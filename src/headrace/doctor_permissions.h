// Who can reach and who can change what a host is made of: every file that the configuration gives, keys,
// folders, sockets, logs. Looked at, never touched.
#pragma once

#include "headrace/host_canary.h"
#include "headrace/host_ground.h"

#include <vector>

namespace hr {

std::vector<Hop> permission_checks(const HostGround& ground);

}  // namespace hr
