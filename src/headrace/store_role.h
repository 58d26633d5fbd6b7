// `headrace store`: SQS and S3 on one listener, on this host's disk. Owns everything it wires: folder lock,
// keys, recovery, the commit path's threads, the reactor, the fronts. Ends by signal, or when the log fails.
#pragma once

#include "base/log.h"
#include "codec/config.h"
#include "storage/log/log.h"

#include <string>

namespace hr {

struct StoreOptions {
  StoreConfig config;
  std::string ready_file;  // written when ready, as JSON: endpoint, socket, keys, pid; empty: none
};

// Of the store's log, as its configuration wants it.
storage::LogOptions log_options(const StoreConfig& config);

// An exit code (headrace/commands.h). Every failure is one line in `diary`.
int run_store(const StoreOptions& options, hr::Log diary);

}  // namespace hr
