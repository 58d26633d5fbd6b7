// What the log was given and what it promised: every group appended, which of them were reported written and
// durable, and what a recovery may therefore give back.
#pragma once

#include "sim/random.h"
#include "storage/log/log.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hr::sim {

class LogOracle {
 public:
  // --- promises, as they are made ---

  bool appended(const std::vector<storage::Record>& group, const storage::SegmentedLog::Appended& answer);
  bool written(storage::Lsn lsn);
  void durable(storage::Lsn lsn);
  void dropped(storage::Lsn before) { dropped_ = std::max(dropped_, before); }
  bool all_durable() const { return durable_ == last(); }
  storage::Lsn acknowledged() const { return durable_; }
  std::uint64_t groups_ever() const { return groups_ever_; }

  // --- ends ---

  void power_cut() { survives_ = durable_; }
  void killed() {
    if (!sync_failed_) survives_ = std::max(survives_, written_);
  }
  void sync_failed() { sync_failed_ = true; }

  // --- recovery ---

  void start_recovery();
  void recovered(const storage::RecoveredRecord& record);
  // What is wrong with what was recovered. If nothing: all that is left is durable from here on.
  std::optional<std::string> finish_recovery(const storage::RecoveryReport& report);

  // --- for the run ---

  struct Wanted {
    storage::Lsn lsn = 0;
    Bytes payload;
    storage::Location at;
  };
  std::optional<Wanted> any_record(Random& random) const;
  storage::Lsn draw_droppable(Random& random) const;

 private:
  struct Group {
    std::vector<storage::Record> records;
    std::vector<storage::Location> at;
  };

  storage::Lsn last() const { return groups_.size(); }
  void wrong(std::string what);

  std::vector<Group> groups_;  // by lsn - 1
  std::uint64_t groups_ever_ = 0;
  storage::Lsn written_ = 0;
  storage::Lsn durable_ = 0;
  storage::Lsn survives_ = 0;  // what the next recovery must give back at least
  storage::Lsn dropped_ = 1;   // groups before it may be gone
  storage::Lsn first_ = 1;     // of the last recovery
  bool sync_failed_ = false;

  storage::Lsn seen_ = 0;  // while recovering: the group and how many of its records
  std::size_t seen_records_ = 0;
  std::optional<storage::Lsn> seen_first_;
  std::optional<std::string> wrong_;
};

}  // namespace hr::sim
