// Browser uploads: the policy that a POST form is signed with, and whether a form keeps to it ("Browser-based
// uploads using POST" in the Amazon S3 API Reference). Pure.
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "wire/s3_error.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hr::wire {

using S3FormFields = std::map<std::string, std::string>;  // by lower-case name

// Names in lower case; one that is there twice is refused, since a policy could have been kept to by one of
// them and the upload made by the other. InvalidArgument.
S3Result<S3FormFields> form_fields(const std::vector<std::pair<Bytes, Bytes>>& sent);

// What a browser calls a file may be a path: its last part stands for ${filename} in every field.
void expand_filename(S3FormFields& fields, std::string_view file_name);

struct S3PostCondition {
  enum class Test : std::uint8_t { kEquals, kStartsWith } test = Test::kEquals;
  std::string field;  // in lower case
  std::string value;
};

struct S3PostPolicy {
  Time expires{};
  std::vector<S3PostCondition> conditions;
  std::optional<std::pair<std::uint64_t, std::uint64_t>> length;  // of the file, both ends included
};

// From base64. InvalidPolicyDocument.
S3Result<S3PostPolicy> parse_post_policy(ByteView base64);

// AccessDenied: expired, a condition that does not hold, or a field that no condition speaks of.
S3Result<void> check_post_policy(const S3PostPolicy& policy, const S3FormFields& fields,
                                 std::string_view bucket, Time wall);

// The PostResponse document.
Bytes write_posted(std::string_view location, std::string_view bucket, std::string_view key,
                   std::string_view etag);

}  // namespace hr::wire
