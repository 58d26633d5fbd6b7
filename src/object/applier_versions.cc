// Versions of a key in the index: the current object stands in kObjects, all that are not current and every
// delete marker in kVersions. A key that has no row in kObjects has a delete marker as its newest version, or
// no versions at all.
#include "object/applier.h"
#include "object/coding.h"

#include <utility>

namespace hr::object {

using storage::Table;
using What = VersionChange::What;

Result<std::optional<Applier::Row>> Applier::row_of(Table table, const Bytes& key) const {
  HR_ASSIGN(auto value, batch_.get(table, key));
  if (!value) return std::nullopt;
  HR_ASSIGN(Object object, decode_object(*value));
  return Row{.value = *std::move(value), .object = std::move(object)};
}

Status Applier::change_version(const VersionChange& change) {
  switch (change.what) {
    case What::kPut:
    case What::kMarker:
      return put_version(change);
    case What::kSet:
      return set_version(change);
    case What::kRemove:
      return remove_version(change);
  }
  return {};
}

Status Applier::put_version(const VersionChange& change) {
  const Bytes key = object_key(change.bucket, change.key);
  if (!change.numbered) HR_TRY(drop_null(change));
  HR_ASSIGN(auto current, row_of(Table::kObjects, key));
  // Applied again after a crash, a change finds itself.
  if (current && current->object.version != change.version) HR_TRY(archive(change, *std::move(current)));
  if (change.what == What::kMarker) {
    batch_.set(Table::kObjects, key, std::nullopt);
    batch_.set(Table::kVersions, version_key(change.bucket, change.key, change.version), change.object);
    if (!change.numbered) batch_.set(Table::kNulls, key, big_endian(change.version));
    return {};
  }
  batch_.set(Table::kObjects, key, change.object);
  if (change.body)
    batch_.set(Table::kBodies, body_key(change.bucket, change.key, change.version), change.body);
  return {};
}

// It is current no longer.
Status Applier::archive(const VersionChange& change, Row current) {
  const std::uint64_t version = current.object.version;
  if (!current.object.numbered) {
    batch_.set(Table::kNulls, object_key(change.bucket, change.key), big_endian(version));
  }
  batch_.set(Table::kVersions, version_key(change.bucket, change.key, version), std::move(current.value));
  return {};
}

// The version of the key that has no id of its own goes, unless it is the one being put.
Status Applier::drop_null(const VersionChange& change) {
  const Bytes key = object_key(change.bucket, change.key);
  HR_ASSIGN(const auto current, row_of(Table::kObjects, key));
  if (current && !current->object.numbered && current->object.version != change.version) {
    return drop_version(change, key, *current, Table::kObjects);
  }
  HR_ASSIGN(const auto null, batch_.get(Table::kNulls, key));
  if (!null) return {};
  HR_ASSIGN(const std::uint64_t version, decode_null(*null));
  if (version == change.version) return {};
  const Bytes place = version_key(change.bucket, change.key, version);
  HR_ASSIGN(const auto row, row_of(Table::kVersions, place));
  if (!row) return fail(Errc::kCorrupt, "the index names a version that is not there");
  return drop_version(change, place, *row, Table::kVersions);
}

Status Applier::drop_version(const VersionChange& change, const Bytes& key, const Row& row, Table table) {
  const Bytes body = body_key(change.bucket, change.key, row.object.version);
  HR_ASSIGN(const auto old_body, batch_.get(Table::kBodies, body));
  HR_ASSIGN(const auto blobs, blobs_of_object(row.value, old_body));
  garbage_.insert(garbage_.end(), blobs.begin(), blobs.end());
  batch_.set(table, key, std::nullopt);
  if (old_body) batch_.set(Table::kBodies, body, std::nullopt);
  if (table == Table::kVersions && !row.object.numbered) {
    batch_.set(Table::kNulls, object_key(change.bucket, change.key), std::nullopt);
  }
  return {};
}

Status Applier::set_version(const VersionChange& change) {
  const Bytes key = object_key(change.bucket, change.key);
  HR_ASSIGN(const auto current, row_of(Table::kObjects, key));
  if (current && current->object.version == change.version) {
    batch_.set(Table::kObjects, key, change.object);
    return {};
  }
  Bytes place = version_key(change.bucket, change.key, change.version);
  HR_ASSIGN(const auto archived, batch_.get(Table::kVersions, place));
  if (archived) batch_.set(Table::kVersions, std::move(place), change.object);
  return {};
}

Status Applier::remove_version(const VersionChange& change) {
  const Bytes key = object_key(change.bucket, change.key);
  HR_ASSIGN(const auto current, row_of(Table::kObjects, key));
  if (current && current->object.version == change.version) {
    HR_TRY(drop_version(change, key, *current, Table::kObjects));
    return promote(change);
  }
  const Bytes place = version_key(change.bucket, change.key, change.version);
  HR_ASSIGN(const auto row, row_of(Table::kVersions, place));
  if (row) HR_TRY(drop_version(change, place, *row, Table::kVersions));
  return current ? Status() : promote(change);
}

// The newest version that is left is the current object, unless it is a delete marker.
Status Applier::promote(const VersionChange& change) {
  Bytes place;
  Bytes value;
  HR_TRY(batch_.each(Table::kVersions, versions_prefix(change.bucket, change.key),
                     [&](const Bytes& key, const Bytes& row) -> Result<bool> {
                       place = key;
                       value = row;
                       return false;
                     }));
  if (place.empty()) return {};
  HR_ASSIGN(const Object object, decode_object(value));
  if (object.delete_marker) return {};
  const Bytes key = object_key(change.bucket, change.key);
  batch_.set(Table::kVersions, std::move(place), std::nullopt);
  batch_.set(Table::kObjects, key, std::move(value));
  if (!object.numbered) batch_.set(Table::kNulls, key, std::nullopt);
  return {};
}

}  // namespace hr::object
