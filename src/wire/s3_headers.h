// The request headers of S3 as values: what a put stores, ranges, conditions, checksums that a body must
// have, and the headers that ask for what is not done here (refused, never ignored). Views live as long as
// the headers. The x-amz-* parameters of a query count as headers: presigning clients move them there.
#pragma once

#include "base/time.h"
#include "codec/digest.h"
#include "codec/header_field.h"
#include "codec/uri.h"
#include "wire/s3_error.h"
#include "wire/s3_operation.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hr::wire {

inline constexpr std::size_t kS3MetadataBytesMax = 2048;     // names and values of x-amz-meta-*
inline constexpr std::uint64_t kS3PutBytesMax = 5ULL << 30;  // one PutObject

// The request's headers, then the x-amz-* parameters of its query that are not the signature's own.
std::vector<codec::HeaderField> effective_headers(std::vector<codec::HeaderField> headers,
                                                  const codec::Pairs& query);

std::optional<std::string_view> header(codec::HeaderFields headers, std::string_view name);

// NotImplemented for every header whose wish `op` cannot fulfil: encryption, storage classes, locks, grants,
// ACLs but "private" and "bucket-owner-full-control", and x-amz-* that nobody knows on writes.
S3Result<void> refuse_unsupported(S3Op op, codec::HeaderFields headers);

// --- ranges and conditions of reads ---

struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t bytes = 0;
  bool operator==(const ByteRange&) const = default;
};

// None: the whole object (no header, not a byte range, or several ranges, which S3 answers whole).
// InvalidRange: nothing of it lies in the object.
S3Result<std::optional<ByteRange>> parse_range(std::optional<std::string_view> value,
                                               std::uint64_t object_bytes);

enum class ReadVerdict : std::uint8_t { kSend, kNotModified };

// RFC 9110, section 13.2.2, as S3 does it: If-Match before If-Unmodified-Since, If-None-Match before
// If-Modified-Since; dates that cannot be read are ignored. PreconditionFailed names the condition.
S3Result<ReadVerdict> judge_read(codec::HeaderFields headers, std::string_view etag, Time modified);

// If-Range: whether the range still applies.
bool range_applies(codec::HeaderFields headers, std::string_view etag, Time modified);

// --- writes ---

struct S3WriteCondition {
  bool if_none_match_any = false;
  std::optional<std::string> if_match;  // without quotes, or "*"
};
S3Result<S3WriteCondition> parse_write_condition(codec::HeaderFields headers);

// What is stored with an object besides its bytes.
struct S3ObjectHeaders {
  std::string content_type;
  std::map<std::string, std::string> headers;   // cache-control and the like
  std::map<std::string, std::string> metadata;  // without "x-amz-meta-"
  std::map<std::string, std::string> tags;      // x-amz-tagging
};
S3Result<S3ObjectHeaders> parse_object_headers(codec::HeaderFields headers);

// --- checks of a body ---

struct S3BodyChecks {
  std::optional<Bytes> md5;  // 16 raw bytes of Content-MD5
  // At most one of S3's additional checksums: its value in base64, or empty when a trailer brings it.
  std::optional<codec::ChecksumAlgorithm> algorithm;
  Bytes checksum;
  std::vector<Bytes> trailers;  // lower-case names that x-amz-trailer announces
};
S3Result<S3BodyChecks> parse_body_checks(codec::HeaderFields headers);

// The value of a checksum header or trailer: base64 of as many bytes as the algorithm makes.
S3Result<void> check_checksum_text(codec::ChecksumAlgorithm algorithm, ByteView text);
S3Error checksum_mismatch(codec::ChecksumAlgorithm algorithm);

S3Result<std::uint64_t> parse_length(std::string_view name, std::string_view text);

// The response-* parameters, as header names and values. InvalidArgument: a control character inside.
S3Result<codec::Pairs> response_overrides(const codec::Pairs& query);

}  // namespace hr::wire
