#include "log_run.h"

#include "log_oracle.h"
#include "sim/sim.h"
#include "sim/sim_disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace hr::sim {
namespace {

using storage::Lsn;
using storage::Record;
using storage::Release;
using storage::SegmentedLog;
using SpaceUse = storage::Space;

constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};

storage::LogOptions draw_options(Random& random) {
  return {.segment_bytes = random.percent(80) ? 64U << 10 : 96U << 10,
          .batch_bytes_max = random.percent(70) ? 16U << 10 : 4U << 10};
}

class LogWorld {
 public:
  LogWorld(std::uint64_t seed, const LogSubject& subject)
      : random_(seed),
        entropy_(seed),
        base_({.seed = seed}),
        subject_(subject),
        options_(draw_options(random_)) {
    if (subject.disk) decorated_ = subject.disk(base_);
  }

  LogRun run(std::uint64_t operations);

 private:
  // Every step answers false when something differs; `run_.difference` says what.
  bool differ(std::string what);
  bool step();
  bool append();
  bool append_plainly(SpaceUse space, std::vector<Record> group);
  bool write();
  bool sync();
  bool read();
  bool drop();
  bool idle();

  bool cut_now();
  bool cut_in_work();
  bool kill();
  bool fault();
  bool fill_disk();
  bool fill_and_free();
  bool damage_bit();
  bool tamper();
  bool move_durably(const std::string& from, const std::string& to) {
    return base_.rename(from, to, "t.rename") && base_.sync_dir("log", "t.syncdir") &&
           base_.sync_dir("", "t.syncdir");
  }

  bool reopen();
  bool open_once(std::optional<Error>& error);
  bool open_damaged(const std::function<bool()>& mend);
  void close() { log_.reset(); }
  bool settle();
  bool dead_stays_dead();
  std::vector<Record> draw_group();
  os::Disk& disk() { return decorated_ ? *decorated_ : base_; }

  Random random_;
  SimEntropy entropy_;
  SimDisk base_;
  const LogSubject& subject_;
  const storage::LogOptions options_;
  std::unique_ptr<os::Disk> decorated_;
  std::unique_ptr<SegmentedLog> log_;
  LogOracle oracle_;
  LogRun run_;
};

bool LogWorld::differ(std::string what) {
  if (!run_.difference) run_.difference = fmt::format("{}; last operations: {}", what, base_.trace());
  return false;
}

LogRun LogWorld::run(std::uint64_t operations) {
  if (reopen()) {
    while (run_.operations < operations && step()) ++run_.operations;
    if (!run_.difference) cut_now();
  }
  run_.groups = oracle_.groups_ever();
  close();
  return run_;
}

bool LogWorld::step() {
  const std::uint64_t dice = random_.below(1000);
  if (dice < 420) return append();
  if (dice < 600) return write();
  if (dice < 720) return sync();
  if (dice < 830) return read();
  if (dice < 860) return idle();
  if (dice < 890) return drop();
  if (dice < 915) return cut_now();
  if (dice < 935) return cut_in_work();
  if (dice < 955) return kill();
  if (dice < 970) return fault();
  if (dice < 973) return fill_and_free();
  if (dice < 990) return damage_bit();
  return tamper();
}

// --- work ---

std::vector<Record> LogWorld::draw_group() {
  std::vector<Record> group(random_.percent(70) ? 1 : random_.between(2, 4));
  for (Record& record : group) {
    record.kind = static_cast<std::uint8_t>(random_.between(1, 127));
    const std::uint64_t most = random_.percent(70)   ? 60
                               : random_.percent(90) ? 900
                                                     : options_.batch_bytes_max / 5;
    record.payload.resize(random_.below(most + 1));
    const std::uint64_t pattern = random_.u64();
    for (std::size_t i = 0; i < record.payload.size(); ++i) {
      record.payload[i] = static_cast<char>((pattern >> (i % 8 * 8)) + i / 8);
    }
  }
  return group;
}

bool LogWorld::append() {
  const std::vector<Record> group = draw_group();
  const SpaceUse space = random_.percent(50) ? SpaceUse::kGrow : SpaceUse::kShrink;
  const Release release = random_.percent(80) ? Release::kDurable : Release::kWritten;
  std::uint64_t bytes = 0;
  for (const Record& record : group) bytes += record.payload.size();
  const bool admitted = random_.percent(30) && log_->admit(group.size(), bytes, space);
  if (admitted && random_.percent(30) && !write()) return false;
  if (admitted && random_.percent(10) && !log_->mark()) return true;  // dead: found at the next step
  auto appended = log_->append(group, space, release, from_ms(static_cast<std::int64_t>(run_.operations)));
  if (appended)
    return oracle_.appended(group, *appended) || differ("append gave a wrong lsn or too few places");
  const Errc code = appended.error().code;
  if (!admitted && (code == Errc::kBusy || code == Errc::kNoSpace)) return true;
  return differ(
      fmt::format("append was refused{}: {}", admitted ? " after admit" : "", appended.error().message));
}

// Refusals are fine.
bool LogWorld::append_plainly(SpaceUse space, std::vector<Record> group) {
  const auto appended = log_->append(group, space, Release::kDurable, from_ms(0));
  return !appended || oracle_.appended(group, *appended) || differ("append gave a wrong lsn");
}

bool LogWorld::write() {
  const auto written = log_->write();
  if (!written) return differ("write failed without a fault: " + written.error().message);
  return oracle_.written(*written) ||
         differ(fmt::format("write answered lsn {}, which was not appended", *written));
}

bool LogWorld::sync() {
  if (!log_->wants_sync() && random_.percent(80)) return true;
  const auto durable = log_->sync();
  if (!durable) return differ("sync failed without a fault: " + durable.error().message);
  oracle_.durable(*durable);
  return true;
}

bool LogWorld::read() {
  const auto wanted = oracle_.any_record(random_);
  if (!wanted) return true;
  const bool flip = random_.percent(10);
  if (flip) base_.fail("log.read_record", Fault::kBitFlip);
  const auto got = log_->read(wanted->at);
  base_.clear_faults();
  if (got)
    return *got == wanted->payload || differ(fmt::format("read gave wrong bytes of lsn {}", wanted->lsn));
  if (flip && got.error().code == Errc::kCorrupt) return true;
  return differ(fmt::format("lsn {} is not readable: {}", wanted->lsn, got.error().message));
}

bool LogWorld::drop() {
  const Lsn before = oracle_.draw_droppable(random_);
  if (const Status dropped = log_->drop_before(before, UINT32_MAX); !dropped)
    return differ(dropped.error().message);
  oracle_.dropped(before);
  return true;
}

bool LogWorld::idle() {
  if (log_->wait(0ms)) return true;
  return !random_.percent(50) || settle();
}

// Everything appended is durable and marked afterwards.
bool LogWorld::settle() {
  while (log_->wait(0ms)) {
    if (!write()) return false;
  }
  if (const Status marked = log_->mark(); !marked) return differ("mark failed: " + marked.error().message);
  const auto durable = log_->sync();
  if (!durable) return differ("sync failed: " + durable.error().message);
  oracle_.durable(*durable);
  return oracle_.all_durable() || differ("mark left something that is not durable");
}

// --- ends ---

bool LogWorld::cut_now() {
  close();
  base_.crash(random_.u64(), {.odds = std::nullopt, .half_sectors = true});
  ++run_.cuts;
  oracle_.power_cut();
  return reopen();
}

// The power fails inside some operation of the next few steps.
bool LogWorld::cut_in_work() {
  base_.crash_after_ops(random_.between(0, 25));
  for (int i = 0; i < 40; ++i) {
    if (!append_plainly(SpaceUse::kGrow, draw_group())) return false;
    if (const auto written = log_->write()) oracle_.written(*written);
    if (!random_.percent(60)) continue;
    if (const auto durable = log_->sync()) oracle_.durable(*durable);
  }
  return cut_now();
}

bool LogWorld::kill() {
  close();
  base_.restart();
  ++run_.kills;
  oracle_.killed();
  return reopen();
}

bool LogWorld::dead_stays_dead() {
  base_.clear_faults();
  const std::vector<Record> group{{1, "x"}};
  for (int i = 0; i < 3; ++i) {
    if (log_->append(group, SpaceUse::kShrink, Release::kDurable, from_ms(0)) || log_->write() ||
        log_->sync()) {
      return differ("the log went on after a failed write or sync");
    }
  }
  return true;
}

bool LogWorld::fault() {
  static constexpr std::array<const char*, 8> kLabels{"log.write",       "log.sync",   "log.sync",
                                                      "log.rotate_sync", "log.header", "log.syncdir",
                                                      "log.rename",      "log.seal"};
  const std::string label = kLabels[random_.below(kLabels.size())];
  const Fault kind = label == "log.write" && random_.percent(50) ? Fault::kShortWrite
                     : random_.percent(80)                       ? Fault::kIo
                                                                 : Fault::kNoSpace;
  base_.fail(label, kind, random_.between(1, 3), 1);
  ++run_.faults;
  for (int i = 0; i < 12; ++i) {
    if (!append_plainly(SpaceUse::kShrink, draw_group())) return false;
    const auto written = log_->write();
    if (written) oracle_.written(*written);
    const auto durable = written ? log_->sync() : written;
    if (durable) oracle_.durable(*durable);
    if (durable) continue;
    oracle_.sync_failed();
    if (!dead_stays_dead()) return false;
    return random_.percent(50) ? kill() : cut_now();
  }
  base_.clear_faults();
  return true;
}

// Afterwards what grows is refused, and what shrinks still finds a whole segment of the reserve.
bool LogWorld::fill_disk() {
  bool refused = false;
  for (int i = 0; i < 3000 && !refused; ++i) {
    const std::vector<Record> group{{1, Bytes(3000, 'g')}};
    const auto appended = log_->append(group, SpaceUse::kGrow, Release::kDurable, from_ms(0));
    if (appended && !oracle_.appended(group, *appended)) return differ("append gave a wrong lsn");
    refused = !appended && appended.error().code == Errc::kNoSpace;
    if (!appended && !settle()) return false;
  }
  if (!refused || !log_->stats().space_refused) return differ("a full disk does not refuse what grows");
  for (int i = 0; i < 15; ++i) {
    const std::vector<Record> group{{1, Bytes(3000, 's')}};
    const auto appended = log_->append(group, SpaceUse::kShrink, Release::kDurable, from_ms(0));
    if (!appended) return differ("the reserve was gone when it was needed: " + appended.error().message);
    if (!oracle_.appended(group, *appended)) return differ("append gave a wrong lsn");
    if (!settle()) return false;
  }
  return true;
}

bool LogWorld::fill_and_free() {
  if (!settle()) return false;
  base_.set_capacity(base_.used_bytes() + random_.below(100'000));
  ++run_.full;
  const bool filled = fill_disk();
  base_.set_capacity(kUnlimited);
  if (!filled) return false;
  if (random_.percent(30)) return cut_now();
  if (!settle()) return false;
  const std::vector<Record> group{{1, "again"}};
  const auto appended = log_->append(group, SpaceUse::kGrow, Release::kDurable, from_ms(0));
  if (!appended) return differ("space came back, and growth is refused: " + appended.error().message);
  const Lsn durable = oracle_.acknowledged();
  if (!oracle_.appended(group, *appended) || !settle() || !log_->drop_before(durable, UINT32_MAX))
    return differ("after a full disk");
  oracle_.dropped(durable);
  return true;
}

// --- damage ---

// One bit of the part of a segment that was written, all of it marked durable before: found by name, or
// without consequence.
bool LogWorld::damage_bit() {
  if (!settle()) return false;
  close();
  base_.restart();
  const auto files = base_.list("log", "t.list");
  const auto& file = (*files)[random_.below(files->size())];
  if (file.name.starts_with("spare")) return reopen();
  const std::string path = "log/" + file.name;
  const Bytes bytes = *base_.contents(path);
  const std::size_t used = bytes.find_last_not_of('\0') + 1;
  const std::uint64_t at = random_.below(used);
  base_.damage(path, at, Bytes(1, static_cast<char>(bytes[at] ^ (1 << random_.below(8)))));
  ++run_.damages;
  return open_damaged([&] { return base_.damage(path, at, bytes.substr(at, 1)); });
}

bool LogWorld::open_damaged(const std::function<bool()>& mend) {
  const auto before = base_.list("log", "t.list");
  std::optional<Error> error;
  if (!open_once(error)) return false;
  if (!error) return true;
  ++run_.refused;
  if (error->code != Errc::kCorrupt && error->code != Errc::kUnsupported) return differ(error->message);
  if (!error->message.contains("log/")) return differ("an error without a place: " + error->message);
  if (base_.list("log", "t.list") != before) return differ("a refused log was changed");
  if (!mend()) return differ("the test could not mend its damage");
  return reopen();
}

// A segment truncated, or taken away (not the first: that is how dropping looks).
bool LogWorld::tamper() {
  if (!settle()) return false;
  close();
  base_.restart();
  auto files = *base_.list("log", "t.list");
  std::erase_if(files, [](const os::DirEntry& e) { return e.name.starts_with("spare"); });
  const std::size_t pick = random_.below(files.size());
  const std::string path = "log/" + files[pick].name;
  ++run_.damages;
  if (random_.percent(50) && (pick > 0 || files.size() == 1)) {
    if (!move_durably(path, "away")) return differ("the test could not rename");
    return open_damaged([&] { return move_durably("away", path); });
  }
  const Bytes all = *base_.contents(path);
  auto file = base_.open(path, os::OpenMode::kReadWrite, "t.open");
  if (!file || !(*file)->truncate(random_.below(all.size()), "t.truncate"))
    return differ("the test could not truncate");
  return open_damaged([&] { return (*file)->write_at(0, all, "t.write") && (*file)->sync("t.sync"); });
}

// --- recovery ---

// False: something differs. An error of open_log() itself is the caller's to judge.
bool LogWorld::open_once(std::optional<Error>& error) {
  oracle_.start_recovery();
  storage::RecoveryReport report;
  auto opened = storage::open_log_with(
      *subject_.rules, disk(), entropy_, options_,
      [this](const storage::RecoveredRecord& record) {
        oracle_.recovered(record);
        return Status();
      },
      report);
  if (!opened) {
    error = opened.error();
    return true;
  }
  log_ = subject_.log ? subject_.log(std::move(*opened), disk()) : std::move(*opened);
  if (auto wrong = oracle_.finish_recovery(report)) return differ(std::move(*wrong));
  return true;
}

bool LogWorld::reopen() {
  for (int cuts = 0; random_.percent(25) && cuts < 4; ++cuts) {
    base_.crash_after_ops(random_.below(20));
    std::optional<Error> error;
    if (!open_once(error)) return false;
    close();
    if (error && error->code != Errc::kClosed) return differ("not opened: " + error->message);
    const bool cut = random_.percent(70);
    if (cut) {
      base_.crash(random_.u64(), {.odds = std::nullopt, .half_sectors = true});
      oracle_.power_cut();
    } else {
      base_.restart();
    }
    ++(cut ? run_.cuts : run_.kills);
  }
  const int times = random_.percent(10) ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    close();
    base_.restart();
    if (random_.percent(5)) base_.fail("log.read", Fault::kBitFlip, random_.between(1, 4), 1);
    std::optional<Error> error;
    if (!open_once(error)) return false;
    base_.clear_faults();
    if (error) return differ("not opened: " + error->message);
  }
  return true;
}

}  // namespace

void LogRun::add(const LogRun& other) {
  operations += other.operations;
  groups += other.groups;
  cuts += other.cuts;
  kills += other.kills;
  faults += other.faults;
  full += other.full;
  damages += other.damages;
  refused += other.refused;
}

LogRun run_log(std::uint64_t seed, std::uint64_t operations, const LogSubject& subject) {
  return LogWorld(seed, subject).run(operations);
}

}  // namespace hr::sim
