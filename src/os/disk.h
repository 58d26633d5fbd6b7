// Files of one directory tree, as the store needs them. Paths are relative to the tree's root, with '/'
// between names; a name is at most 255 bytes of [A-Za-z0-9._-]. Every call carries an operation label
// ("log.write", "blob.sync"): errors name it and a simulated disk can make one operation fail.
//
// What is durable: bytes after File::sync() returned without error; a name (created, renamed, removed)
// after sync_dir() of its directory did. Nothing else, and nothing sooner.
// After any error from sync() the file's contents are unknown: the caller stops, it does not try again.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hr::os {

using Label = std::string_view;

enum class OpenMode : std::uint8_t {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // read and write; must not exist (kExists)
};

// Thread-safe: reads and writes carry their offset.
class File {
 public:
  virtual ~File() = default;  // closes; what was not synced is not durable
  // Up to `out.size()` bytes from `offset`; fewer only at the end of the file. Returns the number read.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out, Label label) = 0;
  // All of `data`, or an error (then any part of it may be there).
  virtual Status write_at(std::uint64_t offset, ByteView data, Label label) = 0;
  virtual Status sync(Label label) = 0;  // fdatasync: contents and what is needed to read them
  // Reserves blocks for [0, bytes) and makes the file that long; the new part reads as zeros. kNoSpace.
  virtual Status allocate(std::uint64_t bytes, Label label) = 0;
  virtual Status truncate(std::uint64_t bytes, Label label) = 0;
  virtual Result<std::uint64_t> size(Label label) = 0;
  // What is clean in the page cache is read from the device again. After a failed sync the cache shows bytes
  // that the device never got: recovery syncs, drops the cache, and only then believes what it reads.
  virtual Status drop_cache(Label /*label*/) { return {}; }
  virtual int native_handle() const = 0;  // the descriptor, for sendfile; -1 where there is none
};

struct DirEntry {
  std::string name;
  std::uint64_t bytes = 0;
  bool directory = false;
  bool operator==(const DirEntry&) const = default;
};

struct Space {
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;  // for this user
};

// Held until destroyed (or until the process ends).
class DirLock {
 public:
  virtual ~DirLock() = default;
};

// Thread-safe.
class Disk {
 public:
  virtual ~Disk() = default;
  virtual Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode, Label label) = 0;
  virtual Status rename(std::string_view from, std::string_view to, Label label) = 0;  // replaces `to`
  virtual Status remove(std::string_view path, Label label) = 0;                       // kNotFound
  virtual Status make_dir(std::string_view path, Label label) = 0;                     // fine if it is there
  virtual Result<std::vector<DirEntry>> list(std::string_view dir, Label label) = 0;   // in name order
  virtual Status sync_dir(std::string_view dir, Label label) = 0;
  virtual Result<Space> space(Label label) = 0;
  // One process at a time per tree: kBusy when another holds it.
  virtual Result<std::unique_ptr<DirLock>> lock(Label label) = 0;
};

}  // namespace hr::os
