#include "commit/repair.h"

#include "object/engine.h"
#include "storage/blob/blob.h"
#include "storage/state/state_files.h"
#include "storage/state/state_salvage.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hr::commit {
namespace {

constexpr std::size_t kGroupBytes = 512U << 10;
constexpr std::uint64_t kSyncBytes = 64U << 20;
constexpr int kTriesToAppend = 100;

bool is_queue_record(std::uint8_t kind) { return kind >= 1 && kind <= 63; }
bool is_damage(const Error& error) { return error.code == Errc::kCorrupt; }

}  // namespace

// --- looking ---

Result<RepairReport> Repair::look(const storage::Index* index, const std::string& index_error) {
  index_ = index;
  indexed_ = index == nullptr ? 0 : index->applied();
  HR_TRY(names());
  HR_TRY(state());
  HR_TRY(survey());
  if (!report_.hopeless.empty()) return report_;
  HR_ASSIGN(log_, storage::salvage_log(disk_, [&](const auto& record) { return take(record); }));
  judge_log();
  judge_index(index_error);
  HR_TRY(messages());
  report_.lost = queues_->lost();
  report_.rewrite = report_.rewrite || queues_->passed_over() || !report_.lost.empty();
  report_.queues = queues_->engine().queue_count();
  report_.messages = standing_.size();
  if (Status sound = queues_->engine().audit(); !sound) report_.hopeless = sound.error().message;
  return report_;
}

Status Repair::names() {
  const auto entries = disk_.list("state", "repair.list");
  if (!entries) return entries.error().code == Errc::kNotFound ? Status() : std::unexpected(entries.error());
  for (const os::DirEntry& entry : *entries) {
    if (entry.name.ends_with(".checkpoint") || entry.name == "new.tmp") continue;
    report_.damage.push_back(fmt::format("state/{} is not part of the state", entry.name));
    report_.strangers.push_back("state/" + entry.name);
  }
  return {};
}

Status Repair::state() {
  const auto lost = [&](storage::BlockKey key, const Error& why) {
    report_.damage.push_back(why.message);
    report_.rewrite = true;
    switch (static_cast<queue::BlockKind>(key.kind)) {
      case queue::BlockKind::kMessages:
        pages_gone_ = true;
        break;
      case queue::BlockKind::kOriginals:
      case queue::BlockKind::kRetries:
      case queue::BlockKind::kAttempts:
        report_.unknown.emplace_back("ids of deduplication and of receives, of the last five minutes");
        break;
      case queue::BlockKind::kMoves:
        report_.unknown.emplace_back("message move tasks: those that were going on have to be started again");
        break;
      default:
        state_gone_ = true;
    }
  };
  const auto position = storage::salvage_state(
      disk_,
      [&](storage::BlockKey key, ByteView bytes) -> Status {
        if (key.kind == queue::kMessageBlocks) pages_ = std::max(pages_, key.page + 1);
        return state_gone_ ? Status() : queues_->load(key, bytes);
      },
      lost);
  if (position) {
    position_ = *position;
    return {};
  }
  if (!is_damage(position.error())) return std::unexpected(position.error());
  report_.damage.push_back(position.error().message);
  state_gone_ = true;
  return {};
}

// Where the state is damaged: whether the log has what it said.
Status Repair::survey() {
  if (!state_gone_ && !pages_gone_) {
    Status loaded = queues_->loaded(pages_);
    if (loaded || !is_damage(loaded.error())) return loaded;
    report_.damage.push_back(loaded.error().message);
    state_gone_ = true;
  }
  report_.rewrite = true;
  HR_ASSIGN(const auto log, storage::salvage_log(disk_, [&](const storage::RecoveredRecord& record) {
              if (pages_gone_ && is_queue_record(record.kind) && record.lsn <= position_)
                queues_->note(record);
              return Status();
            }));
  if (log.segments > 0 && log.first == 1 && (state_gone_ || log.lost.empty())) {  // all of it is there
    queues_ = std::make_unique<QueueSalvage>();
    position_ = 0;
    return {};
  }
  if (state_gone_) {
    report_.hopeless = fmt::format(
        "the state is damaged, and the log begins at group {}: what was before is in no other place",
        log.first);
    return {};
  }
  report_.unknown.emplace_back("how often messages of the damaged pages were received, and their leases");
  if (Status loaded = queues_->loaded(pages_); !loaded) report_.hopeless = loaded.error().message;
  return {};
}

Status Repair::take(const storage::RecoveredRecord& record) {
  if (is_queue_record(record.kind)) return record.lsn <= position_ ? Status() : queues_->take(record);
  if (const auto applied = object::application_of(record.kind, record.payload); !applied) {
    if (!is_damage(applied.error())) return std::unexpected(applied.error());
    report_.damage.push_back(applied.error().message);
  } else if (record.lsn > indexed_) {
    late_.push_back({record.lsn, record.kind, Bytes(record.payload)});
  }
  return {};
}

void Repair::judge_log() {
  for (const std::string& name : log_.strangers) {
    report_.damage.push_back(fmt::format("log/{} is not part of the log", name));
    report_.strangers.push_back("log/" + name);
  }
  for (const storage::LostGroups& lost : log_.lost) {
    report_.damage.push_back("the log is damaged: " + lost.text());
    report_.rewrite = true;
    if (!lost.of_groups()) continue;
    if (lost.last < lost.first || lost.last > position_) {
      report_.unknown.push_back(fmt::format(
          "of {}: messages deleted there are back; those sent there last to a queue have left no number",
          lost.text()));
    }
    if (lost.last < lost.first || lost.last > indexed_)
      report_.unknown.push_back(
          fmt::format("of {}: what was changed there in buckets and objects", lost.text()));
  }
  const bool behind = log_.segments > 0 && log_.first > position_ + 1;
  if (behind || position_ > log_.last) {
    report_.damage.push_back(
        fmt::format("the state is as of group {}, the log has {} to {}", position_, log_.first, log_.last));
    report_.rewrite = true;
  }
  if (behind) {
    report_.unknown.push_back(
        fmt::format("what was done to messages in groups {} to {}", position_ + 1, log_.first - 1));
  }
  next_ = std::max({log_.last, position_, indexed_}) + 1;
}

void Repair::judge_index(const std::string& index_error) {
  if (index_ == nullptr) {
    report_.damage.push_back(index_error);
    report_.reindex = true;
    if (log_.first != 1) {
      report_.hopeless = fmt::format(
          "the index cannot be opened, and the log begins at group {}: what was before is in no other place",
          log_.first);
    }
    return;
  }
  if (indexed_ > log_.last) {
    report_.damage.push_back(
        fmt::format("the index is ahead of the log, which has lost its end: {} > {}", indexed_, log_.last));
    report_.rewrite = true;
    report_.unknown.push_back(fmt::format("what was done to messages after group {}", log_.last));
  } else if (log_.segments > 0 && indexed_ + 1 < log_.first) {
    report_.damage.push_back(
        fmt::format("the log begins at group {}, but the index is only at {}", log_.first, indexed_));
    report_.rewrite = true;
    report_.unknown.push_back(fmt::format("what was changed in buckets and objects in groups {} to {}",
                                          indexed_ + 1, log_.first - 1));
  }
}

Status Repair::messages() {
  const queue::Engine& engine = queues_->engine();
  std::vector<queue::Standing> all;
  for (std::uint32_t cursor = 0; cursor != queue::kWalkEnded;) {
    std::ranges::copy(engine.standing_before(UINT32_MAX, cursor, 64), std::back_inserter(all));
  }
  std::ranges::sort(all, {}, [](const queue::Standing& s) { return std::pair(s.at.segment, s.at.offset); });
  for (const queue::Standing& message : all) {
    const auto payload = reader_.read(message.at);
    if (payload) {
      standing_.push_back(message);
    } else if (is_damage(payload.error())) {
      queues_->give_up(message);
    } else {
      return std::unexpected(payload.error());
    }
  }
  return {};
}

// --- writing ---

Status Repair::append(storage::SegmentedLog& log, queue::Effects& group) {
  if (group.records.empty()) return {};
  for (int tries = 0;; ++tries) {
    const auto appended =
        log.append(group.records, storage::Space::kShrink, storage::Release::kDurable, queues_->now());
    if (appended) {
      queues_->engine().place(group, appended->at);
      group = {};
      HR_TRY(log.write());
      return {};
    }
    const Errc code = appended.error().code;
    if (tries == kTriesToAppend || (code != Errc::kBusy && code != Errc::kNoSpace))
      return std::unexpected(appended.error());
    HR_TRY(log.write());  // makes the next segment, if there is room
    HR_TRY(log.sync());
  }
}

Status Repair::copy_messages(storage::SegmentedLog& log) {
  queue::Effects group;
  std::uint64_t bytes = 0, unsynced = 0;
  for (const queue::Standing& message : standing_) {
    HR_ASSIGN(const Bytes payload, reader_.read(message.at));
    if (bytes + payload.size() > kGroupBytes) {
      HR_TRY(append(log, group));
      bytes = 0;
    }
    HR_TRY(queues_->engine().copy(message, payload, group));
    bytes += payload.size();
    unsynced += payload.size();
    if (unsynced < kSyncBytes) continue;
    HR_TRY(log.sync());
    unsynced = 0;
  }
  HR_TRY(append(log, group));
  HR_TRY(log.sync());
  return log.mark();
}

Status Repair::write_state(os::Disk& target, storage::Lsn position) {
  HR_ASSIGN(const auto files, storage::open_state_files(target));
  queue::Engine& engine = queues_->engine();
  engine.begin_capture(true);
  HR_TRY(files->begin(std::nullopt));
  while (auto block = engine.next_block()) HR_TRY(files->add(block->key, block->bytes));
  HR_TRY(files->commit(position));
  engine.end_capture(true);
  return {};
}

Status Repair::write(os::Disk& target, os::Entropy& entropy, const storage::LogOptions& options,
                     storage::Index& index) {
  if (report_.reindex || report_.rewrite) {
    HR_ASSIGN(const auto blobs, storage::open_blobs(disk_, entropy.u64()));
    const auto hold = blobs->hold();  // no file is deleted here: a start sweeps those that nothing names
    object::Applier applier(index, *blobs);
    HR_TRY(applier.apply(late_, report_.rewrite ? next_ - 1 : log_.last));
    HR_TRY(applier.flush());
  }
  if (!report_.rewrite) return {};
  HR_ASSIGN(const auto log, storage::create_log(target, entropy, options, next_));
  HR_TRY(copy_messages(*log));
  HR_ASSIGN(const storage::Lsn last, log->sync());
  return write_state(target, last);
}

}  // namespace hr::commit
