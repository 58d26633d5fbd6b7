// What `headrace doctor` and `headrace host apply` send through a host: a request over TLS through nginx to
// an application worker, and a job through the queue to a worker's child and back as an object. Blocks; every
// wait has an end.
#pragma once

#include "headrace/host_canary.h"
#include "headrace/host_ground.h"

#include <vector>

namespace hr {

// For doctor: and what the logs must say of both.
std::vector<Hop> send_canaries(const HostGround& ground);

// How long ask_until_it_works() takes at most.
Duration canary_patience(const host::Machine& machine);

// After a change: every hop, again until all of them work or a unit has failed for good, for at most a minute
// beyond the longest time that a unit may take to stop, and another until an application worker answers; then
// one job through each pool. The last answers. Of a job that takes longer than 30 s, standard error is told,
// no more: its queue may be long, or paused.
std::vector<Hop> ask_until_it_works(const HostGround& ground);

}  // namespace hr
