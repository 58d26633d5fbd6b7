// `headrace store check` and `headrace store dump`: a stopped store's folder, read and told about. Nothing in
// the folder is changed.
#pragma once

#include "base/result.h"
#include "os/disk.h"

#include <memory>
#include <string>

namespace hr {

// A store's folder that nobody else uses as long as this lives.
struct StoppedStore {
  std::unique_ptr<os::Disk> disk;
  std::unique_ptr<os::DirLock> lock;
};
// kNotFound: there is no store. kBusy: one runs there.
Result<StoppedStore> open_stopped_store(const std::string& path);
// Says why, on standard error; returns the exit code.
int inspection_refused(const Error& error);

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
