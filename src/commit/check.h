// Reading a store's folder from end to end without changing it: for `headrace store check` and `dump`. The
// caller holds the folder's lock: what runs cannot be checked.
#pragma once

#include "base/result.h"
#include "object/object.h"
#include "os/disk.h"
#include "storage/index/index.h"
#include "storage/log/log.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace hr::commit {

struct CheckOptions {
  bool bodies = false;  // read every body of an object and compare it with its MD5, where its ETag is one
  // Called now and then: what is being read.
  std::function<void(std::string_view what, std::uint64_t done)> progress;
};

struct CheckReport {
  storage::RecoveryReport log;
  storage::Lsn state_position = 0, index_position = 0;
  std::uint64_t queues = 0, messages = 0;
  std::uint64_t buckets = 0, objects = 0, uploads = 0, parts = 0;
  std::uint64_t bodies = 0, body_bytes = 0;  // files
  // What is wrong, one sentence each, the file named; at most kDamageMax.
  std::vector<std::string> damage;
};
inline constexpr std::size_t kDamageMax = 100;

// Every checksum of log and state; every record and row decoded; the queue engine replayed and recounted;
// every message's record where it is said to stand; every body's file there and as long as it should be. An
// error: it could not even be read (kIo, kPermission).
Result<CheckReport> check(os::Disk& disk, const storage::Index& index, const CheckOptions& options);

// Every record of the log as one line, in order; damage ends it with its error.
Status dump(os::Disk& disk, const std::function<Status(std::string_view line)>& line);

}  // namespace hr::commit
