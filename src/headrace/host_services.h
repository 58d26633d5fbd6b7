// What SQS and S3 say to this host: whether they take its keys and until when those are good, what its queues
// hold, how far their clocks are from its own. Asked as root: with the store's own keys on its own socket, or
// with those that are found for Amazon. Blocks; every wait has an end.
#pragma once

#include "headrace/client_settings.h"
#include "headrace/host_ground.h"
#include "headrace/queue_rows.h"
#include "remote/credentials.h"

#include <optional>
#include <string>
#include <vector>

namespace hr {

ClientFlags service_flags(const HostGround& ground);

struct ServiceSeen {
  std::string name, endpoint;   // "SQS"
  Result<Duration> ahead = {};  // this host's clock of the service's; 0: within what a Date can tell
};

struct ServicesSeen {
  Result<std::vector<QueueRow>> queues = {};
  std::vector<ServiceSeen> services = {};
  std::optional<Result<remote::Keys>> keys = {};  // none: nothing is Amazon's
};

ServicesSeen ask_services(const HostGround& ground);

// How far a clock that said `before` and `after` around an answer is ahead of the one that wrote its Date,
// which knows whole seconds only: the least that must be so. Pure.
Duration clock_ahead(Time before, Time after, Time date);

}  // namespace hr
