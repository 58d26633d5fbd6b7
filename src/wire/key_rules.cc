#include "wire/key_rules.h"

#include "codec/policy.h"

#include <algorithm>

namespace hr::wire {
namespace {

bool grants(const KeyRule& rule, Access access) {
  switch (access) {
    case Access::kRead:
      return rule.read;
    case Access::kWrite:
      return rule.write;
    case Access::kAdmin:
      return rule.admin;
  }
  return false;
}

bool speaks_of(const KeyRule& rule, Granted kind, ByteView name) {
  return std::ranges::any_of(kind == Granted::kQueue ? rule.queues : rule.buckets,
                             [name](ByteView pattern) { return codec::wildcard_match(pattern, name); });
}

}  // namespace

bool may(const KeyRules* rules, Granted kind, ByteView name, Access access) {
  return rules == nullptr || std::ranges::any_of(*rules, [&](const KeyRule& rule) {
           return grants(rule, access) && speaks_of(rule, kind, name);
         });
}

bool may_see(const KeyRules* rules, Granted kind, ByteView name) {
  return rules == nullptr ||
         std::ranges::any_of(*rules, [&](const KeyRule& rule) { return speaks_of(rule, kind, name); });
}

Access access_of(sqs::Action action) {
  using enum sqs::Action;
  switch (action) {
    case kChangeMessageVisibility:
    case kChangeMessageVisibilityBatch:
    case kDeleteMessage:
    case kDeleteMessageBatch:
    case kGetQueueAttributes:
    case kGetQueueUrl:
    case kListDeadLetterSourceQueues:
    case kListMessageMoveTasks:
    case kListQueues:
    case kListQueueTags:
    case kReceiveMessage:
      return Access::kRead;
    case kSendMessage:
    case kSendMessageBatch:
      return Access::kWrite;
    case kAddPermission:
    case kCancelMessageMoveTask:
    case kCreateQueue:
    case kDeleteQueue:
    case kPurgeQueue:
    case kRemovePermission:
    case kSetQueueAttributes:
    case kStartMessageMoveTask:
    case kTagQueue:
    case kUntagQueue:
      return Access::kAdmin;
  }
  return Access::kAdmin;
}

// By name, so that an operation that is added is not forgotten: what reads is called Get, Head, List or
// Select; what changes an object or its uploads is named here; the rest is administration.
Access access_of(S3Op op) {
  using enum S3Op;
  switch (op) {
    case kAbortMultipartUpload:
    case kCompleteMultipartUpload:
    case kCopyObject:
    case kCreateMultipartUpload:
    case kDeleteObject:
    case kDeleteObjects:
    case kDeleteObjectTagging:
    case kPostObject:
    case kPutObject:
    case kPutObjectTagging:
    case kRenameObject:
    case kRestoreObject:
    case kUploadPart:
    case kUploadPartCopy:
      return Access::kWrite;
    default:
      break;
  }
  const std::string_view name = to_string(op);
  const auto begins = [name](std::string_view word) { return name.starts_with(word); };
  return begins("Get") || begins("Head") || begins("List") || begins("Select") ? Access::kRead
                                                                               : Access::kAdmin;
}

}  // namespace hr::wire
