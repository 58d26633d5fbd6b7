#include "codec/base64.h"
#include "codec/xml.h"
#include "wire/sqs_answer.h"
#include "wire/sqs_message.h"

#include <fmt/format.h>

namespace hr::wire::sqs {
namespace {

using codec::XmlWriter;

constexpr ByteView kNamespace = "http://queue.amazonaws.com/doc/2012-11-05/";

void element_unless_empty(XmlWriter& out, ByteView name, const Bytes& value) {
  if (!value.empty()) out.element(name, value);
}

void write_fields(XmlWriter&, const Nothing&) {}

void write_fields(XmlWriter& out, const SentAnswer& sent) {
  out.element("MessageId", sent.id).element("MD5OfMessageBody", sent.md5_of_body);
  element_unless_empty(out, "MD5OfMessageAttributes", sent.md5_of_attributes);
  element_unless_empty(out, "MD5OfMessageSystemAttributes", sent.md5_of_system_attributes);
  element_unless_empty(out, "SequenceNumber", sent.sequence_number);
}

void write_pairs(XmlWriter& out, ByteView name, ByteView key_name, const auto& pairs) {
  for (const auto& [key, value] : pairs) {
    out.open(name).element(key_name, key).element("Value", value).close();
  }
}

void write_attribute(XmlWriter& out, const MessageAttribute& attribute) {
  out.open("MessageAttribute").element("Name", attribute.name).open("Value");
  if (is_binary(attribute)) {
    out.element("BinaryValue", codec::base64_encode(attribute.value));
  } else {
    out.element("StringValue", attribute.value);
  }
  out.element("DataType", attribute.type).close().close();
}

void write_message(XmlWriter& out, const ReceivedMessage& message) {
  out.open("Message").element("MessageId", message.id).element("ReceiptHandle", message.receipt);
  out.element("MD5OfBody", message.md5_of_body).element("Body", message.body);
  write_pairs(out, "Attribute", "Name", message.system_attributes);
  element_unless_empty(out, "MD5OfMessageAttributes", message.md5_of_attributes);
  for (const auto& attribute : message.attributes) write_attribute(out, attribute);
  out.close();
}

void write_error(XmlWriter& out, const Bytes& id, const Error& error) {
  const auto& form = form_of(error.code);
  out.open("BatchResultErrorEntry").element("Id", id).element("Code", form.query_code);
  out.element("Message", error.message).element("SenderFault", form.sender).close();
}

void write_move(XmlWriter& out, const MoveTask& task) {
  out.open("Result").element("ApproximateNumberOfMessagesMoved", task.moved);
  out.element("ApproximateNumberOfMessagesToMove", task.to_move);
  element_unless_empty(out, "DestinationArn", task.destination_arn);
  element_unless_empty(out, "FailureReason", task.failure);
  out.element("MaxNumberOfMessagesPerSecond", task.per_second).element("SourceArn", task.source_arn);
  out.element("StartedTimestamp", task.started_ms).element("Status", task.status);
  element_unless_empty(out, "TaskHandle", task.handle);
  out.close();
}

struct Write {
  XmlWriter& out;
  Action action;

  void operator()(const Nothing&) {}
  void operator()(const QueueUrlAnswer& answer) { out.element("QueueUrl", answer.url); }
  void operator()(const SentAnswer& answer) { write_fields(out, answer); }
  void operator()(const AttributesAnswer& answer) {
    write_pairs(out, "Attribute", "Name", answer.attributes);
  }
  void operator()(const TagsAnswer& answer) { write_pairs(out, "Tag", "Key", answer.tags); }

  void operator()(const QueueUrlsAnswer& answer) {
    for (const auto& url : answer.urls) out.element("QueueUrl", url);
    element_unless_empty(out, "NextToken", answer.next_token);
  }

  template <class T>
  void operator()(const BatchAnswer<T>& answer) {
    const Bytes entry = Bytes(to_string(action)) + "ResultEntry";
    for (const auto& [id, done] : answer.done) {
      out.open(entry).element("Id", id);
      write_fields(out, done);
      out.close();
    }
    for (const auto& [id, error] : answer.failed) write_error(out, id, error);
  }

  void operator()(const MoveStartedAnswer& answer) { out.element("TaskHandle", answer.handle); }
  void operator()(const MoveCancelledAnswer& answer) {
    out.element("ApproximateNumberOfMessagesMoved", answer.moved);
  }
  void operator()(const MovesAnswer& answer) {
    for (const auto& task : answer.tasks) write_move(out, task);
  }

  void operator()(const ReceivedAnswer& answer) {
    for (const auto& message : answer.messages) write_message(out, message);
  }
};

}  // namespace

Bytes to_xml(Action action, const Answer& answer, ByteView request_id) {
  const Bytes name(to_string(action));
  Bytes text;
  XmlWriter out(text);
  out.declaration().open(name + "Response", {{"xmlns", kNamespace}});
  if (!std::holds_alternative<Nothing>(answer)) {
    out.open(name + "Result");
    std::visit(Write{out, action}, answer);
    out.close();
  }
  out.open("ResponseMetadata").element("RequestId", request_id).close().close();
  return text;
}

Bytes to_xml(const Error& error, ByteView request_id) {
  const auto& form = form_of(error.code);
  Bytes text;
  XmlWriter out(text);
  out.declaration().open("ErrorResponse", {{"xmlns", kNamespace}}).open("Error");
  out.element("Type", form.sender ? "Sender" : "Receiver").element("Code", form.query_code);
  out.element("Message", error.message).element("Detail", "").close();
  out.element("RequestId", request_id).close();
  return text;
}

}  // namespace hr::wire::sqs
