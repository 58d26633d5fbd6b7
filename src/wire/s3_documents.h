// The XML documents that S3 answers with, made from values. Nothing here fails. A text that XML cannot carry
// is repaired or escaped as codec/xml.h says; clients that care ask for encoding-type=url.
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "wire/s3_error.h"
#include "wire/s3_requests.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hr::wire {

struct S3Owner {
  std::string id;  // canonical user id, 64 hexadecimal digits
  std::string display_name;
};

// The owner as S3 shows it, made from the account alone, so that it never changes.
S3Owner owner_of_account(std::string_view account);

struct S3BucketEntry {
  std::string name;
  Time created;
  std::string region;
};
struct S3BucketList {
  S3Owner owner;
  std::vector<S3BucketEntry> buckets;
  std::string prefix;
  std::string continuation_token;  // empty: this is the last page
};
Bytes write_buckets(const S3BucketList& list);

struct S3ListEntry {
  std::string key;
  Time modified;
  std::string etag;
  std::uint64_t bytes = 0;
  std::string checksum_algorithm;  // may be empty
  bool checksum_composite = false;
};

// One page of any of the three listings.
struct S3Listing {
  std::string bucket, prefix, delimiter;
  std::size_t max_keys = 1000;
  bool truncated = false;
  bool url_encoded = false;  // encoding-type=url
  std::vector<S3ListEntry> entries;
  std::vector<std::string> common_prefixes;
};

struct S3ListV1 {
  std::string marker;
  std::string next_marker;  // written when the page is truncated and a delimiter was given, as S3 does
  S3Owner owner;
};
Bytes write_list_v1(const S3Listing& page, const S3ListV1& extra);

struct S3ListV2 {
  std::string start_after, token, next_token;
  std::optional<S3Owner> owner;  // with fetch-owner=true
};
Bytes write_list_v2(const S3Listing& page, const S3ListV2& extra);

// Beside each of the page's entries, by its place.
struct S3VersionEntry {
  std::string version_id;
  bool latest = false;
  bool delete_marker = false;
};
struct S3ListVersions {
  std::string key_marker, version_id_marker, next_key_marker, next_version_id_marker;
  S3Owner owner;
  std::vector<S3VersionEntry> versions;
};
Bytes write_list_versions(const S3Listing& page, const S3ListVersions& extra);

struct S3DeleteOutcome {
  std::string key;
  std::optional<S3Error> error{};
  std::string version_id{};         // as it was asked for; may be empty
  bool delete_marker = false;       // one was made, or removed
  std::string marker_version_id{};  // its
};
Bytes write_delete_result(const std::vector<S3DeleteOutcome>& outcomes, bool quiet);

// CopyObjectResult and CopyPartResult (`root`).
struct S3Copied {
  std::string etag;
  Time modified;
  std::string checksum_algorithm, checksum;  // may be empty
};
Bytes write_copied(std::string_view root, const S3Copied& copied);

// GetObjectAttributesResponse: what is not asked for is none.
struct S3PartAttributes {
  std::uint32_t number = 0;
  std::uint64_t bytes = 0;
  std::string checksum{};  // of the object's algorithm
};
struct S3PartsAttributes {
  std::uint32_t count = 0;  // of all parts
  std::uint32_t marker = 0;
  std::size_t max_parts = 1000;
  bool truncated = false;
  std::vector<S3PartAttributes> parts{};  // a page of them; empty where parts have no checksums
};
struct S3Attributes {
  std::optional<std::string> etag{};
  std::string checksum_algorithm{};
  std::optional<std::string> checksum{};
  bool checksum_composite = false;
  std::optional<S3PartsAttributes> parts{};
  bool storage_class = false;
  std::optional<std::uint64_t> bytes{};
};
Bytes write_attributes(const S3Attributes& attributes);

Bytes write_location(std::string_view region);
Bytes write_versioning(std::string_view status);  // empty: of a bucket that never had any
Bytes write_acl(const S3Owner& owner);            // the owner has FULL_CONTROL, nobody else has anything
Bytes write_notification(const std::vector<S3QueueRule>& rules);

}  // namespace hr::wire
