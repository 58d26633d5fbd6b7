// The XML documents that S3 requests bring, as values. DTDs and entities are refused by codec/xml.h; every
// size has its maximum. What a document asks for and is not done here is NotImplemented, never skipped.
#pragma once

#include "base/bytes.h"
#include "wire/s3_error.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace hr::wire {

inline constexpr std::size_t kS3XmlBytesMax = 2U << 20;
inline constexpr std::size_t kS3DeletesMax = 1000;
inline constexpr std::size_t kS3NotificationRulesMax = 100;

struct S3Delete {
  std::string key;
  std::optional<std::string> etag;  // without quotes, or "*"
  std::optional<std::string> version{};
  bool operator==(const S3Delete&) const = default;
};
struct S3DeleteRequest {
  std::vector<S3Delete> objects;  // 1 to 1,000
  bool quiet = false;
};
S3Result<S3DeleteRequest> parse_delete(ByteView xml);

// The LocationConstraint; empty when the body or the element is missing.
S3Result<std::string> parse_create_bucket(ByteView xml);

// Whether versioning is to be on. Two factors are NotImplemented.
S3Result<bool> parse_versioning(ByteView xml);

struct S3QueueRule {
  std::string id;  // may be empty: the server makes one
  std::string queue_arn;
  std::vector<std::string> events;
  std::string prefix, suffix;
  bool operator==(const S3QueueRule&) const = default;
};
// Queues only: topics, functions and EventBridge are refused by name.
S3Result<std::vector<S3QueueRule>> parse_notification(ByteView xml);

}  // namespace hr::wire
