// How a command that talks to the services finds them: what the command line says, else what `headrace up`
// put into the environment, else STATE/client.json beside the configuration file, else [services] and [store]
// of that file; credentials at last from AWS_ACCESS_KEY_ID and its companions. headrace._settings does the
// same.
#pragma once

#include "base/result.h"
#include "codec/config.h"
#include "codec/sigv4.h"

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
  std::string endpoint;  // as above
  std::string keys;      // where the credentials came from; empty: AWS_ACCESS_KEY_ID and its companions
  codec::Credentials credentials;
  std::string region;
};

// headrace.toml that HEADRACE_CONFIG names, else that of this folder or of the nearest one above; "" if none.
std::string locate_config();

// kNotFound: no configuration file, or no keys (the store was never started); kUnsupported: [services] =
// "aws".
Result<ClientSettings> find_services(const ClientFlags& flags);

}  // namespace hr
