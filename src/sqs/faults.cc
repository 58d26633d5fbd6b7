#include "sqs/faults.h"

namespace hr::sqs {

using wire::sqs::ErrorCode;

wire::sqs::Error to_error(queue::Fault fault) {
  switch (fault) {
    case queue::Fault::kNoSuchQueue:
      return {ErrorCode::kQueueDoesNotExist, "The specified queue does not exist."};
    case queue::Fault::kNameExists:
      return {ErrorCode::kQueueNameExists,
              "A queue already exists with the same name and a different value for an attribute"};
    case queue::Fault::kTooManyQueues:
      return {ErrorCode::kOverLimit, "The store holds as many queues as it may."};
    case queue::Fault::kTooManyTags:
      return {ErrorCode::kInvalidParameterValue, "Too many tags added for queue."};
    case queue::Fault::kThrottled:
      return {ErrorCode::kRequestThrottled,
              "More deduplication ids were sent within five minutes than this store keeps. Try again."};
    case queue::Fault::kReceiptExpired:
      return {ErrorCode::kInvalidParameterValue,
              "The parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."};
    case queue::Fault::kOverLimit:
      return {ErrorCode::kOverLimit, "The maximum number of in flight messages of the queue is reached."};
    case queue::Fault::kReceiptInvalid:
      return {
          ErrorCode::kInvalidParameterValue,
          "The receipt handle is not that of the latest receive. Reason: Message does not exist or is not "
          "available for visibility timeout change."};
    case queue::Fault::kNotInflight:
      return {ErrorCode::kMessageNotInflight, "The specified message isn't in flight."};
    case queue::Fault::kNotDeadLetter:
      return {ErrorCode::kInvalidParameterValue, "Source queue must be configured as a Dead Letter Queue."};
    case queue::Fault::kMoveRunning:
      return {ErrorCode::kInvalidParameterValue,
              "There is already a task running. Only one active task is allowed for a source queue arn at a "
              "given "
              "time."};
    case queue::Fault::kNoSuchMove:
      return {ErrorCode::kResourceNotFound, "Task does not exist."};
    case queue::Fault::kMoveEnded:
      return {ErrorCode::kUnsupportedOperation, "Only active tasks can be cancelled."};
    case queue::Fault::kLeaseTooLong:
      return {ErrorCode::kInvalidParameterValue,
              "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]"};
    case queue::Fault::kUnsupported:
      return {ErrorCode::kUnsupportedOperation, "This is not supported by this version of Headrace."};
    case queue::Fault::kInvalid:
      return {ErrorCode::kInvalidParameterValue, "A value is out of its range."};
  }
  return {ErrorCode::kInternalFailure, "The request could not be processed."};
}

wire::sqs::Error to_error(queue::Fault fault, ByteView receipt_handle) {
  if (fault != queue::Fault::kReceiptExpired) return to_error(fault);
  return wire::sqs::invalid_value(receipt_handle, "ReceiptHandle", "The receipt handle has expired.").error();
}

wire::sqs::Error to_error(const Error& error) {
  switch (error.code) {
    case Errc::kBusy:
      return {ErrorCode::kRequestThrottled, "Too much is waiting to be written. Try again."};
    case Errc::kNoSpace:
      return {ErrorCode::kServiceUnavailable,
              "The store's disk is full: messages can be received and deleted, not sent."};
    case Errc::kClosed:
    case Errc::kUnavailable:
    case Errc::kIo:
      return {ErrorCode::kServiceUnavailable,
              "The store is stopping. Whether the request took effect is unknown."};
    default:
      return {ErrorCode::kInternalFailure, "The request could not be processed."};
  }
}

}  // namespace hr::sqs
