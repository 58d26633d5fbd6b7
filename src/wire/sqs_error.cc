#include "wire/sqs_error.h"

#include "base/check.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>

namespace hr::wire::sqs {
namespace {

using enum ErrorCode;

constexpr std::array kForms = {
    ErrorForm{kBatchEntryIdsNotDistinct, "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
              "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", 400, true},
    ErrorForm{kBatchRequestTooLong, "com.amazonaws.sqs#BatchRequestTooLong",
              "AWS.SimpleQueueService.BatchRequestTooLong", 400, true},
    ErrorForm{kEmptyBatchRequest, "com.amazonaws.sqs#EmptyBatchRequest",
              "AWS.SimpleQueueService.EmptyBatchRequest", 400, true},
    ErrorForm{kInvalidAddress, "com.amazonaws.sqs#InvalidAddress", "InvalidAddress", 404, true},
    ErrorForm{kInvalidAttributeName, "com.amazonaws.sqs#InvalidAttributeName", "InvalidAttributeName", 400,
              true},
    ErrorForm{kInvalidAttributeValue, "com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue", 400,
              true},
    ErrorForm{kInvalidBatchEntryId, "com.amazonaws.sqs#InvalidBatchEntryId",
              "AWS.SimpleQueueService.InvalidBatchEntryId", 400, true},
    ErrorForm{kInvalidMessageContents, "com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents",
              400, true},
    ErrorForm{kMessageNotInflight, "com.amazonaws.sqs#MessageNotInflight",
              "AWS.SimpleQueueService.MessageNotInflight", 400, true},
    ErrorForm{kOverLimit, "com.amazonaws.sqs#OverLimit", "OverLimit", 403, true},
    ErrorForm{kPurgeQueueInProgress, "com.amazonaws.sqs#PurgeQueueInProgress",
              "AWS.SimpleQueueService.PurgeQueueInProgress", 403, true},
    ErrorForm{kQueueDeletedRecently, "com.amazonaws.sqs#QueueDeletedRecently",
              "AWS.SimpleQueueService.QueueDeletedRecently", 400, true},
    ErrorForm{kQueueDoesNotExist, "com.amazonaws.sqs#QueueDoesNotExist",
              "AWS.SimpleQueueService.NonExistentQueue", 400, true},
    ErrorForm{kQueueNameExists, "com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists", 400, true},
    ErrorForm{kReceiptHandleIsInvalid, "com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid",
              404, true},
    ErrorForm{kRequestThrottled, "com.amazonaws.sqs#RequestThrottled", "RequestThrottled", 403, true},
    ErrorForm{kResourceNotFound, "com.amazonaws.sqs#ResourceNotFoundException", "ResourceNotFoundException",
              404, true},
    ErrorForm{kTooManyEntriesInBatchRequest, "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
              "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", 400, true},
    ErrorForm{kUnsupportedOperation, "com.amazonaws.sqs#UnsupportedOperation",
              "AWS.SimpleQueueService.UnsupportedOperation", 400, true},
    ErrorForm{kAccessDenied, "com.amazon.coral.service#AccessDeniedException", "AccessDenied", 403, true},
    ErrorForm{kIncompleteSignature, "com.amazon.coral.service#IncompleteSignatureException",
              "IncompleteSignature", 400, true},
    ErrorForm{kInternalFailure, "com.amazon.coral.service#InternalFailure", "InternalFailure", 500, false},
    ErrorForm{kInvalidAction, "com.amazon.coral.service#UnknownOperationException", "InvalidAction", 400,
              true},
    ErrorForm{kInvalidClientTokenId, "com.amazon.coral.service#UnrecognizedClientException",
              "InvalidClientTokenId", 403, true},
    ErrorForm{kInvalidParameterValue, "com.amazon.coral.service#InvalidParameterValueException",
              "InvalidParameterValue", 400, true},
    ErrorForm{kInvalidQueryParameter, "com.amazon.coral.service#InvalidQueryParameterException",
              "InvalidQueryParameter", 400, true},
    ErrorForm{kMissingAction, "com.amazon.coral.service#MissingActionException", "MissingAction", 400, true},
    ErrorForm{kMissingAuthenticationToken, "com.amazon.coral.service#MissingAuthenticationTokenException",
              "MissingAuthenticationToken", 403, true},
    ErrorForm{kMissingParameter, "com.amazon.coral.service#MissingRequiredParameterException",
              "MissingParameter", 400, true},
    ErrorForm{kNoSuchVersion, "com.amazon.coral.service#NoSuchVersionException", "NoSuchVersion", 400, true},
    ErrorForm{kRequestEntityTooLarge, "com.amazon.coral.service#RequestEntityTooLargeException",
              "RequestEntityTooLarge", 413, true},
    ErrorForm{kRequestExpired, "com.amazon.coral.service#RequestExpiredException", "RequestExpired", 400,
              true},
    ErrorForm{kSerialization, "com.amazon.coral.service#SerializationException", "MalformedInput", 400, true},
    ErrorForm{kServiceUnavailable, "com.amazon.coral.service#ServiceUnavailableException",
              "ServiceUnavailable", 503, false},
    ErrorForm{kSignatureDoesNotMatch, "com.amazon.coral.service#InvalidSignatureException",
              "SignatureDoesNotMatch", 403, true},
};

consteval bool in_order() {
  for (std::size_t i = 0; i < kForms.size(); ++i) {
    if (static_cast<std::size_t>(kForms[i].code) != i) return false;
  }
  return kForms.size() == static_cast<std::size_t>(kLast_) + 1;
}
static_assert(in_order(), "one form for each code, in the order of the codes");

}  // namespace

const ErrorForm& form_of(ErrorCode code) {
  const auto at = static_cast<std::size_t>(code);
  HR_CHECK(at < kForms.size());
  return kForms[at];
}

std::unexpected<Error> invalid_value(ByteView value, ByteView parameter, ByteView reason) {
  return refuse(kInvalidParameterValue,
                fmt::format("Value {} for parameter {} is invalid. Reason: {}", value, parameter, reason));
}

std::unexpected<Error> missing(ByteView parameter) {
  return refuse(kMissingParameter, fmt::format("The request must contain the parameter {}.", parameter));
}

}  // namespace hr::wire::sqs
