// What has been appended and not yet written: batches in log order, the last of them open. Where two threads
// meet: the sequencing thread appends, the log thread takes from the front; every call takes the lock.
//
// A record's place is known when it is appended, because a batch's place is: the batch before it is sealed by
// then. For the same reason a segment is claimed when the first batch in it is opened, and spares are counted
// here.
#pragma once

#include "base/result.h"
#include "storage/log/format.h"
#include "storage/log/log.h"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace hr::storage {

struct PendingBatch {
  Position at;
  Lsn first = 0;
  std::uint32_t groups = 0;
  std::uint32_t records = 0;
  Time time;
  bool durable = false;  // a group in it is answered only when it is durable
  bool open = true;
  std::uint32_t payload_bytes = 0;  // of the records with their headers
  Bytes bytes;                      // room for the header, then the records; padded to a sector when sealed
};

class BatchQueue {
 public:
  // `next` is where the first batch goes, in a segment of `segment_bytes`.
  BatchQueue(const LogOptions& options, Position next, std::uint32_t segment_bytes, Lsn next_lsn,
             Time logged);

  // --- the sequencing thread ---

  Status admit(std::size_t records, std::uint64_t payload_bytes, Space space);
  Result<SegmentedLog::Appended> append(std::span<const Record> group, Space space, Release release,
                                        Time now);

  void kick();  // the log thread looks at what was appended

  // --- the log thread ---

  bool has_work() const;  // something is pending, or the queue is dead
  bool wait(Duration patience);
  void wake();
  // The oldest batch, sealed: nobody else changes it until pop(). Null: nothing is pending.
  PendingBatch* front();
  void pop();
  // An empty batch, if nothing is pending and there is room for one without touching the reserve.
  bool push_mark();
  void die(const Error& error);
  Status alive() const;

  // Spares: claimed by append(), counted back by whoever makes them.
  std::uint32_t spares_wanted() const;
  void spare_added();
  void spare_refused();

  // --- any thread ---

  std::optional<Bytes> find(const Location& at) const;
  std::uint64_t pending_bytes() const;
  bool space_refused() const;

 private:
  Status check_size(std::uint64_t bytes) const;
  Status check_pending(std::uint64_t bytes) const;
  Status check_reserve(Space space) const;
  Status check_claim(Space space) const;
  Status make_room(std::uint64_t bytes, Space space);
  bool fits_open_batch(std::uint64_t bytes) const;
  void claim_segment();
  void open_batch();
  void seal();
  SegmentedLog::Appended put(std::span<const Record> group, Time now);
  std::uint64_t segment_room() const;

  const LogOptions options_;
  // The sequencing thread's:
  Bytes headers_;                     // of the records of a group
  std::uint64_t admitted_bytes_ = 0;  // a group up to this size was promised its place

  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::unique_ptr<PendingBatch>> batches_;
  std::vector<Bytes> free_;  // buffers to use again
  Position next_;            // where the next batch to be opened starts
  std::uint32_t limit_;      // batches in that segment end before it
  Lsn next_lsn_;
  Time logged_;
  std::uint64_t pending_bytes_ = 0;
  std::uint32_t spares_ = 0;  // made and not claimed
  bool refused_ = false;      // the last attempt to make one failed
  bool woken_ = false;
  std::optional<Error> dead_;
};

}  // namespace hr::storage
