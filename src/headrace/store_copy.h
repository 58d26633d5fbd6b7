// Copying a store's files from one folder to another: folders are made new, nothing is overwritten, and what
// was copied is durable once sync() has returned. Used by backup and restore.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <functional>
#include <string>

namespace hr {

// What came of a whole store.
struct Copied {
  std::uint64_t files = 0, bytes = 0;
  std::uint64_t linked = 0;  // of the files: share their bytes with the original
};

class StoreCopy {
 public:
  // `tell` is called after every few megabytes; its error ends the copy with it.
  using Tell = std::function<Status(const Copied& sofar)>;
  explicit StoreCopy(Tell tell) : tell_(std::move(tell)) {}

  Status folder(const std::string& path);  // kExists
  // All of a file, or its first `bytes`; `size`: as long as it is to be, with zeros behind what was copied.
  Status file(const std::string& from, const std::string& to);
  Status file_part(const std::string& from, const std::string& to, std::uint64_t bytes, std::uint64_t size);
  // A file that never changes: a link where it can be one.
  Status link(const std::string& from, const std::string& to);
  // Every file in a folder that `wanted` says, by copy or link.
  using Wanted = std::function<bool(const std::string& name)>;
  enum class How : std::uint8_t { kCopy, kLink };
  Status files(const std::string& from, const std::string& to, How how, const Wanted& wanted);

  const Copied& copied() const { return copied_; }

 private:
  Status count(std::uint64_t bytes);

  const Tell tell_;
  Copied copied_;
  std::uint64_t untold_ = 0;
};

// Everything on the file system in which `path` is.
Status sync_file_system(const std::string& path);
// A small file, whole and durable under its name, or not there.
Status write_durably(const std::string& path, std::string_view text);
Result<std::string> read_small_file(const std::string& path);
// What root has made below a folder becomes its owner's.
Status give_to_owner(const std::string& path);
// Not there, or an empty folder.
bool is_free(const std::string& path);

}  // namespace hr
