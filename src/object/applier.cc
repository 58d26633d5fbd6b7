#include "object/applier.h"

#include "object/coding.h"

#include <algorithm>

namespace hr::object {

using storage::BlobName;
using storage::Cursor;
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

Result<Blobs> blobs_of_part(ByteView value) {
  HR_ASSIGN(const Part part, decode_part(value));
  return part.blob ? Blobs{*part.blob} : Blobs{};
}

}  // namespace

Result<std::vector<BlobName>> blobs_of_object(ByteView value, const std::optional<Bytes>& body) {
  HR_ASSIGN(const Object object, decode_object(value));
  if (object.blob) return Blobs{*object.blob};
  if (object.parts == 0) return Blobs{};
  if (!body) return fail(Errc::kCorrupt, "an object of the index has parts and no manifest");
  HR_ASSIGN(const Manifest manifest, decode_manifest(*body));
  return blobs_of(manifest);
}

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
    if (change.table == Table::kParts) {
      HR_TRY(put_part(change.key, change.value));
    } else if (change.table != Table::kObjects) {
      batch_.set(change.table, std::move(change.key), std::move(change.value));
    } else if (change.value) {  // its row of kBodies follows
      storage::IndexChange& body = application.changes.at(++i);
      HR_TRY(put_object(change.key, *std::move(change.value), body.key, std::move(body.value)));
    } else {
      HR_TRY(drop_object(change.key));
    }
  }
  if (application.closed) HR_TRY(close_parts(*application.closed));
  if (application.version) HR_TRY(change_version(*application.version));
  batch_bytes_ += record.payload.size();
  held_bytes_ += record.payload.size();
  return {};
}

// Only a manifest is read for it: a body in the index names nothing.
Result<Blobs> Applier::blobs_named_by(const Bytes& value, const Bytes& body_key) const {
  HR_ASSIGN(const Object object, decode_object(value));
  if (object.blob) return Blobs{*object.blob};
  if (object.parts == 0) return Blobs{};
  HR_ASSIGN(const auto manifest, batch_.get(Table::kBodies, body_key));
  return blobs_of_object(value, manifest);
}

Status Applier::put_object(const Bytes& key, Bytes value, const Bytes& body_key, std::optional<Bytes> body) {
  HR_ASSIGN(const auto before, batch_.get(Table::kObjects, key));
  if (before) {
    HR_ASSIGN(const Blobs old, blobs_named_by(*before, body_key));
    // Applied again after a crash, a change finds itself: then nothing is replaced.
    if (!old.empty()) {
      HR_ASSIGN(const Blobs now, blobs_of_object(value, body));
      if (old != now) garbage_.insert(garbage_.end(), old.begin(), old.end());
    }
  }
  batch_.set(Table::kObjects, key, std::move(value));
  batch_.set(Table::kBodies, body_key, std::move(body));
  return {};
}

Status Applier::drop_object(const Bytes& key) {
  HR_ASSIGN(const auto before, batch_.get(Table::kObjects, key));
  if (before) {
    HR_ASSIGN(const Blobs old, blobs_named_by(*before, key));
    garbage_.insert(garbage_.end(), old.begin(), old.end());
  }
  batch_.set(Table::kObjects, key, std::nullopt);
  return {};
}

Status Applier::put_part(const Bytes& key, const std::optional<Bytes>& value) {
  HR_ASSIGN(const auto before, batch_.get(Table::kParts, key));
  if (before) {
    HR_ASSIGN(const Blobs old, blobs_of_part(*before));
    HR_ASSIGN(const Blobs now, blobs_of_part(*value));
    if (old != now) garbage_.insert(garbage_.end(), old.begin(), old.end());
  }
  batch_.set(Table::kParts, key, value);
  return {};
}

Status Applier::close_parts(const ClosedUpload& closed) {
  std::vector<Bytes> gone;
  HR_TRY(batch_.each(Table::kParts, parts_prefix(closed.upload),
                     [&](const Bytes& key, const Bytes& value) -> Result<bool> {
                       gone.push_back(key);
                       HR_ASSIGN(const std::uint32_t number, part_number(key));
                       if (std::ranges::binary_search(closed.kept, number)) return true;
                       HR_ASSIGN(const Blobs blobs, blobs_of_part(value));
                       garbage_.insert(garbage_.end(), blobs.begin(), blobs.end());
                       return true;
                     }));
  for (Bytes& key : gone) batch_.set(Table::kParts, std::move(key), std::nullopt);
  return {};
}

Status Applier::write(Lsn upto) {
  HR_TRY(index_.apply(batch_.take(), upto));
  seen_ = std::max(seen_, upto);
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

// A version's row may move between the two tables at any time; its body stays where it is.
Result<bool> still_there(const storage::Index& index, Table table, const Cursor& at, std::uint64_t version) {
  HR_ASSIGN(const auto same, index.get(table, at.key(), storage::Patience::kAny));
  if (same == at.value()) return true;
  if (table == Table::kVersions) {
    HR_ASSIGN(const VersionPlace place, decode_version_key(at.key()));
    HR_ASSIGN(const auto current,
              index.get(Table::kObjects, object_key(place.bucket, place.key), storage::Patience::kAny));
    return current == at.value();
  }
  HR_ASSIGN(const auto archived,
            index.get(Table::kVersions, version_key_of(at.key(), version), storage::Patience::kAny));
  return archived == at.value();
}

// An object's body is read after its entry: one that changed in between has left its old blobs to the
// applier, and the new ones were parts, which have been looked at, or are of this epoch.
Status acquit_rows(const storage::Index& index, Table table, Cursor& cursor, Suspects& suspects) {
  for (Status at = cursor.seek({});; at = cursor.next()) {
    HR_TRY(std::move(at));
    if (!cursor.valid()) return {};
    HR_ASSIGN(const Object object, decode_object(cursor.value()));
    std::optional<Bytes> body;
    if (object.parts > 0) {
      HR_ASSIGN(const Bytes key, body_key_of(table, cursor.key(), object.version));
      HR_ASSIGN(body, index.get(Table::kBodies, key, storage::Patience::kAny));
    }
    auto blobs = blobs_of_object(cursor.value(), body);
    if (blobs) {
      suspects.acquit(*blobs);
      continue;
    }
    HR_ASSIGN(const bool stays, still_there(index, table, cursor, object.version));
    if (stays) return std::unexpected(std::move(blobs).error());
  }
}

// Both tables as of one moment: a version that becomes current, or is no longer, is met in one of them.
Status acquit_objects(const storage::Index& index, Suspects& suspects) {
  constexpr Table kTables[] = {Table::kObjects, Table::kVersions};
  const auto cursors = index.cursors(kTables);
  for (std::size_t i = 0; i < cursors.size(); ++i)
    HR_TRY(acquit_rows(index, kTables[i], *cursors[i], suspects));
  return {};
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
