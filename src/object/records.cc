#include "object/records.h"

#include "object/engine.h"

#include <fmt/format.h>

#include <utility>

namespace hr::object {
namespace {

constexpr std::uint8_t kVersion = 1;

storage::Record begin(Kind kind, std::size_t bytes) {
  storage::Record record{.kind = std::to_underlying(kind), .payload = {}};
  record.payload.reserve(bytes);
  Writer(record.payload).u8(kVersion);
  return record;
}

bool is_part_number(std::uint64_t number) { return number >= 1 && number <= kPartNumberMax; }

Result<AnyRecord> take_part_put(Reader& in) {
  PartPut put;
  put.upload = UploadId{in.u64()};
  const std::uint64_t number = in.varint();
  if (!is_part_number(number)) return fail(Errc::kCorrupt, "a part record with an impossible number");
  put.number = static_cast<std::uint32_t>(number);
  put.part = in.str();
  return put;
}

Result<AnyRecord> take_upload_closed(Reader& in) {
  UploadClosed closed;
  closed.bucket = BucketId{in.u64()};
  closed.upload = UploadId{in.u64()};
  closed.key = in.str();
  for (std::uint64_t left = in.varint(); left > 0 && in.ok(); --left) {
    const std::uint64_t number = in.varint();
    if (!is_part_number(number)) return fail(Errc::kCorrupt, "an upload record with an impossible part");
    closed.kept.push_back(static_cast<std::uint32_t>(number));
  }
  return closed;
}

Result<AnyRecord> take_version_put(Reader& in) {
  VersionPut put;
  put.bucket = BucketId{in.u64()};
  put.version = in.u64();
  put.numbered = in.boolean();
  put.delete_marker = in.boolean();
  put.key = in.str();
  put.object = in.str();
  if (in.boolean()) put.body = in.str();
  if (in.ok() && (put.version == 0 || (put.delete_marker && put.body))) {
    return fail(Errc::kCorrupt, "a version record that contradicts itself");
  }
  return put;
}

VersionChange change_of(const VersionPut& put) {
  VersionChange change{.what = put.delete_marker ? VersionChange::What::kMarker : VersionChange::What::kPut,
                       .bucket = put.bucket,
                       .key = Bytes(put.key),
                       .version = put.version,
                       .numbered = put.numbered,
                       .object = Bytes(put.object),
                       .body = std::nullopt};
  if (put.body) change.body.emplace(*put.body);
  return change;
}

Result<AnyRecord> take(Kind kind, Reader& in) {
  switch (kind) {
    case Kind::kBucketSet:
      return decode_bucket(in.raw(in.left()));
    case Kind::kCounter:
      return Counter{in.u64()};
    case Kind::kBucketDeleted: {
      BucketDeleted deleted;
      deleted.id = BucketId{in.u64()};
      deleted.name = in.str();
      return deleted;
    }
    case Kind::kObjectPut: {
      ObjectPut put;
      put.bucket = BucketId{in.u64()};
      put.key = in.str();
      put.object = in.str();
      if (in.boolean()) put.body = in.str();
      return put;
    }
    case Kind::kObjectRemoved: {
      ObjectRemoved removed;
      removed.bucket = BucketId{in.u64()};
      removed.sequencer = in.u64();
      removed.key = in.str();
      return removed;
    }
    case Kind::kUploadSet: {
      UploadSet set;
      set.bucket = BucketId{in.u64()};
      set.upload = UploadId{in.u64()};
      set.key = in.str();
      set.value = in.str();
      return set;
    }
    case Kind::kObjectSet: {
      ObjectSet set;
      set.bucket = BucketId{in.u64()};
      set.key = in.str();
      set.version = in.u64();
      set.object = in.str();
      return set;
    }
    case Kind::kVersionPut:
      return take_version_put(in);
    case Kind::kVersionRemoved: {
      VersionRemoved removed;
      removed.bucket = BucketId{in.u64()};
      removed.version = in.u64();
      removed.sequencer = in.u64();
      removed.key = in.str();
      return removed;
    }
    case Kind::kPartPut:
      return take_part_put(in);
    case Kind::kUploadClosed:
      return take_upload_closed(in);
  }
  return fail(Errc::kCorrupt,
              fmt::format("an object record of unknown kind {}: damaged, or written by a newer "
                          "headrace",
                          std::to_underlying(kind)));
}

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

using storage::IndexChange;
using storage::Table;

}  // namespace

storage::Record record_of(const Bucket& bucket) {
  const Bytes value = encode(bucket);
  storage::Record record = begin(Kind::kBucketSet, value.size() + 1);
  Writer(record.payload).raw(value);
  return record;
}

storage::Record record_of(const BucketDeleted& deleted) {
  storage::Record record = begin(Kind::kBucketDeleted, deleted.name.size() + 16);
  Writer out(record.payload);
  out.u64(std::to_underlying(deleted.id));
  out.str(deleted.name);
  return record;
}

storage::Record record_of(const Counter& counter) {
  storage::Record record = begin(Kind::kCounter, 9);
  Writer(record.payload).u64(counter.reserved);
  return record;
}

storage::Record record_of(const ObjectPut& put) {
  storage::Record record =
      begin(Kind::kObjectPut, put.key.size() + put.object.size() + put.body.value_or("").size() + 24);
  Writer out(record.payload);
  out.u64(std::to_underlying(put.bucket));
  out.str(put.key);
  out.str(put.object);
  out.boolean(put.body.has_value());
  if (put.body) out.str(*put.body);
  return record;
}

storage::Record record_of(const ObjectRemoved& removed) {
  storage::Record record = begin(Kind::kObjectRemoved, removed.key.size() + 24);
  Writer out(record.payload);
  out.u64(std::to_underlying(removed.bucket));
  out.u64(removed.sequencer);
  out.str(removed.key);
  return record;
}

storage::Record record_of(const UploadSet& set) {
  storage::Record record = begin(Kind::kUploadSet, set.key.size() + set.value.size() + 24);
  Writer out(record.payload);
  out.u64(std::to_underlying(set.bucket));
  out.u64(std::to_underlying(set.upload));
  out.str(set.key);
  out.str(set.value);
  return record;
}

storage::Record record_of(const ObjectSet& set) {
  storage::Record record = begin(Kind::kObjectSet, set.key.size() + set.object.size() + 24);
  Writer out(record.payload);
  out.u64(std::to_underlying(set.bucket));
  out.str(set.key);
  out.u64(set.version);
  out.str(set.object);
  return record;
}

storage::Record record_of(const VersionPut& put) {
  storage::Record record =
      begin(Kind::kVersionPut, put.key.size() + put.object.size() + put.body.value_or("").size() + 40);
  Writer out(record.payload);
  out.u64(std::to_underlying(put.bucket));
  out.u64(put.version);
  out.boolean(put.numbered);
  out.boolean(put.delete_marker);
  out.str(put.key);
  out.str(put.object);
  out.boolean(put.body.has_value());
  if (put.body) out.str(*put.body);
  return record;
}

storage::Record record_of(const VersionRemoved& removed) {
  storage::Record record = begin(Kind::kVersionRemoved, removed.key.size() + 32);
  Writer out(record.payload);
  out.u64(std::to_underlying(removed.bucket));
  out.u64(removed.version);
  out.u64(removed.sequencer);
  out.str(removed.key);
  return record;
}

storage::Record record_of(const PartPut& put) {
  storage::Record record = begin(Kind::kPartPut, put.part.size() + 16);
  Writer out(record.payload);
  out.u64(std::to_underlying(put.upload));
  out.varint(put.number);
  out.str(put.part);
  return record;
}

storage::Record record_of(const UploadClosed& closed) {
  storage::Record record = begin(Kind::kUploadClosed, closed.key.size() + closed.kept.size() * 2 + 24);
  Writer out(record.payload);
  out.u64(std::to_underlying(closed.bucket));
  out.u64(std::to_underlying(closed.upload));
  out.str(closed.key);
  out.varint(closed.kept.size());
  for (const std::uint32_t number : closed.kept) out.varint(number);
  return record;
}

Result<AnyRecord> decode_record(std::uint8_t kind, ByteView payload) {
  Reader in(payload);
  if (const std::uint8_t version = in.u8(); in.ok() && version != kVersion) {
    return fail(Errc::kCorrupt,
                fmt::format("an object record of kind {} has version {}: damaged, or written by a "
                            "newer headrace",
                            kind, version));
  }
  HR_ASSIGN(AnyRecord record, take(Kind{kind}, in));
  if (!in.done()) {
    return fail(Errc::kCorrupt, fmt::format("an object record of kind {} cannot be read past its byte {}",
                                            kind, in.offset()));
  }
  return record;
}

bool is_object_record(std::uint8_t kind) { return kind >= kKindFirst && kind <= kKindLast; }

Result<Application> application_of(std::uint8_t kind, ByteView payload) {
  HR_ASSIGN(const AnyRecord record, decode_record(kind, payload));
  Application out;
  std::visit(Overloaded{
                 [&](const Bucket& bucket) {
                   out.changes.push_back({Table::kBuckets, bucket.name, encode(bucket)});
                 },
                 [&](const BucketDeleted& deleted) {
                   out.changes.push_back({Table::kBuckets, deleted.name, std::nullopt});
                 },
                 [&](const Counter& counter) {
                   out.changes.push_back({Table::kBuckets, Bytes(kCounterKey), encode(counter)});
                 },
                 [&](const ObjectPut& put) {
                   Bytes key = object_key(put.bucket, put.key);
                   out.replaced.push_back(key);
                   out.changes.push_back({Table::kObjects, key, Bytes(put.object)});
                   std::optional<Bytes> body;
                   if (put.body) body.emplace(*put.body);
                   out.changes.push_back({Table::kBodies, std::move(key), std::move(body)});
                 },
                 [&](const ObjectRemoved& removed) {
                   Bytes key = object_key(removed.bucket, removed.key);
                   out.replaced.push_back(key);
                   out.changes.push_back({Table::kObjects, key, std::nullopt});
                   out.changes.push_back({Table::kBodies, std::move(key), std::nullopt});
                 },
                 [&](const ObjectSet& set) {
                   out.version = VersionChange{.what = VersionChange::What::kSet,
                                               .bucket = set.bucket,
                                               .key = Bytes(set.key),
                                               .version = set.version,
                                               .numbered = false,
                                               .object = Bytes(set.object),
                                               .body = std::nullopt};
                 },
                 [&](const VersionPut& put) { out.version = change_of(put); },
                 [&](const VersionRemoved& removed) {
                   out.version = VersionChange{.what = VersionChange::What::kRemove,
                                               .bucket = removed.bucket,
                                               .key = Bytes(removed.key),
                                               .version = removed.version,
                                               .numbered = false,
                                               .object = {},
                                               .body = std::nullopt};
                 },
                 [&](const UploadSet& set) {
                   out.changes.push_back(
                       {Table::kUploads, upload_key(set.bucket, set.key, set.upload), Bytes(set.value)});
                 },
                 [&](const PartPut& put) {
                   out.changes.push_back({Table::kParts, part_key(put.upload, put.number), Bytes(put.part)});
                 },
                 [&](const UploadClosed& closed) {
                   out.changes.push_back(
                       {Table::kUploads, upload_key(closed.bucket, closed.key, closed.upload), std::nullopt});
                   out.closed = ClosedUpload{closed.upload, closed.kept};
                 },
             },
             record);
  return out;
}

}  // namespace hr::object
