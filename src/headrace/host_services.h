// What SQS and S3 say to this host: whether they take its keys, what its queues hold, how far their clocks
// are from its own. Asked as root: with the store's own keys on its own socket, or with those that root finds
// for Amazon. And whether each user of the roles finds keys for Amazon, and until when those are good: looked
// up as that user, in the environment of its unit. Blocks; every wait has an end.
#pragma once

#include "headrace/client_settings.h"
#include "headrace/host_ground.h"
#include "headrace/queue_rows.h"
#include "remote/credentials.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hr {

ClientFlags service_flags(const HostGround& ground);

struct ServiceSeen {
  std::string name, endpoint;   // "SQS"
  Result<Duration> ahead = {};  // this host's clock of the service's; 0: within what a Date can tell
};

// What one user finds for Amazon. No secret is part of it.
struct KeysSeen {
  std::string user, source = {};     // "headrace-app", "instance metadata"
  std::optional<Time> expires = {};  // none: nothing says
  bool temporary = false;
  std::string error = {};  // empty: there are keys
};

struct ServicesSeen {
  Result<std::vector<QueueRow>> queues = {};
  std::vector<ServiceSeen> services = {};
  std::vector<KeysSeen> keys = {};  // none: nothing is Amazon's
};

ServicesSeen ask_services(const HostGround& ground);

// One line of JSON that says where keys for Amazon were found and until when they are good, and back; an
// error is one sentence. Pure.
std::string found_keys_text(const remote::Keys& keys);
KeysSeen parse_found_keys(std::string user, int code, std::string_view said);

// How far a clock that said `before` and `after` around an answer is ahead of the one that wrote its Date,
// which knows whole seconds only: the least that must be so. Pure.
Duration clock_ahead(Time before, Time after, Time date);

}  // namespace hr
