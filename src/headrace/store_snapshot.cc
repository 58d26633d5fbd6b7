#include "headrace/store_snapshot.h"

#include "codec/json.h"
#include "storage/log/segment_set.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <utility>

namespace hr {
namespace {

namespace fs = std::filesystem;

Status said(const std::error_code& error, std::string_view what, const fs::path& path) {
  if (!error) return {};
  const bool full = error == std::errc::no_space_on_device;
  return fail(full ? Errc::kNoSpace : Errc::kIo,
              fmt::format("{} {}: {}", what, path.string(), error.message()));
}

Status make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directory(path, error);
  return said(error, "making", path);
}

// Those that are gone since the folder was listed are needed by nobody.
Status link_all(const fs::path& from, const fs::path& to,
                const std::function<bool(std::string_view)>& wanted) {
  HR_TRY(make_folder(to));
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(from, error)) {
    const std::string name = entry.path().filename().string();
    if (!wanted(name)) continue;
    std::error_code refused;
    fs::create_hard_link(entry.path(), to / name, refused);
    if (refused != std::errc::no_such_file_or_directory) HR_TRY(said(refused, "linking", entry.path()));
  }
  return said(error, "listing", from);
}

}  // namespace

std::string to_json(const Snapshot& s) {
  Bytes text;
  codec::JsonWriter(text)
      .begin_object()
      .field("id", s.id)
      .field("last_group", std::to_string(s.last))
      .field("segment", static_cast<std::int64_t>(s.segment))
      .field("end", static_cast<std::int64_t>(s.end))
      .field("next_blob", fmt::format("{:016x}-{:016x}", s.next_blob.epoch, s.next_blob.number))
      .end_object();
  return text;
}

Result<Snapshot> parse_snapshot(std::string_view json) {
  HR_ASSIGN(const codec::Json document, codec::parse_json(json));
  const auto text = [&](const char* name) {
    const codec::Json* const value = document.find(name);
    const Bytes* const found = value == nullptr ? nullptr : value->as_string();
    return found == nullptr ? Bytes() : *found;
  };
  const auto number = [&](const char* name) {
    const codec::Json* const value = document.find(name);
    return value == nullptr ? std::nullopt : value->as_int();
  };
  const auto blob = storage::parse_blob_name(text("next_blob"));
  const auto segment = number("segment"), end = number("end");
  const std::string groups = text("last_group");
  storage::Lsn last = 0;
  const auto [stopped, error] = std::from_chars(groups.data(), groups.data() + groups.size(), last);
  const bool counted = error == std::errc() && stopped == groups.data() + groups.size();
  if (!blob || !segment || !end || !counted)
    return fail(Errc::kInvalid, "the store's answer is not that of a snapshot");
  return Snapshot{.id = text("id"),
                  .last = last,
                  .segment = static_cast<std::uint32_t>(*segment),
                  .end = static_cast<std::uint32_t>(*end),
                  .next_blob = *blob};
}

Status Snapshots::clear(const std::string& path) {
  std::error_code error;
  const fs::path folder = fs::path(path) / kSnapshotFolder;
  fs::remove_all(folder, error);
  return said(error, "removing", folder);
}

Result<Snapshot> Snapshots::take() {
  const std::lock_guard lock(mutex_);
  const Time now = parts_.clock.now();
  if (held_ && now < held_->heard + kPatience)
    return fail(Errc::kBusy, "another backup is being made of this store");
  HR_TRY(end_held());
  Held held{.snapshot = {.id = fmt::format("{:016x}", parts_.entropy.u64()), .next_blob = {}},
            .blobs = parts_.blobs.hold(),
            .heard = now};
  Status linked = parts_.threads.between_steps([&] { return link_files(held.snapshot); });
  if (!linked) {
    static_cast<void>(clear(parts_.path));
    return std::unexpected(std::move(linked).error());
  }
  held.heard = parts_.clock.now();
  parts_.diary.info("store.snapshot", {{"groups", held.snapshot.last}});
  held_ = std::move(held);
  return held_->snapshot;
}

// The index first, then the checkpoint, then where the log ends: neither is ahead of it. What the log loses
// meanwhile at its front, neither of them needs. Bodies last: what a record names was written before it.
Status Snapshots::link_files(Snapshot& snapshot) {
  HR_TRY(clear(parts_.path));
  const fs::path root = parts_.path;
  const fs::path to = root / kSnapshotFolder;
  HR_TRY(make_folder(to));
  HR_TRY(parts_.index.copy_to((to / "index").string()));
  HR_TRY(link_all(root / "state", to / "state",
                  [](std::string_view name) { return name.ends_with(".checkpoint"); }));
  const auto log = parts_.log.stats();
  snapshot.last = log.durable;
  snapshot.segment = log.durable_segment;
  snapshot.end = log.durable_offset;
  snapshot.next_blob = parts_.blobs.next();
  return link_all(root / "log", to / "log", [&](std::string_view name) {
    const auto number = storage::segment_number(name);
    return number && *number <= log.durable_segment;
  });
}

Status Snapshots::keep(std::string_view id) {
  const std::lock_guard lock(mutex_);
  if (!held_ || held_->snapshot.id != id) return fail(Errc::kNotFound, "this snapshot is gone");
  held_->heard = parts_.clock.now();
  return {};
}

Status Snapshots::end(std::string_view id) {
  const std::lock_guard lock(mutex_);
  if (!held_ || held_->snapshot.id != id) return fail(Errc::kNotFound, "this snapshot is gone");
  return end_held();
}

Status Snapshots::end_held() {
  held_.reset();
  return clear(parts_.path);
}

bool Snapshots::is_overdue() const {
  const std::unique_lock lock(mutex_, std::try_to_lock);  // one that is being taken is not overdue
  return lock && held_ && parts_.clock.now() >= held_->heard + kPatience;
}

void Snapshots::end_overdue() {
  if (!is_overdue()) return;
  const std::lock_guard lock(mutex_);
  if (!held_) return;
  parts_.diary.warning("store.snapshot_abandoned", {{"groups", held_->snapshot.last}});
  if (Status ended = end_held(); !ended)
    parts_.diary.warning("store.snapshot_left", {{"reason", ended.error().message}});
}

}  // namespace hr
