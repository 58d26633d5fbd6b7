// `headrace store check` and `headrace store dump`: a stopped store's folder, read and told about. Nothing in
// the folder is changed.
#pragma once

#include <string>

namespace hr {

struct InspectOptions {
  std::string path;  // the data folder, absolute
  bool bodies = false;
  bool json = false;
};

// Exit codes: kExitOk when all is well, kExitFailed when something is damaged, kExitUsage when there is no
// store, kExitUnavailable when one runs there.
int check_store(const InspectOptions& options);
int dump_store(const InspectOptions& options);

}  // namespace hr
