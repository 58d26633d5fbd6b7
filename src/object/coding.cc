#include "object/coding.h"

#include "base/check.h"

#include <fmt/format.h>

#include <utility>

namespace hr::object {
namespace {

constexpr std::uint8_t kObjectV1 = 1;  // no parts
constexpr std::uint8_t kObjectV2 = 2;  // no tags
constexpr std::uint8_t kObjectV3 = 3;
constexpr std::uint8_t kManifestV1 = 1;
constexpr std::uint8_t kUploadV1 = 1;
constexpr std::uint8_t kPartV1 = 1;
constexpr std::uint8_t kBucketV1 = 1;  // no versioning and no settings
constexpr std::uint8_t kBucketV2 = 2;
constexpr std::uint8_t kCounterV1 = 0x80;

constexpr std::uint8_t kHasChecksum = 1;
constexpr std::uint8_t kHasBlob = 2;
constexpr std::uint8_t kHasParts = 4;
constexpr std::uint8_t kHasTags = 8;
constexpr std::uint8_t kHasVersion = 16;
constexpr std::uint8_t kIsNumbered = 32;
constexpr std::uint8_t kIsDeleteMarker = 64;

constexpr std::size_t kBucketIdBytes = 8;
constexpr std::size_t kUploadIdBytes = 8;
constexpr std::size_t kVersionBytes = 8;

using Texts = std::map<std::string, std::string>;

void put_texts(Writer& out, const Texts& texts) {
  out.varint(texts.size());
  for (const auto& [name, value] : texts) {
    out.str(name);
    out.str(value);
  }
}

// A count is not trusted with memory: the loop ends with the input.
Texts take_texts(Reader& in) {
  Texts texts;
  for (std::uint64_t left = in.varint(); left > 0 && in.ok(); --left) {
    const ByteView name = in.str();
    texts.insert_or_assign(texts.end(), Bytes(name), Bytes(in.str()));
  }
  return texts;
}

void put_blob(Writer& out, const storage::BlobName& blob) {
  out.u64(blob.epoch);
  out.u64(blob.number);
}

storage::BlobName take_blob(Reader& in) {
  storage::BlobName blob;
  blob.epoch = in.u64();
  blob.number = in.u64();
  return blob;
}

void put_checksum(Writer& out, const Checksum& checksum) {
  out.str(checksum.algorithm);
  out.str(checksum.value);
}

Checksum take_checksum(Reader& in) {
  Checksum checksum;
  checksum.algorithm = in.str();
  checksum.value = in.str();
  return checksum;
}

std::uint64_t take_big_endian(ByteView bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = (value << 8) | static_cast<unsigned char>(byte);
  return value;
}

void put_rule(Writer& out, const NotificationRule& rule) {
  out.str(rule.id);
  out.str(rule.queue_arn);
  out.varint(rule.events.size());
  for (const std::string& event : rule.events) out.str(event);
  out.str(rule.prefix);
  out.str(rule.suffix);
}

NotificationRule take_rule(Reader& in) {
  NotificationRule rule;
  rule.id = in.str();
  rule.queue_arn = in.str();
  for (std::uint64_t left = in.varint(); left > 0 && in.ok(); --left) rule.events.emplace_back(in.str());
  rule.prefix = in.str();
  rule.suffix = in.str();
  return rule;
}

void take_settings(Reader& in, Bucket& bucket) {
  bucket.versioning = Versioning{in.u8()};
  for (std::uint64_t left = in.varint(); left > 0 && in.ok(); --left) {
    const Setting setting{in.u8()};
    bucket.settings.insert_or_assign(setting, Bytes(in.str()));
  }
}

std::unexpected<Error> corrupt(std::string_view what, const Reader& in) {
  return fail(Errc::kCorrupt, fmt::format("{} cannot be read past its byte {}", what, in.offset()));
}

std::unexpected<Error> unknown_version(std::string_view what, std::uint8_t version) {
  return fail(Errc::kCorrupt,
              fmt::format("{} of version {}: damaged, or written by a newer headrace", what, version));
}

}  // namespace

Bytes object_key(BucketId bucket, ByteView key) {
  Bytes out = big_endian(std::to_underlying(bucket));
  out.append(key);
  return out;
}

ByteView key_in_bucket(ByteView object_key) {
  HR_CHECK(object_key.size() >= kBucketIdBytes);
  return object_key.substr(kBucketIdBytes);
}

Bytes key_after_prefix(Bytes prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

namespace {

int known_flags(std::uint8_t version) {
  int known = kHasChecksum | kHasBlob;
  if (version >= kObjectV2) known |= kHasParts;
  if (version >= kObjectV3) known |= kHasTags | kHasVersion | kIsNumbered | kIsDeleteMarker;
  return known;
}

std::uint8_t flags_of(const Object& object) {
  int flags = 0;
  if (object.checksum) flags |= kHasChecksum;
  if (object.blob) flags |= kHasBlob;
  if (object.parts > 0) flags |= kHasParts;
  if (!object.tags.empty()) flags |= kHasTags;
  if (object.version > 0) flags |= kHasVersion;
  if (object.numbered) flags |= kIsNumbered;
  if (object.delete_marker) flags |= kIsDeleteMarker;
  return static_cast<std::uint8_t>(flags);
}

}  // namespace

Bytes encode(const Object& object) {
  Bytes value;
  value.reserve(96);
  Writer out(value);
  out.u8(kObjectV3);
  out.u8(flags_of(object));
  out.u64(object.sequencer);
  out.i64(to_ms(object.modified));
  out.varint(object.bytes);
  out.str(object.etag);
  out.str(object.content_type);
  put_texts(out, object.headers);
  put_texts(out, object.metadata);
  if (object.checksum) put_checksum(out, *object.checksum);
  if (object.blob) put_blob(out, *object.blob);
  if (object.parts > 0) {
    out.u32(object.parts);
    out.u64(std::to_underlying(object.upload));
  }
  if (!object.tags.empty()) put_texts(out, object.tags);
  if (object.version > 0) out.u64(object.version);
  return value;
}

Result<Object> decode_object(ByteView value) {
  Reader in(value);
  const std::uint8_t version = in.u8();
  if (in.ok() && (version < kObjectV1 || version > kObjectV3)) {
    return unknown_version("an object of the index", version);
  }
  Object object;
  const std::uint8_t flags = in.u8();
  object.sequencer = in.u64();
  object.modified = from_ms(in.i64());
  object.bytes = in.varint();
  object.etag = in.str();
  object.content_type = in.str();
  object.headers = take_texts(in);
  object.metadata = take_texts(in);
  if ((flags & kHasChecksum) != 0) object.checksum = take_checksum(in);
  if ((flags & kHasBlob) != 0) object.blob = take_blob(in);
  if ((flags & kHasParts) != 0) {
    object.parts = in.u32();
    object.upload = UploadId{in.u64()};
  }
  if ((flags & kHasTags) != 0) object.tags = take_texts(in);
  if ((flags & kHasVersion) != 0) object.version = in.u64();
  object.numbered = (flags & kIsNumbered) != 0;
  object.delete_marker = (flags & kIsDeleteMarker) != 0;
  const int known = known_flags(version);
  const bool contradictory = ((flags & kHasParts) != 0 && (object.parts == 0 || object.blob)) ||
                             ((flags & (kIsNumbered | kIsDeleteMarker)) != 0 && object.version == 0);
  if (!in.done() || flags > known || contradictory) return corrupt("an object of the index", in);
  return object;
}

namespace {

void skip_texts(Reader& in) {
  for (std::uint64_t left = in.varint(); left > 0 && in.ok(); --left) {
    in.str();
    in.str();
  }
}

}  // namespace

Result<Outline> decode_outline(ByteView value) {
  Reader in(value);
  const std::uint8_t version = in.u8();
  if (in.ok() && (version < kObjectV1 || version > kObjectV3)) {
    return unknown_version("an object of the index", version);
  }
  const std::uint8_t flags = in.u8();
  in.u64();  // sequencer
  Outline outline;
  outline.modified = from_ms(in.i64());
  outline.bytes = in.varint();
  outline.etag = in.str();
  if ((flags & kHasChecksum) != 0) {
    in.str();  // content type
    skip_texts(in);
    skip_texts(in);
    Checksum checksum = take_checksum(in);
    outline.checksum_composite = checksum.composite();
    outline.checksum_algorithm = std::move(checksum.algorithm);
  }
  if (!in.ok()) return corrupt("an object of the index", in);
  return outline;
}

Bytes encode(const Manifest& manifest) {
  Bytes value;
  value.reserve(manifest.size() * 32 + 8);
  Writer out(value);
  out.u8(kManifestV1);
  out.varint(manifest.size());
  for (const Piece& piece : manifest) {
    out.varint(piece.bytes);
    out.boolean(piece.blob.has_value());
    if (piece.blob) put_blob(out, *piece.blob);
    out.str(piece.checksum);
  }
  return value;
}

Result<Manifest> decode_manifest(ByteView value) {
  Reader in(value);
  if (const std::uint8_t version = in.u8(); in.ok() && version != kManifestV1) {
    return unknown_version("a manifest of the index", version);
  }
  Manifest manifest;
  for (std::uint64_t left = in.varint(); left > 0 && in.ok(); --left) {
    Piece& piece = manifest.emplace_back();
    piece.bytes = in.varint();
    if (in.boolean()) piece.blob = take_blob(in);
    piece.checksum = in.str();
  }
  if (!in.done()) return corrupt("a manifest of the index", in);
  return manifest;
}

Bytes versions_prefix(BucketId bucket, ByteView key) {
  Bytes out = object_key(bucket, key);
  out.push_back('\0');
  return out;
}

Bytes version_key(BucketId bucket, ByteView key, std::uint64_t version) {
  return versions_prefix(bucket, key).append(big_endian(~version));
}

Bytes body_key(BucketId bucket, ByteView key, std::uint64_t version) {
  return version == 0 ? object_key(bucket, key) : version_key(bucket, key, version);
}

Result<VersionPlace> decode_version_key(ByteView version_key) {
  if (version_key.size() < kBucketIdBytes + 1 + kVersionBytes) {
    return fail(Errc::kCorrupt, "the key of a version in the index is too short");
  }
  const std::size_t end = version_key.size() - kVersionBytes;
  return VersionPlace{.bucket = BucketId{take_big_endian(version_key.substr(0, kBucketIdBytes))},
                      .key = Bytes(version_key.substr(kBucketIdBytes, end - 1 - kBucketIdBytes)),
                      .version = ~take_big_endian(version_key.substr(end))};
}

Bytes version_key_of(ByteView object_key, std::uint64_t version) {
  Bytes out(object_key);
  out.push_back('\0');
  return out.append(big_endian(~version));
}

Result<Bytes> body_key_of(storage::Table table, ByteView row_key, std::uint64_t version) {
  if (table == storage::Table::kObjects) {
    return version == 0 ? Bytes(row_key) : version_key_of(row_key, version);
  }
  HR_ASSIGN(const VersionPlace place, decode_version_key(row_key));
  return body_key(place.bucket, place.key, place.version);
}

Result<std::uint64_t> decode_null(ByteView value) {
  if (value.size() == kVersionBytes) return take_big_endian(value);
  return fail(Errc::kCorrupt, "a null version of the index has another length");
}

Bytes upload_key(BucketId bucket, ByteView key, UploadId upload) {
  Bytes out = object_key(bucket, key);
  out.push_back('\0');
  return out.append(big_endian(std::to_underlying(upload)));
}

Result<UploadName> decode_upload_key(ByteView upload_key) {
  if (upload_key.size() < kBucketIdBytes + 1 + kUploadIdBytes) {
    return fail(Errc::kCorrupt, "the key of an upload in the index is too short");
  }
  const ByteView middle =
      upload_key.substr(kBucketIdBytes, upload_key.size() - kBucketIdBytes - 1 - kUploadIdBytes);
  return UploadName{
      .bucket = BucketId{take_big_endian(upload_key.substr(0, kBucketIdBytes))},
      .key = Bytes(middle),
      .upload = UploadId{take_big_endian(upload_key.substr(upload_key.size() - kUploadIdBytes))}};
}

Bytes encode(const Upload& upload) {
  Bytes value;
  Writer out(value);
  out.u8(kUploadV1);
  out.u64(std::to_underlying(upload.id));
  out.i64(to_ms(upload.initiated));
  out.str(upload.initiator);
  out.str(upload.checksum_algorithm);
  out.boolean(upload.checksum_composite);
  out.str(encode(upload.object));
  return value;
}

Result<Upload> decode_upload(ByteView value) {
  Reader in(value);
  if (const std::uint8_t version = in.u8(); in.ok() && version != kUploadV1) {
    return unknown_version("an upload of the index", version);
  }
  Upload upload;
  upload.id = UploadId{in.u64()};
  upload.initiated = from_ms(in.i64());
  upload.initiator = in.str();
  upload.checksum_algorithm = in.str();
  upload.checksum_composite = in.boolean();
  const ByteView object = in.str();
  if (!in.done()) return corrupt("an upload of the index", in);
  HR_ASSIGN(upload.object, decode_object(object));
  return upload;
}

Bytes parts_prefix(UploadId upload) { return big_endian(std::to_underlying(upload)); }

Bytes part_key(UploadId upload, std::uint32_t number) {
  HR_CHECK(number >= 1 && number <= kPartNumberMax);
  Bytes out = parts_prefix(upload);
  out.push_back(static_cast<char>(number >> 8));
  out.push_back(static_cast<char>(number & 0xff));
  return out;
}

Result<std::uint32_t> part_number(ByteView part_key) {
  if (part_key.size() != kUploadIdBytes + 2) {
    return fail(Errc::kCorrupt, "the key of a part in the index has another length");
  }
  return static_cast<std::uint32_t>(take_big_endian(part_key.substr(kUploadIdBytes)));
}

Bytes encode(const Part& part) {
  Bytes value;
  Writer out(value);
  out.u8(kPartV1);
  out.u8(static_cast<std::uint8_t>((part.checksum ? kHasChecksum : 0) | (part.blob ? kHasBlob : 0)));
  out.i64(to_ms(part.modified));
  out.varint(part.bytes);
  out.str(part.etag);
  if (part.checksum) put_checksum(out, *part.checksum);
  if (part.blob) put_blob(out, *part.blob);
  return value;
}

Result<Part> decode_part(ByteView value) {
  Reader in(value);
  if (const std::uint8_t version = in.u8(); in.ok() && version != kPartV1) {
    return unknown_version("a part of the index", version);
  }
  Part part;
  const std::uint8_t flags = in.u8();
  part.modified = from_ms(in.i64());
  part.bytes = in.varint();
  part.etag = in.str();
  if ((flags & kHasChecksum) != 0) part.checksum = take_checksum(in);
  if ((flags & kHasBlob) != 0) part.blob = take_blob(in);
  if (!in.done() || flags > (kHasChecksum | kHasBlob)) return corrupt("a part of the index", in);
  return part;
}

Bytes encode(const Bucket& bucket) {
  Bytes value;
  Writer out(value);
  out.u8(kBucketV2);
  out.u64(std::to_underlying(bucket.id));
  out.str(bucket.name);
  out.str(bucket.account);
  out.str(bucket.region);
  out.i64(to_ms(bucket.created));
  out.varint(bucket.notifications.size());
  for (const NotificationRule& rule : bucket.notifications) put_rule(out, rule);
  out.u8(std::to_underlying(bucket.versioning));
  out.varint(bucket.settings.size());
  for (const auto& [setting, text] : bucket.settings) {
    out.u8(std::to_underlying(setting));
    out.str(text);
  }
  return value;
}

Result<Bucket> decode_bucket(ByteView value) {
  Reader in(value);
  const std::uint8_t version = in.u8();
  if (in.ok() && version != kBucketV1 && version != kBucketV2) {
    return unknown_version("a bucket of the index", version);
  }
  Bucket bucket;
  bucket.id = BucketId{in.u64()};
  bucket.name = in.str();
  bucket.account = in.str();
  bucket.region = in.str();
  bucket.created = from_ms(in.i64());
  for (std::uint64_t left = in.varint(); left > 0 && in.ok(); --left) {
    bucket.notifications.push_back(take_rule(in));
  }
  if (version != kBucketV1) take_settings(in, bucket);
  if (!in.done() || bucket.versioning > Versioning::kSuspended) return corrupt("a bucket of the index", in);
  return bucket;
}

Bytes encode(const Counter& counter) {
  Bytes value;
  Writer out(value);
  out.u8(kCounterV1);
  out.u64(counter.reserved);
  return value;
}

Result<std::variant<Bucket, Counter>> decode_bucket_row(ByteView value) {
  if (value.empty() || static_cast<std::uint8_t>(value.front()) != kCounterV1) return decode_bucket(value);
  Reader in(value.substr(1));
  const Counter counter{in.u64()};
  if (!in.done()) return corrupt("the counter of the index", in);
  return counter;
}

}  // namespace hr::object
