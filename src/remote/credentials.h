// The search for credentials on Amazon, in the order of AWS's own tools: environment, web identity, the
// profile (assumed roles, static keys, a process), the container's agent, the instance's metadata. Pure but
// for what it asks of `Outside`. A place where nothing is configured is passed by; one that is and fails ends
// the search: its error names what was tried. No error holds a secret, a token or what a file says.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "codec/sigv4.h"
#include "remote/aws_settings.h"
#include "remote/outside.h"

#include <optional>
#include <string>

namespace hr::remote {

struct Keys {
  codec::Credentials credentials;
  std::optional<Time> expires;  // none: they are not known to
  std::string source;           // "environment", "instance metadata", ...: for people
  bool outlive = false;         // may be used past `expires` while no newer ones are to be had

  bool operator==(const Keys&) const = default;
};

inline constexpr int kProfilesMax = 8;  // roles assumed through one another

// kNotFound: none is configured anywhere; kPermission: a service refuses to give them; kUnavailable,
// kInvalid, kUnsupported: as the message says.
Result<Keys> find_keys(Outside& outside, const AwsSettings& settings);

}  // namespace hr::remote
