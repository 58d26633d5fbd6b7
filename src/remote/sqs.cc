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

constexpr Nanos kTellEvery = std::chrono::minutes(1);

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
    Bytes code = text_of(entry, "Code");
    const FaultKind kind = fault_kind(ours ? 400 : 500, code);
    out[index_of(entry)] = std::unexpected(Fault{kind, 200, std::move(code), text_of(entry, "Message")});
  }
  return out;
}

net::Task<Answer<Bytes>> Sqs::post(Bytes action, Bytes body, CallOptions options, Manner manner,
                                   codec::Pairs headers, Cancel* cancel) {
  headers.emplace_back("content-type", "application/x-amz-json-1.0");
  headers.emplace_back("x-amz-target", "AmazonSQS." + action);
  headers.emplace_back(kBatchHeader, std::to_string(kBatchAsked));
  auto answer = co_await services_.call({.service = "sqs",
                                         .method = "POST",
                                         .headers = std::move(headers),
                                         .body = std::move(body),
                                         .repeat = manner.repeat,
                                         .pace = manner.pace},
                                        std::move(options), cancel);
  if (!answer) co_return std::unexpected(std::move(answer).error());
  if (answer->status != 200) co_return std::unexpected(fault_of_sqs(*answer));
  batch_max_ = batch_max_of(answer->headers);
  co_return std::move(answer->body);
}

net::Task<Answer<Bytes>> Sqs::queue_url(Bytes name, CallOptions options) {
  Bytes body;
  JsonWriter(body).begin_object().field("QueueName", name).end_object();
  const auto answer = co_await post("GetQueueUrl", std::move(body), std::move(options), Manner{});
  co_return text_member(answer, "QueueUrl");
}

net::Task<Answer<Bytes>> Sqs::create_queue(Bytes name, codec::Pairs attributes, CallOptions options) {
  Bytes body;
  JsonWriter out(body);
  out.begin_object().field("QueueName", name).key("Attributes").begin_object();
  for (const auto& [key, value] : attributes) out.field(key, value);
  out.end_object().end_object();
  const auto answer = co_await post("CreateQueue", std::move(body), std::move(options), Manner{});
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
    const auto answer = co_await post("ListQueues", std::move(body), options, Manner{});
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
  const auto answer = co_await post("GetQueueAttributes", std::move(body), std::move(options), Manner{});
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
  const auto answer = co_await post("ReceiveMessage", std::move(body), std::move(options),
                                    Manner{Repeat::kNever}, codec::Pairs(), cancel);
  auto received = answer ? read_received(*answer) : std::unexpected(answer.error());
  if (cancel == nullptr || !cancel->asked()) co_await look_at_limits(std::move(call.queue_url), received);
  co_return received;
}

net::Task<void> Sqs::look_at_limits(Bytes queue_url, const Answer<std::vector<ReceivedMessage>>& answer) {
  if (!answer) {
    if (answer.error().kind == FaultKind::kOverLimit) tell_over_limit(queue_url, 120'000);
    co_return;
  }
  if (!watch_.wants_look(queue_url, answer->empty(), services_.clock().boottime())) co_return;
  const auto counts = co_await attributes(
      queue_url, {"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"}, {.timeout = 5s});
  if (!counts) co_return;
  const auto number = [&](ByteView name) {
    const Bytes* text = codec::find(*counts, name);
    std::int64_t out = 0;
    if (text != nullptr) std::from_chars(text->data(), text->data() + text->size(), out);
    return out;
  };
  const std::int64_t in_flight = number("ApproximateNumberOfMessagesNotVisible");
  if (number("ApproximateNumberOfMessages") > 0 && in_flight >= InFlightWatch::kFifoMax) {
    tell_over_limit(queue_url, in_flight);
  }
}

void Sqs::tell_over_limit(const Bytes& queue_url, std::int64_t in_flight) {
  if (!watch_.tells(queue_url, services_.clock().boottime())) return;
  services_.log().error(
      "queue_over_limit",
      {{"queue", queue_url},
       {"in_flight", in_flight},
       {"mend", std::string_view("the service hands out no more until some are deleted or come "
                                 "back: look for jobs that hang or retry for long")}});
}

bool InFlightWatch::wants_look(const Bytes& queue_url, bool nothing, Nanos now) {
  constexpr int kEmptyMin = 3;
  if (!queue_url.ends_with(".fifo")) return false;
  Queue& queue = queues_[queue_url];
  queue.empty = nothing ? queue.empty + 1 : 0;
  if (queue.empty < kEmptyMin || (queue.looked && now - *queue.looked < kTellEvery)) return false;
  queue.looked = now;
  return true;
}

bool InFlightWatch::tells(const Bytes& queue_url, Nanos now) {
  Queue& queue = queues_[queue_url];
  if (queue.told && now - *queue.told < kTellEvery) return false;
  queue.told = now;
  return true;
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
  const auto answer = co_await post("ChangeMessageVisibilityBatch", std::move(body), std::move(options),
                                    Manner{Repeat::kAlways, Pace::kNone});
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
  const auto answer = co_await post("DeleteMessageBatch", std::move(body), std::move(options),
                                    Manner{Repeat::kAlways, Pace::kNone});
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
  // Our own store knows the repeat of a send; Amazon's standard queues would have the message twice.
  const Manner manner{Repeat::kRefused};
  const auto answer =
      co_await post("SendMessage", std::move(body), std::move(options), manner, std::move(headers));
  co_return text_member(answer, "MessageId");
}

}  // namespace hr::remote
