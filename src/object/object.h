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
enum class UploadId : std::uint64_t {};  // of the same counter; 0: none

inline constexpr std::size_t kInlineBytesMax = 16U << 10;  // larger bodies are blobs
inline constexpr std::size_t kKeyBytesMax = 1024;          // and at least 1
inline constexpr std::uint32_t kPartNumberMax = 10'000;    // and at least 1

// One QueueConfiguration of PutBucketNotificationConfiguration.
struct NotificationRule {
  std::string id{};
  std::string queue_arn{};
  std::vector<std::string> events{};  // "s3:ObjectCreated:*", ...
  std::string prefix{}, suffix{};     // of the key, undecoded
  bool operator==(const NotificationRule&) const = default;
};

// What a bucket is set to besides: each a document in the form its front end keeps it in. Never renumbered.
enum class Setting : std::uint8_t {
  kTagging = 1,
  kCors = 2,
  kPolicy = 3,
  kLifecycle = 4,
  kPublicAccessBlock = 5,
  kOwnershipControls = 6,
};

enum class Versioning : std::uint8_t { kNever, kEnabled, kSuspended };

struct Bucket {
  BucketId id{};
  std::string name{};
  std::string account{};  // owner, 12 digits
  std::string region{};
  Time created{};
  std::vector<NotificationRule> notifications{};
  Versioning versioning = Versioning::kNever;
  std::map<Setting, std::string> settings{};
  bool operator==(const Bucket&) const = default;
};

// A version as a request names it.
struct VersionName {
  bool null = false;          // the one that has no id of its own
  std::uint64_t version = 0;  // else this one
  bool operator==(const VersionName&) const = default;
};

struct Checksum {
  std::string algorithm;  // "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"
  std::string value;      // base64, as S3 shows it; with "-N" behind it the checksum of N parts' checksums
  // "COMPOSITE" of those, else "FULL_OBJECT".
  bool composite() const { return value.find('-') != std::string::npos; }
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
  std::map<std::string, std::string> tags{};
  std::optional<Checksum> checksum{};
  std::optional<storage::BlobName> blob{};  // none: the body, or its manifest, is in Table::kBodies
  std::uint32_t parts = 0;                  // above 0: uploaded in parts, Table::kBodies holds a Manifest
  UploadId upload{};                        // that made it, when there are parts
  std::uint64_t sequencer = 0;              // grows with every change of the key
  // Its place among the versions of its key, the newest the greatest; 0: from before the bucket had versions.
  std::uint64_t version = 0;
  bool numbered = false;       // its id is its own; else it is "null", and there is one such of a key at most
  bool delete_marker = false;  // no object: since then the key has none
  bool operator==(const Object&) const = default;
};

// An object as a listing shows it.
struct Outline {
  Time modified{};
  std::uint64_t bytes = 0;
  std::string etag{};
  std::string checksum_algorithm{};  // empty: none
  bool checksum_composite = false;
};

// The body of an object that was uploaded in parts: theirs, one behind the other.
struct Piece {
  std::uint64_t bytes = 0;
  std::optional<storage::BlobName> blob{};  // none: it is empty
  std::string checksum{};                   // of the object's algorithm, base64; may be empty
  bool operator==(const Piece&) const = default;
};
using Manifest = std::vector<Piece>;

// A multipart upload that is going on.
struct Upload {
  UploadId id{};
  Time initiated{};
  std::string initiator{};           // access key id
  std::string checksum_algorithm{};  // that every part has; empty: each as it likes
  bool checksum_composite = false;   // else of the whole object, from the parts' CRCs
  Object object{};                   // what it is to become: content type, headers, metadata
  bool operator==(const Upload&) const = default;
};

struct Part {
  std::uint64_t bytes = 0;
  std::string etag{};  // MD5, hexadecimal
  Time modified{};
  std::optional<Checksum> checksum{};
  std::optional<storage::BlobName> blob{};  // none: it is empty
  bool operator==(const Part&) const = default;
};

// Conditions of a write (RFC 9110, section 13; S3: If-None-Match only "*").
struct WriteCondition {
  bool if_none_match_any = false;
  std::optional<std::string> if_match{};  // an ETag without quotes, or "*"
};

}  // namespace hr::object
