#include "object/applier.h"

#include "object/coding.h"

#include <algorithm>

namespace hr::object {

using storage::BlobName;
using storage::Lsn;
using storage::Table;

namespace {

using Blobs = std::vector<BlobName>;

Blobs blobs_of(const Manifest& manifest) {
  Blobs blobs;
  for (const Piece& piece : manifest) {
    if (piece.blob) blobs.push_back(*piece.blob);
  }
  return blobs;
}

// `body`: its row of kBodies.
Result<Blobs> blobs_of_object(ByteView value, const std::optional<Bytes>& body) {
  HR_ASSIGN(const Object object, decode_object(value));
  if (object.blob) return Blobs{*object.blob};
  if (object.parts == 0) return Blobs{};
  if (!body) return fail(Errc::kCorrupt, "an object of the index has parts and no manifest");
  HR_ASSIGN(const Manifest manifest, decode_manifest(*body));
  return blobs_of(manifest);
}

Result<Blobs> blobs_of_part(ByteView value) {
  HR_ASSIGN(const Part part, decode_part(value));
  return part.blob ? Blobs{*part.blob} : Blobs{};
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
  for (std::size_t i = 0; i < application.changes.size(); ++i) {
    storage::IndexChange& change = application.changes[i];
    if (change.table == Table::kParts) HR_TRY(note_part(change));
    if (change.table == Table::kObjects) {
      std::optional<Blobs> now;
      if (change.value) {  // its row of kBodies follows
        HR_ASSIGN(now, blobs_of_object(*change.value, application.changes.at(i + 1).value));
      }
      HR_TRY(note_object(change.key, std::move(now)));
    }
    changes_.push_back(std::move(change));
  }
  if (application.closed) HR_TRY(close_parts(*application.closed));
  batch_bytes_ += record.payload.size();
  held_bytes_ += record.payload.size();
  return {};
}

Result<std::optional<Blobs>> Applier::blobs_before(Table table, const Bytes& key) const {
  if (const auto earlier = written_.find({table, key}); earlier != written_.end()) return earlier->second;
  HR_ASSIGN(const auto value, index_.get(table, key, storage::Patience::kAny));
  if (!value) return std::nullopt;
  if (table == Table::kParts) return blobs_of_part(*value);
  HR_ASSIGN(const auto body, index_.get(Table::kBodies, key, storage::Patience::kAny));
  return blobs_of_object(*value, body);
}

Status Applier::note_object(const Bytes& key, std::optional<Blobs> now) {
  HR_ASSIGN(const auto before, blobs_before(Table::kObjects, key));
  // Applied again after a crash, a change finds itself: then nothing is replaced.
  if (before && before != now) garbage_.insert(garbage_.end(), before->begin(), before->end());
  written_[{Table::kObjects, key}] = std::move(now);
  return {};
}

Status Applier::note_part(const storage::IndexChange& change) {
  HR_ASSIGN(Blobs now, blobs_of_part(*change.value));
  HR_ASSIGN(const auto before, blobs_before(Table::kParts, change.key));
  if (before && *before != now) garbage_.insert(garbage_.end(), before->begin(), before->end());
  written_[{Table::kParts, change.key}] = std::move(now);
  return {};
}

// The parts are those of the index, as the batch has changed them so far.
Status Applier::close_parts(const ClosedUpload& closed) {
  const Bytes prefix = parts_prefix(closed.upload);
  std::map<Bytes, std::optional<Blobs>> rows;
  const auto cursor = index_.cursor(Table::kParts);
  for (Status at = cursor->seek(prefix);; at = cursor->next()) {
    HR_TRY(std::move(at));
    if (!cursor->valid() || !cursor->key().starts_with(prefix)) break;
    HR_ASSIGN(rows[Bytes(cursor->key())], blobs_of_part(cursor->value()));
  }
  for (auto at = written_.lower_bound({Table::kParts, prefix});
       at != written_.end() && at->first.first == Table::kParts && at->first.second.starts_with(prefix);
       ++at) {
    rows[at->first.second] = at->second;
  }
  for (const auto& [key, blobs] : rows) {
    if (!blobs) continue;
    changes_.push_back({Table::kParts, key, std::nullopt});
    written_[{Table::kParts, key}] = std::nullopt;
    HR_ASSIGN(const std::uint32_t number, part_number(key));
    if (std::ranges::binary_search(closed.kept, number)) continue;
    garbage_.insert(garbage_.end(), blobs->begin(), blobs->end());
  }
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

// The sorted names that may be orphans, and which of them somebody refers to.
class Suspects {
 public:
  explicit Suspects(Blobs names) : names_(std::move(names)), referenced_(names_.size()) {
    std::ranges::sort(names_);
  }
  void acquit(const Blobs& blobs) {
    for (const BlobName& blob : blobs) {
      const auto found = std::ranges::lower_bound(names_, blob);
      if (found == names_.end() || *found != blob) continue;
      referenced_[static_cast<std::size_t>(found - names_.begin())] = true;
    }
  }
  Blobs orphans() && {
    std::size_t at = 0;
    std::erase_if(names_, [&](const BlobName&) { return referenced_[at++]; });
    return std::move(names_);
  }

 private:
  Blobs names_;
  std::vector<bool> referenced_;
};

Status acquit_parts(const storage::Index& index, Suspects& suspects) {
  const auto cursor = index.cursor(Table::kParts);
  for (Status at = cursor->seek({});; at = cursor->next()) {
    HR_TRY(std::move(at));
    if (!cursor->valid()) return {};
    HR_ASSIGN(const Blobs blobs, blobs_of_part(cursor->value()));
    suspects.acquit(blobs);
  }
}

// An object's body is read after its entry: one that changed in between has left its old blobs to the
// applier, and the new ones were parts, which have been looked at, or are of this epoch.
Status acquit_objects(const storage::Index& index, Suspects& suspects) {
  const auto cursor = index.cursor(Table::kObjects);
  for (Status at = cursor->seek({});; at = cursor->next()) {
    HR_TRY(std::move(at));
    if (!cursor->valid()) return {};
    HR_ASSIGN(const Object object, decode_object(cursor->value()));
    std::optional<Bytes> body;
    if (object.parts > 0) {
      HR_ASSIGN(body, index.get(Table::kBodies, cursor->key(), storage::Patience::kAny));
    }
    auto blobs = blobs_of_object(cursor->value(), body);
    if (blobs) {
      suspects.acquit(*blobs);
      continue;
    }
    HR_ASSIGN(const auto now, index.get(Table::kObjects, cursor->key(), storage::Patience::kAny));
    if (now == cursor->value()) return std::unexpected(std::move(blobs).error());
  }
}

// Parts first: what is completed meanwhile is met as a part, or after it as an object.
Result<Blobs> orphans_among(const storage::Index& index, Blobs names) {
  Suspects suspects(std::move(names));
  HR_TRY(acquit_parts(index, suspects));
  HR_TRY(acquit_objects(index, suspects));
  return std::move(suspects).orphans();
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
    HR_ASSIGN(const Blobs orphans, orphans_among(index, std::exchange(found, {})));
    for (const BlobName& orphan : orphans) HR_TRY(blobs.remove(orphan));
    report.removed += orphans.size();
  }
  return report;
}

}  // namespace hr::object
