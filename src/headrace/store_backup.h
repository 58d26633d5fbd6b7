// `headrace store backup` and `restore`: a whole store, as of one group of its log, in a folder of its own;
// and back. A backup is whole, verified and durable when its file backup.json is there; a store is restored
// into an empty folder, after the backup was read from end to end.
#pragma once

#include <string>

namespace hr {

struct BackupOptions {
  std::string path;    // the store's data folder, absolute
  std::string socket;  // of the store that may run there
  std::string copy;    // the backup's folder, absolute
};

// Exit codes: kExitOk; kExitUsage: nothing to copy from, or the folder to copy to is not empty; kExitFailed;
// kExitUnavailable: no room, or the store does not answer.
int backup_store(const BackupOptions& options);
int restore_store(const BackupOptions& options);

}  // namespace hr
