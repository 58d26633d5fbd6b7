// What `headrace store repair` does to a damaged store. look() reads what is left and tells what is damaged,
// what can be done, and what is lost; it changes nothing. write() then makes a whole log and a checkpoint of
// it in another folder, and brings the index up to where that log begins. The caller holds the store's lock,
// and puts the new files into the places of the old ones, which it keeps.
#pragma once

#include "base/result.h"
#include "commit/queue_salvage.h"
#include "object/applier.h"
#include "os/disk.h"
#include "os/entropy.h"
#include "storage/index/index.h"
#include "storage/log/log.h"
#include "storage/log/salvage.h"

#include <memory>
#include <string>
#include <vector>

namespace hr::commit {

struct RepairReport {
  std::vector<std::string> damage;     // what was found, one sentence each
  std::vector<LostMessage> lost;       // acknowledged, and gone
  std::vector<std::string> unknown;    // what else may be gone, or back, without its name
  std::vector<std::string> strangers;  // files that stop the store, by their paths: to be moved away
  std::string hopeless;                // why it cannot be mended; empty: it can
  bool rewrite = false;                // log and state are to be made again
  bool reindex = false;                // the index is to be made again, from the log
  std::uint64_t queues = 0, messages = 0;

  bool whole() const { return !rewrite && !reindex && strangers.empty() && hopeless.empty(); }
};

class Repair {
 public:
  explicit Repair(os::Disk& disk) : disk_(disk), reader_(disk) {}

  // `index`: null when it cannot be opened, and why. An error: something could not even be read.
  Result<RepairReport> look(const storage::Index* index, const std::string& index_error);
  // After look(). `target`: an empty folder; left alone unless the log is to be made again.
  Status write(os::Disk& target, os::Entropy& entropy, const storage::LogOptions& options,
               storage::Index& index);

 private:
  Status state();
  Status survey();
  Status take(const storage::RecoveredRecord& record);
  Status names();
  void judge_log();
  void judge_index(const std::string& index_error);
  Status messages();
  Status copy_messages(storage::SegmentedLog& log);
  Status append(storage::SegmentedLog& log, queue::Effects& group);
  Status write_state(os::Disk& target, storage::Lsn position);

  os::Disk& disk_;
  storage::RecordReader reader_;
  const storage::Index* index_ = nullptr;
  storage::Lsn indexed_ = 0;  // what the index has
  std::unique_ptr<QueueSalvage> queues_ = std::make_unique<QueueSalvage>();
  storage::Lsn position_ = 0;  // of the state
  bool state_gone_ = false, pages_gone_ = false;
  std::uint32_t pages_ = 0;
  storage::SalvageReport log_;
  std::vector<object::AppliedRecord> late_;  // objects' records that the index does not have
  std::vector<queue::Standing> standing_;    // every message, in the order of the log
  storage::Lsn next_ = 1;
  RepairReport report_;
};

}  // namespace hr::commit
