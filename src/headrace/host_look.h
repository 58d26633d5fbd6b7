// A host looked at through everything that knows it: systemd over D-Bus, other programs, and, where they were
// asked, the services' queues. Blocks; every wait has an end.
#pragma once

#include "headrace/host_ground.h"
#include "headrace/host_services.h"
#include "host/observe.h"

namespace hr {

host::Observation look_at_host(const HostGround& ground);

// Adds what the services said of queues; nothing where they did not answer: then they stay unknown.
void add_queues(host::Observation& out, const ServicesSeen& services, Time now);

}  // namespace hr
