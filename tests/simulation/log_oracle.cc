#include "log_oracle.h"

#include <fmt/format.h>

namespace hr::sim {

using storage::Lsn;

bool LogOracle::appended(const std::vector<storage::Record>& group,
                         const storage::SegmentedLog::Appended& answer) {
  if (answer.lsn != last() + 1 || answer.at.size() != group.size()) return false;
  groups_.push_back({group, answer.at});
  ++groups_ever_;
  return true;
}

bool LogOracle::written(Lsn lsn) {
  written_ = std::max(written_, lsn);
  return lsn <= last();
}

void LogOracle::durable(Lsn lsn) {
  durable_ = std::max(durable_, lsn);
  survives_ = std::max(survives_, durable_);
}

void LogOracle::start_recovery() {
  seen_ = 0;
  seen_records_ = 0;
  seen_first_.reset();
  wrong_.reset();
}

void LogOracle::wrong(std::string what) {
  if (!wrong_) wrong_ = std::move(what);
}

void LogOracle::recovered(const storage::RecoveredRecord& record) {
  if (!seen_first_) seen_first_ = record.lsn;
  if (seen_ == 0) seen_ = record.lsn;
  if (record.lsn == seen_ + 1) {
    if (seen_ > 0 && seen_ <= last() && seen_records_ != groups_[seen_ - 1].records.size()) {
      wrong(fmt::format("group {} came back in part", seen_));
    }
    seen_ = record.lsn;
    seen_records_ = 0;
  }
  if (record.lsn != seen_) return wrong(fmt::format("lsn {} came back after {}", record.lsn, seen_));
  if (record.lsn > last()) return wrong(fmt::format("lsn {} came back and was never appended", record.lsn));
  const Group& group = groups_[record.lsn - 1];
  const std::size_t i = seen_records_++;
  if (i >= group.records.size())
    return wrong(fmt::format("group {} came back with too many records", record.lsn));
  if (record.kind != group.records[i].kind || record.payload != group.records[i].payload) {
    return wrong(fmt::format("group {} came back with other bytes", record.lsn));
  }
  if (record.at != group.at[i]) wrong(fmt::format("group {} came back from another place", record.lsn));
}

std::optional<std::string> LogOracle::finish_recovery(const storage::RecoveryReport& report) {
  if (wrong_) return wrong_;
  if (report.last < survives_)
    return fmt::format("lost: {} was promised, {} came back", survives_, report.last);
  if (report.last > last()) return fmt::format("lsn {} came back and was never appended", report.last);
  if (report.first > dropped_)
    return fmt::format("the log begins at {}, dropped was before {}", report.first, dropped_);
  if (seen_first_ && *seen_first_ != report.first) return "the first group is not where the log begins";
  if (seen_ != 0 && seen_ != report.last) return "the last group is not where the log ends";
  if (seen_ != 0 && seen_records_ != groups_[seen_ - 1].records.size())
    return "the last group came back in part";
  if (seen_ == 0 && report.last >= report.first) return "nothing came back";
  groups_.resize(report.last);
  written_ = durable_ = survives_ = report.last;
  first_ = report.first;
  sync_failed_ = false;
  return std::nullopt;
}

std::optional<LogOracle::Wanted> LogOracle::any_record(Random& random) const {
  const Lsn from = std::max(dropped_, first_);
  if (last() < from) return std::nullopt;
  const Lsn lsn = random.between(from, last());
  const Group& group = groups_[lsn - 1];
  const std::size_t i = random.below(group.records.size());
  return Wanted{lsn, group.records[i].payload, group.at[i]};
}

Lsn LogOracle::draw_droppable(Random& random) const { return random.between(1, durable_ + 1); }

}  // namespace hr::sim
