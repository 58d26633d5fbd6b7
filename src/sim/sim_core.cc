#include "sim/sim_core.h"

#include "os/path.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr::sim {
namespace {

using os::parent_of;

std::unexpected<Error> refuse(Errc code, std::string_view path, std::string_view why) {
  return hr::fail(code, fmt::format("{}: {}", path.empty() ? "the root folder" : path, why));
}

CutOdds draw_odds(Random& random, bool half_sectors) {
  static constexpr std::array<unsigned, 6> kKeep{0, 20, 50, 50, 80, 100};
  CutOdds odds;
  odds.keep = kKeep[random.below(kKeep.size())];
  if (random.percent(30)) odds.garble = static_cast<unsigned>(random.between(1, 30));
  if (half_sectors && random.percent(30)) odds.half = static_cast<unsigned>(random.between(1, 50));
  return odds;
}

}  // namespace

Result<std::optional<Fault>> SimDisk::Core::begin(os::Label label, std::string_view path) {
  auto count = counts.find(label);
  if (count == counts.end()) count = counts.emplace(std::string(label), 0).first;
  ++count->second;
  trace_[ops++ % kTraceMax] = &count->first;
  if (ops_left == 0) return refuse(Errc::kClosed, path, fmt::format("{}: the power is off", label));
  if (ops_left != std::numeric_limits<std::uint64_t>::max()) --ops_left;
  const std::optional<Fault> fault = due(label);
  if (fault == Fault::kIo) {
    return hr::fail(Errc::kIo, fmt::format("{} of {} failed: Input/output error", label, path));
  }
  if (fault == Fault::kNoSpace) {
    return hr::fail(Errc::kNoSpace, fmt::format("{} of {} failed: No space left on device", label, path));
  }
  return fault;
}

std::optional<Fault> SimDisk::Core::due(os::Label label) {
  for (auto rule = rules.begin(); rule != rules.end(); ++rule) {
    if (!rule->label.empty() && rule->label != label) continue;
    if (rule->skip > 0) {
      --rule->skip;
      continue;
    }
    const Fault fault = rule->fault;
    if (rule->times != 0 && --rule->times == 0) rules.erase(rule);
    return fault;
  }
  return std::nullopt;
}

Status SimDisk::Core::has_folder(std::string_view dir) const {
  if (dir.empty()) return {};
  const auto found = now_.find(dir);
  if (found == now_.end()) return refuse(Errc::kNotFound, dir, "No such file or directory");
  if (found->second) return refuse(Errc::kInvalid, dir, "Not a directory");
  return {};
}

Result<SimDisk::Core::InodePtr> SimDisk::Core::find(std::string_view path) const {
  HR_TRY(has_folder(parent_of(path)));
  const auto found = now_.find(path);
  if (found == now_.end()) return refuse(Errc::kNotFound, path, "No such file or directory");
  if (!found->second) return refuse(Errc::kInvalid, path, "Is a directory");
  return found->second;
}

void SimDisk::Core::apply(const Change& change, Names& names) {
  if (!change.gone.empty()) names.erase(change.gone);
  if (!change.name.empty()) names.insert_or_assign(change.name, change.inode);
}

Status SimDisk::Core::add(std::string_view path, InodePtr inode) {
  HR_TRY(has_folder(parent_of(path)));
  if (now_.contains(path)) return refuse(Errc::kExists, path, "File exists");
  changes_.push_back({std::string(parent_of(path)), "", std::string(path), std::move(inode)});
  apply(changes_.back(), now_);
  return {};
}

Status SimDisk::Core::make_dir(std::string_view path) {
  if (now_.contains(path)) return has_folder(path);
  return add(path, nullptr);
}

Status SimDisk::Core::remove(std::string_view path) {
  HR_TRY(find(path));
  changes_.push_back({std::string(parent_of(path)), std::string(path), "", nullptr});
  apply(changes_.back(), now_);
  return {};
}

Status SimDisk::Core::rename(std::string_view from, std::string_view to) {
  HR_ASSIGN(InodePtr inode, find(from));
  HR_TRY(has_folder(parent_of(to)));
  if (const auto target = now_.find(to); target != now_.end() && !target->second) {
    return refuse(Errc::kInvalid, to, "Is a directory");
  }
  if (from == to) return {};
  const std::string dir(parent_of(from));
  if (dir == parent_of(to)) {
    changes_.push_back({dir, std::string(from), std::string(to), inode});
    apply(changes_.back(), now_);
    return {};
  }
  // Two folders: each becomes durable on its own.
  changes_.push_back({std::string(parent_of(to)), "", std::string(to), inode});
  apply(changes_.back(), now_);
  changes_.push_back({dir, std::string(from), "", nullptr});
  apply(changes_.back(), now_);
  return {};
}

Status SimDisk::Core::sync_dir(std::string_view dir) {
  HR_TRY(has_folder(dir));
  std::erase_if(changes_, [&](const Change& change) {
    if (change.dir != dir) return false;
    apply(change, durable_);
    return true;
  });
  return {};
}

std::vector<os::DirEntry> SimDisk::Core::list(std::string_view dir) const {
  std::vector<os::DirEntry> entries;
  const std::string prefix = dir.empty() ? std::string() : fmt::format("{}/", dir);
  for (auto it = now_.lower_bound(prefix); it != now_.end() && it->first.starts_with(prefix); ++it) {
    if (parent_of(it->first) != dir) continue;
    const bool directory = !it->second;
    entries.push_back({std::string(os::name_of(it->first)), directory ? 0 : it->second->size(), directory});
  }
  std::ranges::sort(entries, {}, &os::DirEntry::name);
  return entries;
}

std::uint64_t SimDisk::Core::used_bytes() const {
  std::uint64_t used = 0;
  for (const auto& [name, inode] : now_) used += inode ? inode->size() : 0;
  return used;
}

Status SimDisk::Core::reserve(std::uint64_t more_bytes) const {
  if (options_.capacity_bytes == std::numeric_limits<std::uint64_t>::max()) return {};
  const std::uint64_t used = used_bytes();
  if (used <= options_.capacity_bytes && more_bytes <= options_.capacity_bytes - used) return {};
  return hr::fail(Errc::kNoSpace, "No space left on device");
}

// A folder whose own name was lost takes what is below it along.
void SimDisk::Core::drop_unreachable() {
  std::erase_if(now_, [&](const auto& entry) {
    for (std::string_view dir = parent_of(entry.first); !dir.empty(); dir = parent_of(dir)) {
      const auto found = now_.find(dir);
      if (found == now_.end() || found->second) return true;
    }
    return false;
  });
}

void SimDisk::Core::cut(std::uint64_t seed, const CrashOptions& crash) {
  Random random(seed);
  const CutOdds odds = crash.odds ? *crash.odds : draw_odds(random, crash.half_sectors);
  // Half of the time the order of the changes is kept (a journal), else any subset survives.
  const bool ordered = random.percent(50);
  const std::size_t kept =
      ordered && !random.percent(odds.keep) ? random.below(changes_.size() + 1) : changes_.size();
  now_ = durable_;
  for (std::size_t i = 0; i < kept; ++i) {
    if (ordered || random.percent(odds.keep)) apply(changes_[i], now_);
  }
  drop_unreachable();
  changes_.clear();
  for (const auto& [name, inode] : now_) {
    if (inode) inode->cut(odds, random);
  }
  durable_ = now_;
  restart();
}

void SimDisk::Core::restart() {
  ++generation;
  locked = false;
  ops_left = std::numeric_limits<std::uint64_t>::max();
}

std::string SimDisk::Core::trace() const {
  std::string out;
  for (std::uint64_t i = ops > kTraceMax ? ops - kTraceMax : 0; i < ops; ++i) {
    fmt::format_to(std::back_inserter(out), "{}{}", out.empty() ? "" : " ", *trace_[i % kTraceMax]);
  }
  return out;
}

}  // namespace hr::sim
