#include "object/applier.h"

#include "object/coding.h"

#include <algorithm>

namespace hr::object {

using storage::BlobName;
using storage::Lsn;
using storage::Table;

namespace {

Result<std::optional<BlobName>> blob_of(const std::optional<Bytes>& value) {
  if (!value) return std::nullopt;
  HR_ASSIGN(const Object object, decode_object(*value));
  return object.blob;
}

}  // namespace

Result<Lsn> Applier::apply(std::span<const AppliedRecord> records, Lsn upto) {
  seen_ = std::max(seen_, index_.applied());
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].lsn <= index_.applied()) continue;
    HR_TRY(gather(records[i]));
    const bool group_ends = i + 1 == records.size() || records[i + 1].lsn != records[i].lsn;
    if (group_ends && (batch_bytes_ >= limits_.batch_bytes_max || i + 1 == records.size())) {
      HR_TRY(write(records[i].lsn));
    }
  }
  seen_ = std::max(seen_, upto);
  return seen_;
}

Status Applier::gather(const AppliedRecord& record) {
  HR_ASSIGN(Application application, application_of(record.kind, record.payload));
  for (storage::IndexChange& change : application.changes) {
    if (change.table == Table::kObjects) HR_TRY(note_replaced(change.key, change.value));
    changes_.push_back(std::move(change));
  }
  batch_bytes_ += record.payload.size();
  held_bytes_ += record.payload.size();
  return {};
}

Status Applier::note_replaced(const Bytes& key, const std::optional<Bytes>& value) {
  HR_ASSIGN(const std::optional<BlobName> named, blob_of(value));
  std::optional<BlobName> before;
  if (const auto earlier = written_.find(key); earlier != written_.end()) {
    before = earlier->second;
  } else {
    HR_ASSIGN(const auto old, index_.get(Table::kObjects, key, storage::Patience::kAny));
    HR_ASSIGN(before, blob_of(old));
  }
  if (before && before != named) garbage_.push_back(*before);
  written_[key] = named;
  return {};
}

Status Applier::write(Lsn upto) {
  HR_TRY(index_.apply(changes_, upto));
  seen_ = std::max(seen_, upto);
  changes_.clear();
  written_.clear();
  batch_bytes_ = 0;
  for (const BlobName& blob : garbage_) HR_TRY(blobs_.remove(blob));
  garbage_.clear();
  return {};
}

Status Applier::maybe_flush(Time now) {
  if (held_bytes_ == 0 && seen_ <= index_.durable() && index_.applied() == index_.durable()) return {};
  if (!held_since_) held_since_ = now;
  if (held_bytes_ < limits_.held_bytes_max && now - *held_since_ < limits_.held_max) return {};
  return flush();
}

Status Applier::flush() {
  if (seen_ > index_.applied()) HR_TRY(index_.apply({}, seen_));
  HR_TRY(index_.flush());
  held_bytes_ = 0;
  held_since_.reset();
  return {};
}

namespace {

// Takes every blob that an object names out of `orphans` (sorted).
Status keep_referenced(const storage::Index& index, std::vector<BlobName>& orphans) {
  std::vector<bool> referenced(orphans.size());
  const auto cursor = index.cursor(Table::kObjects);
  for (Status at = cursor->seek({});; at = cursor->next()) {
    HR_TRY(std::move(at));
    if (!cursor->valid()) break;
    HR_ASSIGN(const Object object, decode_object(cursor->value()));
    if (!object.blob) continue;
    const auto found = std::ranges::lower_bound(orphans, *object.blob);
    if (found == orphans.end() || *found != *object.blob) continue;
    referenced[static_cast<std::size_t>(found - orphans.begin())] = true;
  }
  std::size_t at = 0;
  std::erase_if(orphans, [&](const BlobName&) { return referenced[at++]; });
  return {};
}

}  // namespace

Result<SweepReport> sweep_orphans(storage::BlobStore& blobs, const storage::Index& index, std::uint64_t epoch,
                                  std::size_t batch) {
  SweepReport report;
  std::vector<BlobName> found;
  for (unsigned folder = 0; folder < storage::kBlobFolders; ++folder) {
    HR_ASSIGN(std::vector<BlobName> names, blobs.list(folder));
    std::erase_if(names, [&](const BlobName& name) { return name.epoch == epoch; });
    found.insert(found.end(), names.begin(), names.end());
    const bool last = folder + 1 == storage::kBlobFolders;
    if (found.empty() || (found.size() < batch && !last)) continue;
    report.blobs += found.size();
    std::ranges::sort(found);
    HR_TRY(keep_referenced(index, found));
    for (const BlobName& orphan : found) HR_TRY(blobs.remove(orphan));
    report.removed += found.size();
    found.clear();
  }
  return report;
}

}  // namespace hr::object
