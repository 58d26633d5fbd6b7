// The bytes of the log, as docs/formats/log.md lists them: the segment header, the batch header, the record
// header. Decoding never trusts: a checksum stands over everything it reads.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "storage/log/log.h"

#include <compare>
#include <cstdint>
#include <optional>

namespace hr::storage {

inline constexpr std::uint32_t kLogVersion = 1;
inline constexpr std::uint32_t kSectorBytes = 512;
inline constexpr std::uint32_t kSegmentHeaderBytes = kSectorBytes;
inline constexpr std::uint32_t kBatchHeaderBytes = 88;
inline constexpr std::uint32_t kRecordHeaderBytes = 12;
inline constexpr std::uint32_t kSegmentBytesMin = 64U << 10;
inline constexpr std::uint32_t kSegmentBytesMax = 1U << 30;

// A place in the log; ordered as the log is.
struct Position {
  std::uint32_t segment = 0;
  std::uint32_t offset = 0;
  auto operator<=>(const Position&) const = default;
};

constexpr std::uint64_t sector_aligned(std::uint64_t bytes) {
  return (bytes + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
}

struct SegmentHeader {
  std::uint32_t segment = 0;
  std::uint32_t segment_bytes = 0;
  std::uint64_t log_id =
      0;  // random, the same in the whole log, never shown: user bytes cannot imitate a batch
  std::uint64_t epoch = 0;           // of the first batch
  Lsn base = 1;                      // of the first group that it may hold
  std::uint64_t previous_epoch = 0;  // of the last batch in the segment before
  std::uint32_t previous_end = 0;    // that segment is durable up to here; 0: there is none
  Time time;

  bool operator==(const SegmentHeader&) const = default;
};

enum BatchFlags : std::uint32_t { kEpochStart = 1 };

struct BatchHeader {
  std::uint32_t flags = 0;
  std::uint64_t log_id = 0;
  std::uint64_t epoch = 0;
  std::uint64_t previous_epoch = 0;  // with kEpochStart
  Lsn first = 0;                     // of its first group, or of the next one if it has none
  Time time;                         // the latest in it
  Position at;                       // its own
  std::uint32_t groups = 0;
  std::uint32_t records = 0;
  std::uint32_t payload_bytes = 0;
  Position durable;  // the log was durable up to here when this was written
  std::uint32_t payload_crc = 0;

  std::uint64_t bytes() const { return sector_aligned(std::uint64_t{kBatchHeaderBytes} + payload_bytes); }
  bool operator==(const BatchHeader&) const = default;
};

struct RecordHeader {
  std::uint32_t bytes = 0;
  std::uint8_t kind = 0;
  bool last = false;  // of its group
  std::uint32_t crc = 0;
};

Bytes encode(const SegmentHeader& header);  // kSegmentHeaderBytes long
// kUnsupported: of another version. kCorrupt: not a segment's header, or damaged.
Result<SegmentHeader> decode_segment_header(ByteView sector);

Bytes encode(const BatchHeader& header);  // kBatchHeaderBytes long
std::optional<BatchHeader> decode_batch_header(ByteView bytes);

void append_record_header(Bytes& out, const Record& record, bool last);
std::optional<RecordHeader> decode_record_header(ByteView bytes);
// Of a record as it stands in the log: over kind, flags and payload.
std::uint32_t record_crc(std::uint8_t kind, bool last, ByteView payload);

}  // namespace hr::storage
