#include "wire/sqs_parse.h"

#include "codec/base64.h"
#include "codec/header_field.h"
#include "codec/xml.h"
#include "wire/sqs_attributes.h"
#include "wire/sqs_members.h"
#include "wire/sqs_message.h"
#include "wire/sqs_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <set>
#include <string_view>
#include <utility>

namespace hr::wire::sqs {
namespace {

using codec::Json;
using enum ErrorCode;

constexpr std::array<std::string_view, kActions> kActionNames = {
    "AddPermission",
    "CancelMessageMoveTask",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "CreateQueue",
    "DeleteMessage",
    "DeleteMessageBatch",
    "DeleteQueue",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ListMessageMoveTasks",
    "ListQueues",
    "ListQueueTags",
    "PurgeQueue",
    "ReceiveMessage",
    "RemovePermission",
    "SendMessage",
    "SendMessageBatch",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
};

bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

// ---- queues

constexpr std::string_view kNameRule =
    "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
constexpr std::string_view kFifoNameRule =
    "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end "
    "with "
    ".fifo suffix and be 1 to 80 in length.";

Outcome<Bytes> read_queue_name(const Json& members) {
  HR_ASSIGN(Bytes name, required_text(members, "QueueName"));
  if (name.size() > kQueueNameBytesMax) return refuse(kInvalidParameterValue, Bytes(kNameRule));
  ByteView stem = name;
  const bool fifo = stem.ends_with(".fifo");
  if (fifo) stem.remove_suffix(5);
  if (stem.empty() || !std::ranges::all_of(stem, is_word_char)) {
    return refuse(kInvalidParameterValue, Bytes(kNameRule));
  }
  return name;
}

Outcome<QueueAttributes> read_attributes(const Json& members) {
  HR_ASSIGN(const auto* attributes, object_of(members, "Attributes"));
  if (attributes == nullptr) return QueueAttributes();
  return read_queue_attributes(*attributes);
}

std::size_t characters(ByteView utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

Outcome<void> check_tag_key(ByteView key) {
  if (key.empty() || characters(key) > kTagKeyLengthMax) {
    return refuse(kInvalidParameterValue, "Tag keys must be between 1 and 128 characters in length.");
  }
  if (codec::lower_case(key.substr(0, 4)) == "aws:") {
    return refuse(kInvalidParameterValue, "Tag keys that begin with aws: are reserved.");
  }
  if (codec::valid_xml_chars(key)) return {};
  return refuse(kInvalidParameterValue, "A tag key contains characters that are not allowed.");
}

Outcome<void> check_tag_value(ByteView value) {
  if (characters(value) > kTagValueLengthMax) {
    return refuse(kInvalidParameterValue, "Tag values must be between 0 and 256 characters in length.");
  }
  if (codec::valid_xml_chars(value)) return {};
  return refuse(kInvalidParameterValue, "A tag value contains characters that are not allowed.");
}

Outcome<Map> read_tags(const Json& members) {
  // CreateQueue calls them "tags", TagQueue "Tags", and both are "Tag" in the Query protocol.
  HR_ASSIGN(const auto* lower, object_of(members, "tags"));
  HR_ASSIGN(const auto* upper, object_of(members, "Tags"));
  Map tags;
  const auto* object = lower != nullptr ? lower : upper;
  if (object == nullptr) return tags;
  if (object->size() > kTagsMax) return refuse(kInvalidParameterValue, "Too many tags added for queue.");
  for (const auto& [key, value] : *object) {
    const Bytes* text = value.as_string();
    if (text == nullptr) return refuse(kSerialization, "The value of a tag must be a string.");
    HR_TRY(check_tag_key(key));
    HR_TRY(check_tag_value(*text));
    tags[key] = *text;
  }
  return tags;
}

Outcome<Request> read_tag(const Json& members) {
  TagQueue request;
  HR_ASSIGN(request.queue_url, text_of(members, "QueueUrl"));
  HR_ASSIGN(request.tags, read_tags(members));
  if (request.tags.empty()) return missing("Tags");
  return request;
}

Outcome<Request> read_untag(const Json& members) {
  UntagQueue request;
  HR_ASSIGN(request.queue_url, text_of(members, "QueueUrl"));
  HR_ASSIGN(request.keys, texts_of(members, "TagKeys"));
  if (request.keys.empty()) {
    return refuse(kInvalidParameterValue, "Tag keys must be between 1 and 128 characters in length.");
  }
  if (request.keys.size() > kTagsMax) return refuse(kInvalidParameterValue, "Too many tag keys.");
  for (const auto& key : request.keys) HR_TRY(check_tag_key(key));
  return request;
}

Outcome<Bytes> read_label(const Json& members) {
  HR_ASSIGN(Bytes label, required_text(members, "Label"));
  if (label.size() <= kLabelBytesMax && std::ranges::all_of(label, is_word_char)) return label;
  return invalid_value(
      ByteView(label).substr(0, kLabelBytesMax), "Label",
      "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.");
}

Outcome<void> check_shared(const std::vector<Bytes>& actions) {
  if (actions.empty()) return missing("Actions");
  if (actions.size() > kPolicyActionsMax) {
    return refuse(kOverLimit, fmt::format("{} Actions were found, maximum allowed is {}.", actions.size(),
                                          kPolicyActionsMax));
  }
  for (const ByteView action : actions) {
    const auto known = parse_action(action);
    if (action == "*" || (known && can_be_shared(*known))) continue;
    return invalid_value(fmt::format("SQS:{}", action.substr(0, 128)), "ActionName",
                         known ? "Only the queue owner is allowed to invoke this action."
                               : "Please refer to the appropriate WSDL for a list of valid "
                                 "actions.");
  }
  return {};
}

Outcome<void> check_accounts(const std::vector<Bytes>& accounts) {
  const auto is_account = [](const Bytes& text) {
    return text.size() == 12 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  };
  if (accounts.size() > kPolicyPrincipalsMax) {
    return refuse(kOverLimit, fmt::format("{} Principals were found, maximum allowed is {}.", accounts.size(),
                                          kPolicyPrincipalsMax));
  }
  const auto bad = std::ranges::find_if_not(accounts, is_account);
  if (!accounts.empty() && bad == accounts.end()) return {};
  return invalid_value(fmt::format("[{}]", accounts.empty() ? ByteView() : ByteView(*bad).substr(0, 128)),
                       "PrincipalId", "Unable to verify.");
}

Outcome<Request> read_add_permission(const Json& members) {
  AddPermission request;
  HR_ASSIGN(request.queue_url, text_of(members, "QueueUrl"));
  HR_ASSIGN(request.label, read_label(members));
  HR_ASSIGN(request.actions, texts_of(members, "Actions"));
  HR_TRY(check_shared(request.actions));
  HR_ASSIGN(request.accounts, texts_of(members, "AWSAccountIds"));
  HR_TRY(check_accounts(request.accounts));
  return request;
}

Outcome<Request> read_remove_permission(const Json& members) {
  RemovePermission request;
  HR_ASSIGN(request.queue_url, text_of(members, "QueueUrl"));
  HR_ASSIGN(request.label, read_label(members));
  return request;
}

Outcome<Request> read_create(const Json& members) {
  CreateQueue request;
  HR_ASSIGN(request.name, read_queue_name(members));
  HR_ASSIGN(request.attributes, read_attributes(members));
  const bool fifo_name = request.name.ends_with(".fifo");
  if (fifo_name && !request.attributes.fifo) return refuse(kInvalidParameterValue, Bytes(kNameRule));
  if (!fifo_name && request.attributes.fifo) return refuse(kInvalidParameterValue, Bytes(kFifoNameRule));
  HR_ASSIGN(request.tags, read_tags(members));
  return request;
}

Outcome<std::optional<int>> read_max_results(const Json& members) {
  return integer_in(members, "MaxResults", 1, kListMax, "MaxResults must be an integer between 1 and 1000.");
}

Outcome<Bytes> read_next_token(const Json& members) {
  HR_ASSIGN(const Bytes token, text_of(members, "NextToken"));
  auto after = codec::base64_decode(token);
  if (!after || after->size() > kQueueNameBytesMax)
    return refuse(kInvalidParameterValue, "Invalid or expired next token.");
  return std::move(*after);
}

Outcome<Request> read_list(const Json& members) {
  ListQueues request;
  HR_ASSIGN(request.prefix, text_of(members, "QueueNamePrefix"));
  HR_ASSIGN(request.after, read_next_token(members));
  HR_ASSIGN(request.max, read_max_results(members));
  return request;
}

Outcome<Request> read_list_sources(const Json& members) {
  ListDeadLetterSourceQueues request;
  HR_ASSIGN(request.queue_url, text_of(members, "QueueUrl"));
  HR_ASSIGN(request.after, read_next_token(members));
  HR_ASSIGN(request.max, read_max_results(members));
  return request;
}

Outcome<Request> read_start_move(const Json& members) {
  StartMessageMoveTask request;
  HR_ASSIGN(request.source_arn, required_text(members, "SourceArn"));
  HR_ASSIGN(request.destination_arn, text_of(members, "DestinationArn"));
  HR_ASSIGN(request.per_second, integer_in(members, "MaxNumberOfMessagesPerSecond", 1, kMoveRateMax,
                                           "It must be between 1 and 500."));
  return request;
}

Outcome<Request> read_cancel_move(const Json& members) {
  CancelMessageMoveTask request;
  HR_ASSIGN(request.handle, required_text(members, "TaskHandle"));
  return request;
}

Outcome<Request> read_list_moves(const Json& members) {
  ListMessageMoveTasks request;
  HR_ASSIGN(request.source_arn, required_text(members, "SourceArn"));
  HR_ASSIGN(request.max,
            integer_in(members, "MaxResults", 1, kMovesListMax, "MaxResults must be between 1 and 10."));
  return request;
}

Outcome<Request> read_get_url(const Json& members) {
  GetQueueUrl request;
  HR_ASSIGN(request.name, required_text(members, "QueueName"));
  HR_ASSIGN(request.owner, text_of(members, "QueueOwnerAWSAccountId"));
  return request;
}

Outcome<Request> read_get_attributes(const Json& members) {
  GetQueueAttributes request;
  HR_ASSIGN(request.queue_url, text_of(members, "QueueUrl"));
  HR_ASSIGN(request.names, texts_of(members, "AttributeNames"));
  for (const auto& name : request.names) {
    if (is_queue_attribute(name)) continue;
    return refuse(kInvalidAttributeName, fmt::format("Unknown Attribute {}.", ByteView(name).substr(0, 128)));
  }
  return request;
}

Outcome<Request> read_set_attributes(const Json& members) {
  SetQueueAttributes request;
  HR_ASSIGN(request.queue_url, text_of(members, "QueueUrl"));
  HR_ASSIGN(const auto* attributes, object_of(members, "Attributes"));
  if (attributes == nullptr || attributes->empty()) return missing("Attribute.Name");
  HR_ASSIGN(request.attributes, read_queue_attributes(*attributes));
  return request;
}

template <class T>
Outcome<Request> read_queue_only(const Json& members) {
  HR_ASSIGN(Bytes url, text_of(members, "QueueUrl"));
  return T{.queue_url = std::move(url)};
}

// ---- batches

Outcome<void> check_batch_id(ByteView id) {
  if (!id.empty() && id.size() <= kBatchIdBytesMax && std::ranges::all_of(id, is_word_char)) return {};
  return refuse(
      kInvalidBatchEntryId,
      "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most "
      "80 letters long.");
}

// What is wrong with the batch as a whole fails all of it.
template <class T, class Read>
Outcome<std::vector<Entry<T>>> read_batch(const Json& members, ByteView entry_name, std::size_t most,
                                          Read&& read) {
  HR_ASSIGN(const auto* array, array_of(members, "Entries"));
  if (array == nullptr || array->empty()) {
    return refuse(kEmptyBatchRequest,
                  fmt::format("There should be at least one {} in the request.", entry_name));
  }
  if (array->size() > most) {
    return refuse(
        kTooManyEntriesInBatchRequest,
        fmt::format("Maximum number of entries per request are {}. You have sent {}.", most, array->size()));
  }
  std::vector<Entry<T>> entries;
  std::set<Bytes> ids;
  for (const auto& item : *array) {
    if (!item.is_object()) return refuse(kSerialization, "An entry of a batch must be a structure.");
    HR_ASSIGN(Bytes id, required_text(item, "Id"));
    HR_TRY(check_batch_id(id));
    if (!ids.insert(id).second) return refuse(kBatchEntryIdsNotDistinct, fmt::format("Id {} repeated.", id));
    entries.push_back({std::move(id), read(item)});
  }
  return entries;
}

Outcome<Request> read_send_batch(const Json& members, std::size_t most) {
  SendMessageBatch request;
  HR_ASSIGN(request.queue_url, text_of(members, "QueueUrl"));
  HR_ASSIGN(request.entries,
            read_batch<Message>(members, "SendMessageBatchRequestEntry", most, read_message));
  std::size_t bytes = 0;
  for (const auto& entry : request.entries) bytes += entry.value ? message_bytes(*entry.value) : 0;
  if (bytes > kMessageBytesMax) {
    return refuse(kBatchRequestTooLong,
                  fmt::format("Batch requests cannot be longer than {} bytes. You have sent {} bytes.",
                              kMessageBytesMax, bytes));
  }
  return request;
}

// ---- messages

Outcome<Request> read_send(const Json& members) {
  SendMessage request;
  HR_ASSIGN(request.queue_url, text_of(members, "QueueUrl"));
  HR_ASSIGN(request.message, read_message(members));
  return request;
}

constexpr std::array<std::string_view, 9> kSystemNames = {"SenderId",
                                                          "SentTimestamp",
                                                          "ApproximateReceiveCount",
                                                          "ApproximateFirstReceiveTimestamp",
                                                          "SequenceNumber",
                                                          "MessageDeduplicationId",
                                                          "MessageGroupId",
                                                          "AWSTraceHeader",
                                                          "DeadLetterQueueSourceArn"};

// Names of queue attributes are in the model of this parameter too: asked for, they bring nothing.
Outcome<void> check_system_names(const std::vector<Bytes>& names) {
  for (const ByteView name : names) {
    if (std::ranges::find(kSystemNames, name) != kSystemNames.end() || is_queue_attribute(name)) continue;
    return refuse(kInvalidAttributeName, fmt::format("Unknown Attribute {}.", name.substr(0, 128)));
  }
  return {};
}

Outcome<Request> read_receive(const Json& members, std::size_t most) {
  ReceiveMessage request;
  HR_ASSIGN(request.queue_url, text_of(members, "QueueUrl"));
  HR_ASSIGN(const auto max, integer_in(members, "MaxNumberOfMessages", 1, static_cast<int>(most),
                                       fmt::format("Must be between 1 and {}, if provided.", most)));
  request.max = max.value_or(1);
  HR_ASSIGN(request.visibility, integer_in(members, "VisibilityTimeout", 0, kVisibilitySecondsMax,
                                           "Must be between 0 and 43200, if provided."));
  HR_ASSIGN(request.wait, integer_in(members, "WaitTimeSeconds", 0, kWaitSecondsMax,
                                     "Must be >= 0 and <= 20, if provided."));
  HR_ASSIGN(request.attempt, read_id(members, "ReceiveRequestAttemptId"));
  HR_ASSIGN(request.system_names, texts_of(members, "AttributeNames"));
  HR_ASSIGN(auto more, texts_of(members, "MessageSystemAttributeNames"));
  std::ranges::move(more, std::back_inserter(request.system_names));
  HR_TRY(check_system_names(request.system_names));
  HR_ASSIGN(request.names, texts_of(members, "MessageAttributeNames"));
  return request;
}

Outcome<Bytes> read_receipt(const Json& members) {
  HR_ASSIGN(Bytes receipt, required_text(members, "ReceiptHandle"));
  if (receipt.size() > kReceiptBytesMax) {
    return refuse(kReceiptHandleIsInvalid, "The input receipt handle is not a valid receipt handle.");
  }
  return receipt;
}

Outcome<VisibilityChange> read_change(const Json& members) {
  VisibilityChange change;
  HR_ASSIGN(change.receipt, read_receipt(members));
  HR_ASSIGN(const auto seconds, integer_in(members, "VisibilityTimeout", 0, kVisibilitySecondsMax,
                                           "VisibilityTimeout must be an integer between 0 and 43200"));
  if (!seconds) return missing("VisibilityTimeout");
  change.seconds = *seconds;
  return change;
}

Outcome<Request> read_delete(const Json& members) {
  DeleteMessage request;
  HR_ASSIGN(request.queue_url, text_of(members, "QueueUrl"));
  HR_ASSIGN(request.receipt, read_receipt(members));
  return request;
}

Outcome<Request> read_delete_batch(const Json& members, std::size_t most) {
  DeleteMessageBatch request;
  HR_ASSIGN(request.queue_url, text_of(members, "QueueUrl"));
  HR_ASSIGN(request.entries,
            read_batch<Bytes>(members, "DeleteMessageBatchRequestEntry", most, read_receipt));
  return request;
}

Outcome<Request> read_change_one(const Json& members) {
  ChangeMessageVisibility request;
  HR_ASSIGN(request.queue_url, text_of(members, "QueueUrl"));
  HR_ASSIGN(request.change, read_change(members));
  return request;
}

Outcome<Request> read_change_batch(const Json& members, std::size_t most) {
  ChangeMessageVisibilityBatch request;
  HR_ASSIGN(request.queue_url, text_of(members, "QueueUrl"));
  HR_ASSIGN(request.entries, read_batch<VisibilityChange>(members, "ChangeMessageVisibilityBatchRequestEntry",
                                                          most, read_change));
  return request;
}

}  // namespace

std::string_view to_string(Action action) { return kActionNames[static_cast<std::size_t>(action)]; }

std::optional<Action> parse_action(std::string_view text) {
  const auto at = std::ranges::find(kActionNames, text);
  if (at == kActionNames.end()) return std::nullopt;
  return static_cast<Action>(at - kActionNames.begin());
}

Outcome<Request> read_request(Action action, const Json& members, std::size_t batch_max) {
  switch (action) {
    case Action::kChangeMessageVisibility:
      return read_change_one(members);
    case Action::kChangeMessageVisibilityBatch:
      return read_change_batch(members, batch_max);
    case Action::kCreateQueue:
      return read_create(members);
    case Action::kDeleteMessage:
      return read_delete(members);
    case Action::kDeleteMessageBatch:
      return read_delete_batch(members, batch_max);
    case Action::kDeleteQueue:
      return read_queue_only<DeleteQueue>(members);
    case Action::kGetQueueAttributes:
      return read_get_attributes(members);
    case Action::kGetQueueUrl:
      return read_get_url(members);
    case Action::kListDeadLetterSourceQueues:
      return read_list_sources(members);
    case Action::kListQueues:
      return read_list(members);
    case Action::kListQueueTags:
      return read_queue_only<ListQueueTags>(members);
    case Action::kPurgeQueue:
      return read_queue_only<PurgeQueue>(members);
    case Action::kReceiveMessage:
      return read_receive(members, batch_max);
    case Action::kSendMessage:
      return read_send(members);
    case Action::kSendMessageBatch:
      return read_send_batch(members, batch_max);
    case Action::kSetQueueAttributes:
      return read_set_attributes(members);
    case Action::kAddPermission:
      return read_add_permission(members);
    case Action::kRemovePermission:
      return read_remove_permission(members);
    case Action::kTagQueue:
      return read_tag(members);
    case Action::kUntagQueue:
      return read_untag(members);
    case Action::kCancelMessageMoveTask:
      return read_cancel_move(members);
    case Action::kListMessageMoveTasks:
      return read_list_moves(members);
    case Action::kStartMessageMoveTask:
      return read_start_move(members);
  }
  return refuse(kInvalidAction, fmt::format("{} is not known.", to_string(action)));
}

Outcome<Request> parse_json_request(Action action, ByteView body, std::size_t batch_max) {
  auto json = codec::parse_json(body.empty() ? ByteView("{}") : body, {.bytes_max = kRequestBytesMax});
  if (!json) return refuse(kSerialization, "The request is not valid JSON: " + json.error().message);
  if (!json->is_object()) return refuse(kSerialization, "The request must be a JSON object.");
  return read_request(action, *json, batch_max);
}

Outcome<Request> parse_query_request(Action action, const codec::Pairs& parameters) {
  HR_ASSIGN(const auto members, query_to_json(parameters));
  return read_request(action, members);
}

}  // namespace hr::wire::sqs
