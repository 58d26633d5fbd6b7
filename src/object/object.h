// The values of the object engine: buckets, objects, conditions, notification rules. Plain data; how they
// stand in the log and the index: object/coding.h and docs/formats/object-records.md.
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "storage/blob/blob.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace hr::object {

enum class BucketId : std::uint64_t {};  // never reused

inline constexpr std::size_t kInlineBytesMax = 16U << 10;  // larger bodies are blobs
inline constexpr std::size_t kKeyBytesMax = 1024;          // and at least 1

// One QueueConfiguration of PutBucketNotificationConfiguration.
struct NotificationRule {
  std::string id{};
  std::string queue_arn{};
  std::vector<std::string> events{};  // "s3:ObjectCreated:*", ...
  std::string prefix{}, suffix{};     // of the key, undecoded
  bool operator==(const NotificationRule&) const = default;
};

struct Bucket {
  BucketId id{};
  std::string name{};
  std::string account{};  // owner, 12 digits
  std::string region{};
  Time created{};
  std::vector<NotificationRule> notifications{};
  bool operator==(const Bucket&) const = default;
};

struct Checksum {
  std::string algorithm;  // "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"
  std::string value;      // base64, as S3 shows it
  bool operator==(const Checksum&) const = default;
};

struct Object {
  std::uint64_t bytes = 0;
  std::string etag{};  // without quotes
  Time modified{};
  std::string content_type{};
  // Cache-Control, Content-Disposition, Content-Encoding, Content-Language, Expires, by lower-case name.
  std::map<std::string, std::string> headers{};
  std::map<std::string, std::string> metadata{};  // x-amz-meta-*, lower-case names without the prefix
  std::optional<Checksum> checksum{};
  std::optional<storage::BlobName> blob{};  // none: the body is in Table::kBodies
  std::uint64_t sequencer = 0;              // grows with every change of the key
  bool operator==(const Object&) const = default;
};

// Conditions of a write (RFC 9110, section 13; S3: If-None-Match only "*").
struct WriteCondition {
  bool if_none_match_any = false;
  std::optional<std::string> if_match{};  // an ETag without quotes, or "*"
};

}  // namespace hr::object
