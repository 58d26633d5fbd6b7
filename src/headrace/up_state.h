// The state folder of `headrace up`: made with mode 0700, owned by who runs it, and held by one `up` at a
// time.
#pragma once

#include "base/result.h"
#include "os/linux/fd.h"

#include <string>
#include <string_view>

namespace hr {

// Held until destroyed.
class StateFolder {
 public:
  // Makes `path` with its folders. kBusy: another `up` holds it; kPermission: it is somebody else's; kIo.
  static Result<StateFolder> open(const std::string& path);

 private:
  explicit StateFolder(os::Fd lock) : lock_(std::move(lock)) {}
  os::Fd lock_;
};

// Whole or not at all, mode 0600. Not synced: all of it is made anew at the next start.
Status write_private(const std::string& path, std::string_view text);

// A file of at most 16 MiB; "" if there is none.
Result<std::string> read_text(const std::string& path);

// Past `bytes_max`, becomes PATH.1 and leaves its name to a new file.
void rotate(const std::string& path, std::uintmax_t bytes_max);

}  // namespace hr
