// `headrace jobs` without an id: what the pools of this host have in hand and, where the service shows it,
// what waits in the queues.
#pragma once

#include "headrace/client_settings.h"

#include <cstddef>
#include <string>

namespace hr {

struct JobsListFlags {
  ClientFlags client;
  std::string queue, task, state;
  std::size_t most = 100;
  bool waiting = false, json = false;
};

int list_jobs(const JobsListFlags& flags);  // an exit code

}  // namespace hr
