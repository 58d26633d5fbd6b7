#include "remote/sqs.h"

#include "codec/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace hr::remote {
namespace {

using codec::Json;
using codec::JsonWriter;

// Our own store then takes larger batches, and says so; others know nothing of it.
constexpr ByteView kBatchHeader = "x-headrace-batch-max";
constexpr std::size_t kBatchAsked = 1'000;

constexpr codec::JsonLimits kAnswerLimits{.bytes_max = 64U << 20, .depth_max = 16};

std::unexpected<Fault> unreadable(const Bytes& what) {
  return std::unexpected(Fault{FaultKind::kServer, 200, "", "an answer that SQS does not give: " + what});
}

std::size_t batch_max_of(const codec::Pairs& headers) {
  const Bytes* said = codec::find(headers, kBatchHeader);
  std::size_t most = kBatchMax;
  if (said != nullptr) std::from_chars(said->data(), said->data() + said->size(), most);
  return std::clamp(most, kBatchMax, kBatchAsked);
}

Bytes text_of(const Json& from, ByteView name) {
  const Json* member = from.find(name);
  const Bytes* text = member != nullptr ? member->as_string() : nullptr;
  return text != nullptr ? *text : Bytes();
}

std::int64_t number_of(const Json& from, ByteView name) {
  const Bytes text = text_of(from, name);
  std::int64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

Answer<Bytes> text_member(const Answer<Bytes>& answer, ByteView name) {
  if (!answer) return answer;
  const auto json = codec::parse_json(*answer, kAnswerLimits);
  if (!json) return unreadable(json.error().message);
  return text_of(*json, name);
}

ReceivedMessage message_of(const Json& json) {
  ReceivedMessage out{.id = text_of(json, "MessageId"),
                      .receipt = text_of(json, "ReceiptHandle"),
                      .body = text_of(json, "Body"),
                      .receives = 1,
                      .sent = 0,
                      .attributes = {}};
  if (const Json* system = json.find("Attributes")) {
    out.receives = static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(number_of(*system, "ApproximateReceiveCount"), 1, 1'000'000'000));
    out.sent = number_of(*system, "SentTimestamp");
  }
  const Json* attributes = json.find("MessageAttributes");
  if (attributes == nullptr || attributes->as_object() == nullptr) return out;
  for (const auto& [name, value] : *attributes->as_object()) {
    if (Bytes text = text_of(value, "StringValue"); !text.empty()) out.attributes.emplace_back(name, text);
  }
  return out;
}

void write_attributes(JsonWriter& out, const codec::Pairs& attributes) {
  if (attributes.empty()) return;
  out.key("MessageAttributes").begin_object();
  for (const auto& [name, value] : attributes) {
    out.key(name).begin_object().field("DataType", "String").field("StringValue", value).end_object();
  }
  out.end_object();
}

}  // namespace

Answer<std::vector<ReceivedMessage>> read_received(ByteView text) {
  const auto json = codec::parse_json(text, kAnswerLimits);
  if (!json) return unreadable(json.error().message);
  std::vector<ReceivedMessage> out;
  const Json* messages = json->find("Messages");
  if (messages == nullptr || messages->as_array() == nullptr) return out;
  for (const Json& message : *messages->as_array()) {
    out.push_back(message_of(message));
    if (out.back().id.empty() || out.back().receipt.empty()) return unreadable("a message without its id");
  }
  return out;
}

Answer<EachOutcome> read_each(ByteView text, std::size_t entries) {
  const auto json = codec::parse_json(text, kAnswerLimits);
  if (!json) return unreadable(json.error().message);
  // What is in neither list was not carried out, as far as anybody knows.
  EachOutcome out(entries, unreadable("a batch without one of its entries"));
  const auto index_of = [&](const Json& entry) { return static_cast<std::size_t>(number_of(entry, "Id")); };
  if (const Json* done = json->find("Successful"); done != nullptr && done->as_array() != nullptr) {
    for (const Json& entry : *done->as_array()) {
      if (index_of(entry) < entries) out[index_of(entry)] = {};
    }
  }
  const Json* failed = json->find("Failed");
  if (failed == nullptr || failed->as_array() == nullptr) return out;
  for (const Json& entry : *failed->as_array()) {
    if (index_of(entry) >= entries) continue;
    const Json* sender = entry.find("SenderFault");
    const bool ours = sender != nullptr && sender->as_bool().value_or(false);
    out[index_of(entry)] = std::unexpected(Fault{ours ? FaultKind::kRefused : FaultKind::kServer, 200,
                                                 text_of(entry, "Code"), text_of(entry, "Message")});
  }
  return out;
}

net::Task<Answer<Bytes>> Sqs::post(Bytes action, Bytes body, CallOptions options, codec::Pairs headers,
                                   Cancel* cancel) {
  headers.emplace_back("content-type", "application/x-amz-json-1.0");
  headers.emplace_back("x-amz-target", "AmazonSQS." + action);
  headers.emplace_back(kBatchHeader, std::to_string(kBatchAsked));
  auto answer = co_await services_.call(
      {.service = "sqs", .method = "POST", .headers = std::move(headers), .body = std::move(body)},
      std::move(options), cancel);
  if (!answer) co_return std::unexpected(std::move(answer).error());
  if (answer->status != 200) co_return std::unexpected(fault_of_sqs(*answer));
  batch_max_ = batch_max_of(answer->headers);
  co_return std::move(answer->body);
}

net::Task<Answer<Bytes>> Sqs::queue_url(Bytes name, CallOptions options) {
  Bytes body;
  JsonWriter(body).begin_object().field("QueueName", name).end_object();
  const auto answer = co_await post("GetQueueUrl", std::move(body), std::move(options));
  co_return text_member(answer, "QueueUrl");
}

net::Task<Answer<Bytes>> Sqs::create_queue(Bytes name, codec::Pairs attributes, CallOptions options) {
  Bytes body;
  JsonWriter out(body);
  out.begin_object().field("QueueName", name).key("Attributes").begin_object();
  for (const auto& [key, value] : attributes) out.field(key, value);
  out.end_object().end_object();
  const auto answer = co_await post("CreateQueue", std::move(body), std::move(options));
  co_return text_member(answer, "QueueUrl");
}

net::Task<Answer<std::vector<Bytes>>> Sqs::list_queues(Bytes prefix, CallOptions options) {
  std::vector<Bytes> urls;
  for (Bytes token; urls.size() < kQueuesMax;) {
    Bytes body;
    JsonWriter out(body);
    out.begin_object().field("MaxResults", 1000);
    if (!prefix.empty()) out.field("QueueNamePrefix", prefix);
    if (!token.empty()) out.field("NextToken", token);
    out.end_object();
    const auto answer = co_await post("ListQueues", std::move(body), options);
    if (!answer) co_return std::unexpected(answer.error());
    const auto json = codec::parse_json(*answer, kAnswerLimits);
    if (!json) co_return unreadable(json.error().message);
    if (const Json* list = json->find("QueueUrls"); list != nullptr && list->as_array() != nullptr) {
      for (const Json& url : *list->as_array()) {
        if (url.as_string() != nullptr) urls.push_back(*url.as_string());
      }
    }
    token = text_of(*json, "NextToken");
    if (token.empty()) break;
  }
  co_return urls;
}

net::Task<Answer<codec::Pairs>> Sqs::attributes(Bytes queue_url, std::vector<Bytes> names,
                                                CallOptions options) {
  Bytes body;
  JsonWriter out(body);
  out.begin_object().field("QueueUrl", queue_url).key("AttributeNames").begin_array();
  for (const Bytes& name : names) out.string(name);
  out.end_array().end_object();
  const auto answer = co_await post("GetQueueAttributes", std::move(body), std::move(options));
  if (!answer) co_return std::unexpected(answer.error());
  const auto json = codec::parse_json(*answer, kAnswerLimits);
  if (!json) co_return unreadable(json.error().message);
  codec::Pairs pairs;
  const Json* found = json->find("Attributes");
  if (found == nullptr || found->as_object() == nullptr) co_return pairs;
  for (const auto& [name, value] : *found->as_object()) {
    if (value.as_string() != nullptr) pairs.emplace_back(name, *value.as_string());
  }
  co_return pairs;
}

net::Task<Answer<std::vector<ReceivedMessage>>> Sqs::receive(ReceiveCall call, CallOptions options,
                                                             Cancel* cancel) {
  Bytes body;
  JsonWriter out(body);
  out.begin_object().field("QueueUrl", call.queue_url).field("MaxNumberOfMessages", call.max);
  out.field("VisibilityTimeout", call.visibility_s).field("WaitTimeSeconds", call.wait_s);
  // Both spellings: services older than 2024 know the first only.
  for (const ByteView name : {"AttributeNames", "MessageSystemAttributeNames"}) {
    out.key(name).begin_array().string("ApproximateReceiveCount").string("SentTimestamp").end_array();
  }
  if (call.attributes) out.key("MessageAttributeNames").begin_array().string("All").end_array();
  out.end_object();
  options.timeout += std::chrono::seconds(call.wait_s);
  const auto answer =
      co_await post("ReceiveMessage", std::move(body), std::move(options), codec::Pairs(), cancel);
  if (!answer) co_return std::unexpected(answer.error());
  co_return read_received(*answer);
}

net::Task<Answer<EachOutcome>> Sqs::change_visibility(Bytes queue_url, std::vector<VisibilityEntry> entries,
                                                      CallOptions options) {
  Bytes body;
  JsonWriter out(body);
  out.begin_object().field("QueueUrl", queue_url).key("Entries").begin_array();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    out.begin_object().field("Id", std::to_string(i)).field("ReceiptHandle", entries[i].receipt);
    out.field("VisibilityTimeout", entries[i].seconds).end_object();
  }
  out.end_array().end_object();
  const auto answer = co_await post("ChangeMessageVisibilityBatch", std::move(body), std::move(options));
  if (!answer) co_return std::unexpected(answer.error());
  co_return read_each(*answer, entries.size());
}

net::Task<Answer<EachOutcome>> Sqs::erase(Bytes queue_url, std::vector<Bytes> receipts, CallOptions options) {
  Bytes body;
  JsonWriter out(body);
  out.begin_object().field("QueueUrl", queue_url).key("Entries").begin_array();
  for (std::size_t i = 0; i < receipts.size(); ++i) {
    out.begin_object().field("Id", std::to_string(i)).field("ReceiptHandle", receipts[i]).end_object();
  }
  out.end_array().end_object();
  const auto answer = co_await post("DeleteMessageBatch", std::move(body), std::move(options));
  if (!answer) co_return std::unexpected(answer.error());
  co_return read_each(*answer, receipts.size());
}

net::Task<Answer<Bytes>> Sqs::send(SendCall call, CallOptions options) {
  Bytes body;
  JsonWriter out(body);
  out.begin_object().field("QueueUrl", call.queue_url).field("MessageBody", call.body);
  if (call.delay_s != 0) out.field("DelaySeconds", call.delay_s);
  write_attributes(out, call.attributes);
  out.end_object();
  codec::Pairs headers;
  if (!call.dedup_id.empty()) headers.emplace_back("x-headrace-dedup-id", call.dedup_id);
  const auto answer = co_await post("SendMessage", std::move(body), std::move(options), std::move(headers));
  co_return text_member(answer, "MessageId");
}

}  // namespace hr::remote
