// The log: the one place where the store's acknowledgements become durable. A sequence of segments in
// "log/", each a run of checksummed batches; a batch is written at once and holds whole groups of records.
// Format and recovery rules: docs/formats/log.md.
//
// Two threads meet here. The sequencing thread append()s groups; the log thread write()s and sync()s what
// has gathered (in simulation one thread does both). Everything appended during a sync is the next batch.
// After a failed write or sync the log is dead: append() and every later step answer that error, and the
// process is to end (after a failed fsync the page cache lies).
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "os/disk.h"
#include "os/entropy.h"
#include "storage/log/record.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace hr::storage {

struct LogOptions {
  std::uint32_t segment_bytes = 64U << 20;   // 64 KiB to 1 GiB, a multiple of 4096
  std::uint32_t batch_bytes_max = 4U << 20;  // a group larger than this, or than a segment holds, is kLimit
  std::uint32_t reserve_segments = 2;
  // When full, append() answers kBusy: bytes appended and not yet written.
  std::uint64_t pending_bytes_max = 64U << 20;
  // Recovery needs no group before it: segments that end before are not read, and whole groups of the one in
  // which it stands are replayed all the same.
  Lsn replay_from = 1;
};

struct RecoveryReport {
  Lsn first = 1;  // of the first group that the oldest segment may hold
  Lsn last = 0;   // of the last group kept
  std::uint64_t segments_read = 0;
  Time logged;  // the latest time in any batch: the clock starts no earlier
  std::uint64_t segments = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t torn_bytes = 0;  // cut from the end: unacknowledged by construction
  std::uint32_t torn_segment = 0;
};

class SegmentedLog {
 public:
  virtual ~SegmentedLog() = default;

  // --- the sequencing thread ---

  // Whether a group of at most `records` records and `payload_bytes` bytes would be taken now: kNoSpace,
  // kBusy, kLimit as append() says. After it succeeded, the next append() within these bounds cannot be
  // refused (it can still find the log dead), so that an engine may decide between the two calls.
  virtual Status admit(std::size_t records, std::uint64_t payload_bytes, Space space) = 0;

  struct Appended {
    Lsn lsn = 0;
    // Location of record i of the group. Readable by read() at once.
    std::vector<Location> at;
  };
  // All records of the group, in order, become durable together or not at all.
  // kNoSpace, kBusy, kLimit, kInvalid: nothing was appended. Any other error: the log is dead.
  // kBusy: too much is pending, or the next segment is being prepared. kInvalid: an empty group, a foreign
  // kind.
  // The log thread hears of it at kick(), or when its patience is over.
  virtual Result<Appended> append(std::span<const Record> group, Space space, Release release, Time now) = 0;
  // After one group or several: waking a thread costs more than appending.
  virtual void kick() = 0;

  // --- the log thread ---

  // Blocks until something is appended and kick() called, or `wake` was, or `patience` is over. True: there
  // is work.
  virtual bool wait(Duration patience) = 0;
  virtual void wake() = 0;  // any thread
  // Writes one batch of what has been appended. Returns the last lsn written so far.
  virtual Result<Lsn> write() = 0;
  // True if something written wants to be durable before it is answered.
  virtual bool wants_sync() const = 0;
  // Returns the last lsn durable.
  virtual Result<Lsn> sync() = 0;
  // For idle moments: makes everything written durable, and says so in the log, so that later damage to the
  // last batch is told apart from a torn tail. Does nothing while something is pending or when all is said.
  virtual Status mark() = 0;

  // --- any thread ---

  // The payload of a record: from memory while it is not written, else from the segment, its checksum
  // verified (kCorrupt names segment and byte).
  virtual Result<Bytes> read(const Location& at) const = 0;
  virtual std::uint64_t epoch() const = 0;  // random, new at every open
  // Drops whole segments that end before `lsn` and are older than `segment`: their records are needed by
  // nobody. Log thread.
  virtual Status drop_before(Lsn lsn, std::uint32_t segment) = 0;

  struct Stats {
    std::uint64_t segments = 0, bytes = 0, batches = 0, syncs = 0, groups = 0, pending_bytes = 0;
    bool space_refused = false;  // only the reserve is left
    std::uint32_t first_segment = 1;
    std::uint64_t written_bytes = 0;  // since the log was opened
    Lsn durable = 0;                  // the last durable group, and where what is durable ends
    std::uint32_t durable_segment = 0, durable_offset = 0;
  };
  virtual Stats stats() const = 0;
};

// Opens (or creates) the log below `disk`, hands every kept record to `replay` in order, cuts a torn tail,
// and makes all of it durable before it returns. kCorrupt: damage below the durable mark, named by segment
// and byte; nothing was changed. `replay` may stop recovery with an error.
Result<std::unique_ptr<SegmentedLog>> open_log(os::Disk& disk, os::Entropy& entropy,
                                               const LogOptions& options,
                                               const std::function<Status(const RecoveredRecord&)>& replay,
                                               RecoveryReport& report);

// The whole log, as far as it goes, handed to `replay`; nothing is changed, and a torn end is not cut. Damage
// is kCorrupt, as for open_log().
Status read_log(os::Disk& disk, const std::function<Status(const RecoveredRecord&)>& replay,
                RecoveryReport& report);

}  // namespace hr::storage
