// What `headrace doctor` sends through a host: a request over TLS through nginx to an application worker, and
// a job through the queue to a worker's child and back as an object; and what the logs must say of both.
// Blocks; every wait has an end.
#pragma once

#include "headrace/host_canary.h"
#include "headrace/host_ground.h"

#include <vector>

namespace hr {

std::vector<Hop> send_canaries(const HostGround& ground);

}  // namespace hr
