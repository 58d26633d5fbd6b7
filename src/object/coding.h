// How objects and buckets stand in the index, and their keys there. Every value begins with a byte that says
// what it is and in which version; decoding anything else, or a value with bytes left over, is kCorrupt.
// docs/formats/object-records.md
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "object/object.h"
#include "storage/index/index.h"

#include <cstdint>
#include <variant>

namespace hr::object {

Bytes object_key(BucketId bucket, ByteView key);  // of Table::kObjects and Table::kBodies
ByteView key_in_bucket(ByteView object_key);      // the S3 key of an index key
// The first index key behind all that begin with `prefix`; empty: there is none.
Bytes key_after_prefix(Bytes prefix);

// Of Table::kVersions: the versions of a key stand together, the newest first.
Bytes version_key(BucketId bucket, ByteView key, std::uint64_t version);
Bytes versions_prefix(BucketId bucket, ByteView key);
struct VersionPlace {
  BucketId bucket{};
  std::string key;
  std::uint64_t version = 0;
};
Result<VersionPlace> decode_version_key(ByteView version_key);
// Where the body of a version stands in Table::kBodies, whether it is the current one or not.
Bytes body_key(BucketId bucket, ByteView key, std::uint64_t version);
// The same, from the key of its row in kObjects, or from that in kVersions or kObjects.
Bytes version_key_of(ByteView object_key, std::uint64_t version);
Result<Bytes> body_key_of(storage::Table table, ByteView row_key, std::uint64_t version);

// The value of Table::kNulls is the version, 8 bytes big-endian.
Result<std::uint64_t> decode_null(ByteView value);

Bytes encode(const Object& object);
Result<Object> decode_object(ByteView value);
// The same value, read no further than what a listing shows.
Result<Outline> decode_outline(ByteView value);

Bytes encode(const Manifest& manifest);
Result<Manifest> decode_manifest(ByteView value);

// Of Table::kUploads: uploads of a key stand together, the older first. No key holds a NUL.
Bytes upload_key(BucketId bucket, ByteView key, UploadId upload);
struct UploadName {
  BucketId bucket{};
  std::string key;
  UploadId upload{};
};
Result<UploadName> decode_upload_key(ByteView upload_key);
Bytes encode(const Upload& upload);
Result<Upload> decode_upload(ByteView value);

Bytes part_key(UploadId upload, std::uint32_t number);  // of Table::kParts
Bytes parts_prefix(UploadId upload);
Result<std::uint32_t> part_number(ByteView part_key);
Bytes encode(const Part& part);
Result<Part> decode_part(ByteView value);

Bytes encode(const Bucket& bucket);
Result<Bucket> decode_bucket(ByteView value);

// The row of Table::kBuckets that is no bucket, under kCounterKey: every number the engine has given out, to
// a bucket or a change, is smaller.
struct Counter {
  std::uint64_t reserved = 0;
  bool operator==(const Counter&) const = default;
};
inline constexpr ByteView kCounterKey = "";  // sorts first; no bucket is named so
Bytes encode(const Counter& counter);
// Any value of Table::kBuckets.
Result<std::variant<Bucket, Counter>> decode_bucket_row(ByteView value);

}  // namespace hr::object
