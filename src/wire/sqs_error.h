// The errors of SQS as values. Each code knows its three forms: the JSON protocol's __type, the Query
// protocol's code (which JSON repeats in x-amzn-query-error), and the HTTP status. Source: the service
// model's error shapes, and "Common errors" of the SQS API Reference.
#pragma once

#include "base/bytes.h"

#include <cstdint>
#include <expected>
#include <string_view>
#include <utility>

namespace hr::wire::sqs {

enum class ErrorCode : std::uint8_t {
  kBatchEntryIdsNotDistinct,
  kBatchRequestTooLong,
  kEmptyBatchRequest,
  kInvalidAddress,
  kInvalidAttributeName,
  kInvalidAttributeValue,
  kInvalidBatchEntryId,
  kInvalidMessageContents,
  kMessageNotInflight,
  kOverLimit,
  kPurgeQueueInProgress,
  kQueueDeletedRecently,
  kQueueDoesNotExist,
  kQueueNameExists,
  kReceiptHandleIsInvalid,
  kRequestThrottled,
  kResourceNotFound,
  kTooManyEntriesInBatchRequest,
  kUnsupportedOperation,
  // Common to all services.
  kAccessDenied,
  kIncompleteSignature,
  kInternalFailure,
  kInvalidAction,
  kInvalidClientTokenId,
  kInvalidParameterValue,
  kInvalidQueryParameter,
  kMissingAction,
  kMissingAuthenticationToken,
  kMissingParameter,
  kNoSuchVersion,
  kRequestEntityTooLarge,
  kRequestExpired,
  kSerialization,
  kServiceUnavailable,
  kSignatureDoesNotMatch,
  kLast_ = kSignatureDoesNotMatch,
};

struct ErrorForm {
  ErrorCode code;
  std::string_view type;        // "com.amazonaws.sqs#QueueDoesNotExist"
  std::string_view query_code;  // "AWS.SimpleQueueService.NonExistentQueue"
  int status;
  bool sender;  // the request is at fault, not the service
};
const ErrorForm& form_of(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternalFailure;
  Bytes message;

  bool operator==(const Error&) const = default;
};

template <class T>
using Outcome = std::expected<T, Error>;

inline std::unexpected<Error> refuse(ErrorCode code, Bytes message) {
  return std::unexpected(Error{code, std::move(message)});
}

// "Value V for parameter P is invalid. Reason: R" and "The request must contain the parameter P."
std::unexpected<Error> invalid_value(ByteView value, ByteView parameter, ByteView reason);
std::unexpected<Error> missing(ByteView parameter);

}  // namespace hr::wire::sqs
