// How a command that talks to the services finds them: what the command line says, else what `headrace up`
// put into the environment, else STATE/client.json beside the configuration file (an installed host's state
// is /var/lib/headrace), else [services] and [store] of that file; credentials at last from AWS_ACCESS_KEY_ID
// and its companions. Services of Amazon: from [services], else as AWS's own tools find them
// (remote/aws_settings.h). Where one of the two is ours and the other Amazon's, services.region is of
// Amazon's, and everything else that is said is of ours. headrace._settings does the same, but for an
// installed host.
#pragma once

#include "base/result.h"
#include "codec/config.h"
#include "remote/services.h"

#include <string>

namespace hr {

struct ClientFlags {
  std::string config_file;
  std::string endpoint;  // "http://ADDRESS:PORT" or "unix:/PATH"
  std::string keys;      // a keys.toml
};

struct ClientSettings {
  Config config;
  std::string state;     // the state folder, absolute; it may not exist
  std::string endpoint;  // of SQS, as above
  std::string keys;      // where the credentials came from; empty: the environment, or they are searched for
  std::string region;    // of the endpoint above all: ours, where one of the two is
  remote::ServicesSetup services;
  std::string told_endpoint;  // for HEADRACE_ENDPOINT of others; empty: Amazon's, which they find as we did
  bool aws = false;           // one of the two is Amazon's
};

// headrace.toml that HEADRACE_CONFIG names, else that of this folder or of the nearest one above; "" if none.
std::string locate_config();

// kNotFound: no configuration file, or no keys (the store was never started); kInvalid: what it, the
// environment or the profile says.
Result<ClientSettings> find_services(const ClientFlags& flags);

}  // namespace hr
