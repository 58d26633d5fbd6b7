// What `headrace doctor` makes of what SQS and S3 said: queues that nobody empties, credentials that end,
// clocks that differ. Pure.
#pragma once

#include "codec/config.h"
#include "headrace/host_canary.h"
#include "headrace/host_services.h"

#include <vector>

namespace hr {

std::vector<Hop> service_hops(const Config& config, const ServicesSeen& seen, Time now);

}  // namespace hr
