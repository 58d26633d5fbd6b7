// Reading what is left of a damaged log, for `headrace store repair`: every batch that is whole, in order,
// past what lies between them. Changes nothing. What recovery calls a torn tail is one here too: behind the
// highest place that anything says was durable, batches count only if they continue the log.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "os/disk.h"
#include "os/entropy.h"
#include "storage/log/log.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace hr::storage {

// What is wrong at one place, and the groups that stood there.
struct LostGroups {
  // Bytes that are no batch though they were durable once; a file that is not there; groups that are missing
  // between two segments; a bad header; a wrong length; a batch without groups. The last three cost none.
  enum class What : std::uint8_t { kBytes, kSegment, kGroups, kHeader, kLength, kMark };

  What what = What::kBytes;
  std::uint32_t segment = 0;
  std::uint64_t from = 0, to = 0;  // of kBytes
  Lsn first = 1, last = 0;         // last < first: none are known to have been there

  bool of_groups() const { return what < What::kHeader; }
  std::string text() const;
};

struct SalvageReport {
  Lsn first = 1;  // of the first group that the oldest segment may hold
  Lsn last = 0;   // of the last one found
  Time logged;
  std::uint64_t segments = 0, bytes = 0;
  std::vector<LostGroups> lost;
  std::vector<std::string> strangers;  // names in the folder that are not of a log
};

// Every record that is left, in log order. An error of `take` ends it.
Result<SalvageReport> salvage_log(os::Disk& disk, const std::function<Status(const RecoveredRecord&)>& take);

// A log in a folder that has none, whose first group will be `first`.
Result<std::unique_ptr<SegmentedLog>> create_log(os::Disk& disk, os::Entropy& entropy,
                                                 const LogOptions& options, Lsn first);

// Records by their places, of a log that is not open.
class RecordReader {
 public:
  explicit RecordReader(os::Disk& disk) : disk_(disk) {}
  // The payload. kCorrupt: no record stands there, or its checksum is wrong.
  Result<Bytes> read(const Location& at);

 private:
  os::Disk& disk_;
  std::uint32_t segment_ = 0;  // of file_, the latest one
  std::unique_ptr<os::File> file_;
};

}  // namespace hr::storage
