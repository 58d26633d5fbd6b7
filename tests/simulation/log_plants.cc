#include "log_plants.h"

#include "log_taps.h"

#include <memory>
#include <utility>

namespace hr::sim {
namespace {

using storage::BatchHeader;
using storage::Chain;
using storage::Location;
using storage::Lsn;
using storage::Position;
using storage::Record;
using storage::RecoveryRules;
using storage::Release;
using storage::SegmentedLog;

// --- above the log ---

class LogAbove : public SegmentedLog {
 public:
  explicit LogAbove(std::unique_ptr<SegmentedLog> below) : below_(std::move(below)) {}

  Status admit(std::size_t records, std::uint64_t bytes, storage::Space space) override {
    return below_->admit(records, bytes, space);
  }
  Result<Appended> append(std::span<const Record> group, storage::Space space, Release release,
                          Time now) override {
    return below_->append(group, space, release, now);
  }
  void kick() override { below_->kick(); }
  bool wait(Duration patience) override { return below_->wait(patience); }
  void wake() override { below_->wake(); }
  Result<Lsn> write() override { return below_->write(); }
  bool wants_sync() const override { return below_->wants_sync(); }
  Result<Lsn> sync() override { return below_->sync(); }
  Status mark() override { return below_->mark(); }
  Result<Bytes> read(const Location& at) const override { return below_->read(at); }
  std::uint64_t epoch() const override { return below_->epoch(); }
  Status drop_before(Lsn lsn, std::uint32_t segment) override { return below_->drop_before(lsn, segment); }
  Stats stats() const override { return below_->stats(); }

 protected:
  std::unique_ptr<SegmentedLog> below_;
};

class AcknowledgesBeforeSync final : public LogAbove {
 public:
  using LogAbove::LogAbove;
  Result<Lsn> write() override {
    if (std::exchange(owed_, false)) HR_TRY(below_->sync());
    return written_ = below_->write();
  }
  Result<Lsn> sync() override {
    owed_ = true;
    return written_;
  }

 private:
  Result<Lsn> written_ = below_->sync();
  bool owed_ = false;
};

class ReportsAppendedAsWritten final : public LogAbove {
 public:
  using LogAbove::LogAbove;
  Result<Appended> append(std::span<const Record> group, storage::Space space, Release release,
                          Time now) override {
    auto appended = below_->append(group, space, release, now);
    if (appended) last_ = appended->lsn;
    return appended;
  }
  Result<Lsn> write() override {
    HR_ASSIGN(const Lsn written, below_->write());
    return std::max(written, last_);
  }

 private:
  Lsn last_ = 0;
};

class IgnoresReserve final : public LogAbove {
 public:
  using LogAbove::LogAbove;
  Result<Appended> append(std::span<const Record> group, storage::Space, Release release, Time now) override {
    return below_->append(group, storage::Space::kShrink, release, now);
  }
};

class ReadsWithoutChecksum final : public LogAbove {
 public:
  ReadsWithoutChecksum(std::unique_ptr<SegmentedLog> below, os::Disk& disk)
      : LogAbove(std::move(below)), disk_(disk) {}
  Result<Bytes> read(const Location& at) const override {
    auto checked = below_->read(at);
    if (checked || checked.error().code != Errc::kCorrupt) return checked;
    HR_ASSIGN(const auto file, disk_.open(storage::segment_path(at.segment), os::OpenMode::kRead, "t.open"));
    Bytes bytes(at.bytes, '\0');
    HR_TRY(file->read_at(at.offset, bytes, "t.read"));
    if (!bytes.empty()) bytes[0] = static_cast<char>(bytes[0] ^ 1);  // what the turned bit would have done
    return bytes;
  }

 private:
  os::Disk& disk_;
};

class DiesOnlyOnce final : public LogAbove {
 public:
  using LogAbove::LogAbove;
  Result<Lsn> sync() override {
    auto synced = below_->sync();
    if (synced) return last_ = *synced;
    return std::exchange(failed_, true) ? Result<Lsn>(last_) : synced;
  }

 private:
  Lsn last_ = 0;
  bool failed_ = false;
};

template <class Log>
LogSubject above() {
  LogSubject subject;
  subject.log = [](std::unique_ptr<SegmentedLog> below, os::Disk& disk) -> std::unique_ptr<SegmentedLog> {
    if constexpr (std::is_constructible_v<Log, std::unique_ptr<SegmentedLog>, os::Disk&>) {
      return std::make_unique<Log>(std::move(below), disk);
    } else {
      return std::make_unique<Log>(std::move(below));
    }
  };
  return subject;
}

// --- in recovery ---

struct NoPayloadChecksum final : RecoveryRules {
  bool intact(const BatchHeader&, ByteView) const override { return true; }
};

struct AnyEpochContinues final : RecoveryRules {
  bool continues(const BatchHeader& header, const Chain& chain) const override {
    return header.log_id == chain.log_id && header.first == chain.next;
  }
};

struct DamageIsTorn final : RecoveryRules {
  bool is_damage(Position, Position) const override { return false; }
};

LogSubject recovering(std::shared_ptr<const RecoveryRules> rules) {
  LogSubject subject;
  subject.rules = std::move(rules);
  return subject;
}

// --- below the log ---

LogSubject below(const Taps& taps) {
  LogSubject subject;
  subject.disk = [taps](os::Disk& disk) { return tapped(disk, taps); };
  return subject;
}

LogSubject without(std::vector<std::string> labels) {
  Taps taps;
  taps.skipped = std::move(labels);
  return below(taps);
}

}  // namespace

std::vector<LogPlant> log_plants() {
  return {
      {"nothing is synced", without({"log.sync", "log.rotate_sync"})},
      {"every fifth sync only", below({.skipped_but_fifth = "log.sync"})},
      {"acknowledged before the sync", above<AcknowledgesBeforeSync>()},
      {"reported as written when appended", above<ReportsAppendedAsWritten>()},
      {"folder not synced", without({"log.syncdir"})},
      {"folder not synced after dropping", without({"log.drop_syncdir"})},
      {"segment header not synced", without({"log.header_sync"})},
      {"old segment not synced before rotation", without({"log.rotate_sync"})},
      {"last batch lost on rotation", below({.last_write_lost_on = "log.rotate_sync"})},
      {"no seal: a lost last segment goes unseen", without({"log.seal"})},
      {"failed sync tried again", below({.retried = "log.sync"})},
      {"failed sync forgotten", above<DiesOnlyOnce>()},
      {"page cache believed after a failed sync", without({"log.drop_cache"})},
      {"kept bytes not synced by recovery", without({"log.recover_sync"})},
      {"torn tail kept: no new epoch", without({"log.epoch"})},
      {"new epoch not synced", without({"log.epoch_sync"})},
      {"batch checksum not verified", recovering(std::make_shared<NoPayloadChecksum>())},
      {"stale epoch accepted", recovering(std::make_shared<AnyEpochContinues>())},
      {"durable mark ignored", recovering(std::make_shared<DamageIsTorn>())},
      {"record checksum not verified", above<ReadsWithoutChecksum>()},
      {"reserve given away", above<IgnoresReserve>()},
  };
}

}  // namespace hr::sim
