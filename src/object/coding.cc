#include "object/coding.h"

#include "base/check.h"

#include <fmt/format.h>

#include <utility>

namespace hr::object {
namespace {

constexpr std::uint8_t kObjectV1 = 1;
constexpr std::uint8_t kBucketV1 = 1;
constexpr std::uint8_t kCounterV1 = 0x80;

constexpr std::uint8_t kHasChecksum = 1;
constexpr std::uint8_t kHasBlob = 2;

constexpr std::size_t kBucketIdBytes = 8;

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

Bytes encode(const Object& object) {
  Bytes value;
  value.reserve(96);
  Writer out(value);
  out.u8(kObjectV1);
  out.u8(static_cast<std::uint8_t>((object.checksum ? kHasChecksum : 0) | (object.blob ? kHasBlob : 0)));
  out.u64(object.sequencer);
  out.i64(to_ms(object.modified));
  out.varint(object.bytes);
  out.str(object.etag);
  out.str(object.content_type);
  put_texts(out, object.headers);
  put_texts(out, object.metadata);
  if (object.checksum) {
    out.str(object.checksum->algorithm);
    out.str(object.checksum->value);
  }
  if (object.blob) {
    out.u64(object.blob->epoch);
    out.u64(object.blob->number);
  }
  return value;
}

Result<Object> decode_object(ByteView value) {
  Reader in(value);
  if (const std::uint8_t version = in.u8(); in.ok() && version != kObjectV1) {
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
  if ((flags & kHasChecksum) != 0) {
    Checksum& checksum = object.checksum.emplace();
    checksum.algorithm = in.str();
    checksum.value = in.str();
  }
  if ((flags & kHasBlob) != 0) {
    storage::BlobName& blob = object.blob.emplace();
    blob.epoch = in.u64();
    blob.number = in.u64();
  }
  if (!in.done() || flags > (kHasChecksum | kHasBlob)) return corrupt("an object of the index", in);
  return object;
}

Bytes encode(const Bucket& bucket) {
  Bytes value;
  Writer out(value);
  out.u8(kBucketV1);
  out.u64(std::to_underlying(bucket.id));
  out.str(bucket.name);
  out.str(bucket.account);
  out.str(bucket.region);
  out.i64(to_ms(bucket.created));
  out.varint(bucket.notifications.size());
  for (const NotificationRule& rule : bucket.notifications) put_rule(out, rule);
  return value;
}

Result<Bucket> decode_bucket(ByteView value) {
  Reader in(value);
  if (const std::uint8_t version = in.u8(); in.ok() && version != kBucketV1) {
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
  if (!in.done()) return corrupt("a bucket of the index", in);
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
