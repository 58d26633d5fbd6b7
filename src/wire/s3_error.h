// The errors of S3 as values: the code decides text and status as AWS documents them ("Error responses" in
// the Amazon S3 API Reference), the fields are the extra elements some codes carry. write_error() makes the
// XML document. Nothing here fails.
#pragma once

#include "base/bytes.h"

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hr::wire {

enum class S3Code : std::uint8_t {
  kAccessDenied,
  kAccessForbidden,
  kAuthorizationHeaderMalformed,
  kAuthorizationQueryParametersError,
  kBadDigest,
  kBadRequest,
  kBucketAlreadyExists,
  kBucketAlreadyOwnedByYou,
  kBucketNotEmpty,
  kConditionalRequestConflict,
  kEntityTooLarge,
  kEntityTooSmall,
  kIllegalLocationConstraint,
  kIllegalVersioningConfiguration,
  kIncompleteBody,
  kInternalError,
  kInvalidAccessKeyId,
  kInvalidArgument,
  kInvalidBucketName,
  kInvalidBucketState,
  kInvalidDigest,
  kInvalidPart,
  kInvalidPartNumber,
  kInvalidPartOrder,
  kInvalidPolicyDocument,
  kInvalidRange,
  kInvalidRequest,
  kInvalidTag,
  kInvalidToken,
  kInvalidUri,
  kKeyTooLong,
  kMalformedPolicy,
  kMalformedPost,
  kMalformedXml,
  kMaxMessageLengthExceeded,
  kMaxPostPreDataLengthExceeded,
  kMetadataTooLarge,
  kMethodNotAllowed,
  kMissingContentLength,
  kMissingSecurityHeader,
  kNoSuchBucket,
  kNoSuchBucketPolicy,
  kNoSuchCors,
  kNoSuchKey,
  kNoSuchLifecycle,
  kNoSuchPublicAccessBlock,
  kNoSuchTagSet,
  kNoSuchUpload,
  kNoSuchVersion,
  kNotImplemented,
  kOwnershipControlsNotFound,
  kPreconditionFailed,
  kRequestTimeTooSkewed,
  kRequestTimeout,
  kServiceUnavailable,
  kSignatureDoesNotMatch,
  kSlowDown,
  kTooManyBuckets,
  kXAmzContentSha256Mismatch,
};

std::string_view to_string(S3Code code);        // "NoSuchKey"
int http_status(S3Code code);                   // 404
std::string_view default_message(S3Code code);  // AWS's sentence

struct S3Error {
  S3Code code = S3Code::kInternalError;
  std::string message;                                         // empty: default_message(code)
  std::vector<std::pair<std::string, std::string>> fields;     // extra elements, in order
  std::vector<std::pair<std::string, std::string>> headers{};  // that the answer carries

  bool operator==(const S3Error&) const = default;
};

template <class T>
using S3Result = std::expected<T, S3Error>;

std::unexpected<S3Error> s3_fail(S3Code code, std::string message = {},
                                 std::vector<std::pair<std::string, std::string>> fields = {});

// InvalidArgument with ArgumentName and ArgumentValue.
std::unexpected<S3Error> s3_bad_argument(std::string_view name, std::string_view value, std::string message);

// NotImplemented for a header, naming it in the field Header.
std::unexpected<S3Error> s3_no_header(std::string_view header, std::string_view value);

// `resource` is the path as sent.
Bytes write_error(const S3Error& error, std::string_view resource, std::string_view request_id,
                  std::string_view host_id);

}  // namespace hr::wire
