// The log as it runs: batches from the queue into the current segment, one sync for whatever has gathered,
// the next segment in time. open_log_with() is open_log() with the judgements of recovery as an argument.
#pragma once

#include "storage/log/batch_queue.h"
#include "storage/log/log.h"
#include "storage/log/segment_set.h"
#include "storage/log/survey.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

namespace hr::storage {

// How far something has come.
struct Reached {
  Position at;  // the end of it
  Lsn last = 0;
};

class DiskLog final : public SegmentedLog {
 public:
  // What recovery hands over: everything before `end` is durable, `end.at` is where the next batch goes.
  struct Start {
    std::unique_ptr<SegmentSet> segments;
    Chain end;
    Position marked;  // durable batches or headers say that the log was durable up to here
  };
  DiskLog(const LogOptions& options, Start start);

  Status admit(std::size_t records, std::uint64_t payload_bytes, Space space) override;
  Result<Appended> append(std::span<const Record> group, Space space, Release release, Time now) override;
  bool wait(Duration patience) override;
  void kick() override { queue_.kick(); }
  void wake() override { queue_.wake(); }
  Result<Lsn> write() override;
  bool wants_sync() const override { return wants_sync_; }
  Result<Lsn> sync() override;
  Status mark() override;
  Result<Bytes> read(const Location& at) const override;
  std::uint64_t epoch() const override { return epoch_; }
  Status drop_before(Lsn lsn, std::uint32_t segment) override;
  Stats stats() const override;

  // Makes missing spare segments. A failure is remembered, not returned: the log goes on without.
  void make_spares();

 private:
  std::unexpected<Error> die(Error error);
  Status put(PendingBatch& batch);
  Status write_ahead();
  Status rotate(Time time);
  BatchHeader header_at(Position at, Lsn first, Time time) const;
  Status sync_written(os::Label label);
  void show_durable();

  const LogOptions options_;
  const std::uint64_t log_id_;
  const std::uint64_t epoch_;
  const std::unique_ptr<SegmentSet> segments_;
  BatchQueue queue_;

  // The log thread's.
  Reached written_;
  Reached durable_;
  Position groups_end_;        // the end of the last batch with groups in it
  Position marked_;            // durable marks reach up to here
  Position marked_if_synced_;  // and written ones
  Position ahead_;             // zeros have been written up to here, beyond what is `written_`
  Bytes zeros_;                // made when first needed
  bool wants_sync_ = false;
  std::uint32_t spare_pause_ = 0;  // writes until the next attempt after one failed

  mutable std::mutex shown_mutex_;
  Reached shown_;  // durable_, for any thread

  std::atomic<std::uint64_t> batches_{0}, syncs_{0}, groups_{0}, written_bytes_{0};
};

Result<std::unique_ptr<SegmentedLog>> open_log_with(
    const RecoveryRules& rules, os::Disk& disk, os::Entropy& entropy, const LogOptions& options,
    const std::function<Status(const RecoveredRecord&)>& replay, RecoveryReport& report);

}  // namespace hr::storage
