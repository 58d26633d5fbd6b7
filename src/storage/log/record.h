// The values of the log: records, groups, where they stand and when they are released. Plain data.
#pragma once

#include "base/bytes.h"

#include <cstdint>

namespace hr::storage {

// The number of a group, from 1, without gaps. 0 is "before everything".
using Lsn = std::uint64_t;

// Where a record's payload stands, so that a large body need not stay in memory.
struct Location {
  std::uint32_t segment = 0;
  std::uint32_t offset = 0;  // of the payload, in bytes from the segment's start
  std::uint32_t bytes = 0;   // of the payload

  bool operator==(const Location&) const = default;
};

// `kind` belongs to the layers above (queue 1-63, object 64-127; 0 and 128-255 are the log's own).
struct Record {
  std::uint8_t kind = 0;
  Bytes payload;

  bool operator==(const Record&) const = default;
};

// What a group may use when the disk is full: `kShrink` groups (deletes, receives, moves that free space)
// may use the two reserve segments; `kGrow` groups are refused with kNoSpace once only the reserve is left.
enum class Space : std::uint8_t { kGrow, kShrink };

// When the answers that depend on a group may leave.
enum class Release : std::uint8_t { kWritten, kDurable };

// One record met while recovering, in log order. `payload` is valid during the call only.
struct RecoveredRecord {
  Lsn lsn = 0;
  std::uint8_t kind = 0;
  ByteView payload;
  Location at;
};

}  // namespace hr::storage
