// `headrace store repair`: mends a stopped store's folder, when told to, and loses nothing for good: the log
// and the state as they were stay in a folder "repair-TIME" beside the new ones.
#pragma once

#include "storage/log/log.h"

#include <string>

namespace hr {

struct RepairOptions {
  std::string path;  // the data folder, absolute
  bool yes = false;  // do it, do not only tell
  bool json = false;
  storage::LogOptions log;
};

// Exit codes: kExitOk when nothing is damaged, or all of it is mended; kExitDrift when there is something to
// mend and nobody said yes; kExitFailed when something cannot be mended; kExitUsage, kExitUnavailable as
// `check`.
int repair_store(const RepairOptions& options);

}  // namespace hr
