#include "codec/base64.h"
#include "codec/json.h"
#include "wire/sqs_answer.h"
#include "wire/sqs_message.h"

#include <fmt/format.h>

#include <cstddef>

namespace hr::wire::sqs {
namespace {

using codec::JsonWriter;

void field_unless_empty(JsonWriter& out, ByteView name, const Bytes& value) {
  if (!value.empty()) out.field(name, value);
}

void write_fields(JsonWriter&, const Nothing&) {}

void write_fields(JsonWriter& out, const SentAnswer& sent) {
  field_unless_empty(out, "MD5OfMessageAttributes", sent.md5_of_attributes);
  out.field("MD5OfMessageBody", sent.md5_of_body);
  field_unless_empty(out, "MD5OfMessageSystemAttributes", sent.md5_of_system_attributes);
  out.field("MessageId", sent.id);
  field_unless_empty(out, "SequenceNumber", sent.sequence_number);
}

void write_map(JsonWriter& out, ByteView name, const auto& pairs) {
  if (pairs.empty()) return;
  out.key(name).begin_object();
  for (const auto& [key, value] : pairs) out.field(key, value);
  out.end_object();
}

void write_attributes(JsonWriter& out, const std::vector<MessageAttribute>& attributes) {
  if (attributes.empty()) return;
  out.key("MessageAttributes").begin_object();
  for (const auto& attribute : attributes) {
    out.key(attribute.name).begin_object().field("DataType", attribute.type);
    if (is_binary(attribute)) {
      out.field("BinaryValue", codec::base64_encode(attribute.value));
    } else {
      out.field("StringValue", attribute.value);
    }
    out.end_object();
  }
  out.end_object();
}

void write_message(JsonWriter& out, const ReceivedMessage& message) {
  out.begin_object();
  write_map(out, "Attributes", message.system_attributes);
  out.field("Body", message.body).field("MD5OfBody", message.md5_of_body);
  field_unless_empty(out, "MD5OfMessageAttributes", message.md5_of_attributes);
  write_attributes(out, message.attributes);
  out.field("MessageId", message.id).field("ReceiptHandle", message.receipt).end_object();
}

void write_error(JsonWriter& out, const Bytes& id, const Error& error) {
  const auto& form = form_of(error.code);
  out.begin_object().field("Code", form.query_code).field("Id", id).field("Message", error.message);
  out.field("SenderFault", form.sender).end_object();
}

void write_move(JsonWriter& out, const MoveTask& task) {
  out.begin_object().field("ApproximateNumberOfMessagesMoved", task.moved);
  out.field("ApproximateNumberOfMessagesToMove", task.to_move);
  field_unless_empty(out, "DestinationArn", task.destination_arn);
  field_unless_empty(out, "FailureReason", task.failure);
  out.field("MaxNumberOfMessagesPerSecond", task.per_second).field("SourceArn", task.source_arn);
  out.field("StartedTimestamp", task.started_ms).field("Status", task.status);
  field_unless_empty(out, "TaskHandle", task.handle);
  out.end_object();
}

struct Write {
  JsonWriter& out;

  void operator()(const Nothing&) {}
  void operator()(const QueueUrlAnswer& answer) { out.field("QueueUrl", answer.url); }
  void operator()(const SentAnswer& answer) { write_fields(out, answer); }
  void operator()(const AttributesAnswer& answer) { write_map(out, "Attributes", answer.attributes); }
  void operator()(const TagsAnswer& answer) { write_map(out, "Tags", answer.tags); }

  void operator()(const QueueUrlsAnswer& answer) {
    if (!answer.urls.empty() || answer.sources) {
      out.key(answer.sources ? "queueUrls" : "QueueUrls").begin_array();
      for (const auto& url : answer.urls) out.string(url);
      out.end_array();
    }
    field_unless_empty(out, "NextToken", answer.next_token);
  }

  template <class T>
  void operator()(const BatchAnswer<T>& answer) {
    if (!answer.failed.empty()) {
      out.key("Failed").begin_array();
      for (const auto& [id, error] : answer.failed) write_error(out, id, error);
      out.end_array();
    }
    if (answer.done.empty()) return;
    out.key("Successful").begin_array();
    for (const auto& [id, done] : answer.done) {
      out.begin_object().field("Id", id);
      write_fields(out, done);
      out.end_object();
    }
    out.end_array();
  }

  void operator()(const MoveStartedAnswer& answer) { out.field("TaskHandle", answer.handle); }
  void operator()(const MoveCancelledAnswer& answer) {
    out.field("ApproximateNumberOfMessagesMoved", answer.moved);
  }
  void operator()(const MovesAnswer& answer) {
    if (answer.tasks.empty()) return;
    out.key("Results").begin_array();
    for (const auto& task : answer.tasks) write_move(out, task);
    out.end_array();
  }

  void operator()(const ReceivedAnswer& answer) {
    if (answer.messages.empty()) return;
    out.key("Messages").begin_array();
    for (const auto& message : answer.messages) write_message(out, message);
    out.end_array();
  }
};

// Room for the text, so that a large answer is not copied as it grows.
std::size_t expected_bytes(const Answer& answer) {
  std::size_t bytes = 256;
  if (const auto* received = std::get_if<ReceivedAnswer>(&answer)) {
    for (const auto& message : received->messages)
      bytes += message.body.size() + message.body.size() / 8 + 512;
  }
  return bytes;
}

}  // namespace

Bytes to_json(const Answer& answer) {
  if (std::holds_alternative<Nothing>(answer)) return {};
  Bytes text;
  text.reserve(expected_bytes(answer));
  JsonWriter out(text);
  out.begin_object();
  std::visit(Write{out}, answer);
  out.end_object();
  return text;
}

Bytes to_json(const Error& error) {
  Bytes text;
  JsonWriter(text)
      .begin_object()
      .field("__type", form_of(error.code).type)
      .field("message", error.message)
      .end_object();
  return text;
}

Bytes query_error_header(const Error& error) {
  const auto& form = form_of(error.code);
  return fmt::format("{};{}", form.query_code, form.sender ? "Sender" : "Receiver");
}

}  // namespace hr::wire::sqs
