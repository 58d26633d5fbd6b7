// `headrace host apply | confirm | rollback`: what changes a host. One at a time (a lock); a run that is
// killed at any step is ended by the next, in either direction. Blocks.
#pragma once

#include "base/result.h"
#include "headrace/host_ground.h"

#include <string>

namespace hr {

struct ChangeFlags {
  std::string confirm_within;     // of apply: a duration; empty: nobody has to confirm
  bool unless_confirmed = false;  // of rollback: waits for the end of that window first
};

int run_apply(const HostFlags& flags, const ChangeFlags& change);
int run_confirm(const HostFlags& flags);
int run_rollback(const HostFlags& flags, const ChangeFlags& change);

// Says it on standard error; the exit code.
int host_error(const Error& error);

}  // namespace hr
