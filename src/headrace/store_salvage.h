// `headrace store scrub` and `headrace store salvage`: what a running store knows of damaged bodies, and the
// bytes that are left of an object, whole or not.
#pragma once

#include <string>

namespace hr {

struct ScrubOptions {
  std::string socket;
  bool now = false;  // begin a pass
  bool json = false;
};
// Exit codes: kExitOk no damage is known, kExitFailed some is, kExitUnavailable nobody answers.
int scrub_store(const ScrubOptions& options);

struct SalvageOptions {
  std::string path;  // the data folder; its store may run
  std::string bucket, key, version;
  std::string destination;  // a file that is not there yet
};
// Exit codes: kExitOk it is what was stored, kExitFailed it is not (written all the same), kExitUsage there
// is no such object, kExitUnavailable it cannot be read or written.
int salvage_object(const SalvageOptions& options);

}  // namespace hr
