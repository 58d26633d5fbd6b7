// What can be asked of SQS, as values: one struct for each action, with every rule that needs no queue
// already checked (sqs_parse.h). Times are in seconds, as on the wire. Source of the rules: Amazon SQS API
// Reference (2012-11-05); Developer Guide, "quotas".
#pragma once

#include "base/bytes.h"
#include "wire/sqs_error.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace hr::wire::sqs {

inline constexpr std::size_t kRequestBytesMax = 4U << 20;  // of the HTTP body: 1 MiB percent-encoded is 3 MiB
inline constexpr std::size_t kMessageBytesMax = 1U
                                                << 20;  // body and attributes; also of all entries of a batch
inline constexpr std::size_t kBatchEntriesMax = 10;
// Beyond AWS, for a client that asks (x-headrace-batch-max): entries of a batch, messages of a receive.
inline constexpr std::size_t kLargeBatchMax = 1'000;
inline constexpr std::size_t kBatchIdBytesMax = 80;
inline constexpr std::size_t kQueueNameBytesMax = 80;
inline constexpr std::size_t kMessageAttributesMax = 10;
inline constexpr std::size_t kAttributeNameBytesMax = 256;
inline constexpr std::size_t kGroupIdBytesMax = 128;
inline constexpr std::size_t kReceiptBytesMax = 1024;
inline constexpr std::size_t kTagsMax = 50;
inline constexpr std::size_t kTagKeyLengthMax = 128;  // characters
inline constexpr std::size_t kTagValueLengthMax = 256;
// Developer Guide, "Amazon SQS policy quotas".
inline constexpr std::size_t kPolicyBytesMax = 8'192;
inline constexpr std::size_t kPolicyStatementsMax = 20;
inline constexpr std::size_t kPolicyActionsMax = 7;  // of one statement
inline constexpr std::size_t kPolicyConditionsMax = 10;
inline constexpr std::size_t kPolicyPrincipalsMax = 50;
inline constexpr std::size_t kLabelBytesMax = 80;
inline constexpr int kDelaySecondsMax = 900;
inline constexpr int kVisibilitySecondsMax = 43'200;
inline constexpr int kWaitSecondsMax = 20;
inline constexpr int kListMax = 1'000;
inline constexpr int kMoveRateMax = 500;
inline constexpr int kMovesListMax = 10;

enum class Action : std::uint8_t {
  kAddPermission,
  kCancelMessageMoveTask,
  kChangeMessageVisibility,
  kChangeMessageVisibilityBatch,
  kCreateQueue,
  kDeleteMessage,
  kDeleteMessageBatch,
  kDeleteQueue,
  kGetQueueAttributes,
  kGetQueueUrl,
  kListDeadLetterSourceQueues,
  kListMessageMoveTasks,
  kListQueues,
  kListQueueTags,
  kPurgeQueue,
  kReceiveMessage,
  kRemovePermission,
  kSendMessage,
  kSendMessageBatch,
  kSetQueueAttributes,
  kStartMessageMoveTask,
  kTagQueue,
  kUntagQueue,
  kLast_ = kUntagQueue,
};
inline constexpr std::size_t kActions = static_cast<std::size_t>(Action::kLast_) + 1;

std::string_view to_string(Action action);                  // "SendMessage"
std::optional<Action> parse_action(std::string_view text);  // exactly

using Map = std::map<Bytes, Bytes>;

struct RedrivePolicy {
  Bytes target_arn;
  std::uint32_t max_receive_count = 0;  // 1 to 1,000

  bool operator==(const RedrivePolicy&) const = default;
};

// The queue attributes a request sets, each checked for its range.
struct QueueAttributes {
  std::optional<std::uint32_t> delay, visibility_timeout, retention, receive_wait, maximum_message_size;
  std::optional<RedrivePolicy> redrive;
  bool clear_redrive = false;  // RedrivePolicy was set to nothing
  bool fifo = false;           // FifoQueue was set to true, which is all that can be done with it
  // Policy, KmsMasterKeyId, ContentBasedDeduplication, ...; an empty value removes the attribute. What is set
  // to its default is removed.
  Map stored;

  bool operator==(const QueueAttributes&) const = default;
};

struct MessageAttribute {
  Bytes name;
  Bytes type;   // "String", "Number", "Binary", with an optional ".label"
  Bytes value;  // Binary: decoded

  bool operator==(const MessageAttribute&) const = default;
};

struct Message {
  Bytes body;
  std::vector<MessageAttribute> attributes;  // in name order
  Bytes trace_header;                        // AWSTraceHeader
  Bytes group;                               // MessageGroupId
  Bytes deduplication;                       // MessageDeduplicationId
  std::optional<int> delay;

  bool operator==(const Message&) const = default;
};

// One entry of a batch: bad ones fail alone.
template <class T>
struct Entry {
  Bytes id;
  Outcome<T> value;
};

struct CreateQueue {
  Bytes name;
  QueueAttributes attributes;
  Map tags;
};
struct ListQueues {
  Bytes prefix;
  Bytes after;             // of NextToken: the last name of the page before
  std::optional<int> max;  // 1 to 1,000
};
struct GetQueueUrl {
  Bytes name;
  Bytes owner;  // may be empty
};
struct DeleteQueue {
  Bytes queue_url;
};
struct GetQueueAttributes {
  Bytes queue_url;
  std::vector<Bytes> names;  // known ones; "All" among them means all
};
struct SetQueueAttributes {
  Bytes queue_url;
  QueueAttributes attributes;
};
struct SendMessage {
  Bytes queue_url;
  Message message;
};
struct SendMessageBatch {
  Bytes queue_url;
  std::vector<Entry<Message>> entries;
};
struct ReceiveMessage {
  Bytes queue_url;
  int max = 1;
  std::optional<int> visibility;
  std::optional<int> wait;
  Bytes attempt;                    // ReceiveRequestAttemptId; may be empty
  std::vector<Bytes> system_names;  // AttributeNames and MessageSystemAttributeNames
  std::vector<Bytes> names;         // MessageAttributeNames
};
struct DeleteMessage {
  Bytes queue_url;
  Bytes receipt;
};
struct DeleteMessageBatch {
  Bytes queue_url;
  std::vector<Entry<Bytes>> entries;
};
struct VisibilityChange {
  Bytes receipt;
  int seconds = 0;
};
struct ChangeMessageVisibility {
  Bytes queue_url;
  VisibilityChange change;
};
struct ChangeMessageVisibilityBatch {
  Bytes queue_url;
  std::vector<Entry<VisibilityChange>> entries;
};
struct PurgeQueue {
  Bytes queue_url;
};
struct ListQueueTags {
  Bytes queue_url;
};
struct TagQueue {
  Bytes queue_url;
  Map tags;
};
struct UntagQueue {
  Bytes queue_url;
  std::vector<Bytes> keys;
};
struct AddPermission {
  Bytes queue_url;
  Bytes label;
  std::vector<Bytes> accounts;  // 12 digits each
  std::vector<Bytes> actions;   // "SendMessage", "*"
};
struct RemovePermission {
  Bytes queue_url;
  Bytes label;
};
struct ListDeadLetterSourceQueues {
  Bytes queue_url;
  Bytes after;
  std::optional<int> max;
};

struct StartMessageMoveTask {
  Bytes source_arn;
  Bytes destination_arn;          // empty: each message's own source
  std::optional<int> per_second;  // MaxNumberOfMessagesPerSecond
};
struct CancelMessageMoveTask {
  Bytes handle;
};
struct ListMessageMoveTasks {
  Bytes source_arn;
  std::optional<int> max;  // none: 1
};

using Request =
    std::variant<CreateQueue, ListQueues, GetQueueUrl, DeleteQueue, GetQueueAttributes, SetQueueAttributes,
                 SendMessage, SendMessageBatch, ReceiveMessage, DeleteMessage, DeleteMessageBatch,
                 ChangeMessageVisibility, ChangeMessageVisibilityBatch, PurgeQueue, ListQueueTags,
                 ListDeadLetterSourceQueues, TagQueue, UntagQueue, AddPermission, RemovePermission,
                 StartMessageMoveTask, CancelMessageMoveTask, ListMessageMoveTasks>;

}  // namespace hr::wire::sqs
