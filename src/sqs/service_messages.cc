// The actions on messages.
#include "codec/digest.h"
#include "net/runtime.h"
#include "sqs/commit.h"
#include "sqs/service.h"
#include "wire/sqs_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iterator>
#include <utility>

namespace hr::sqs {
namespace {

using storage::Release;
using storage::Space;
using wire::sqs::Answer;
using wire::sqs::BatchAnswer;
using wire::sqs::ErrorCode;
using wire::sqs::Nothing;
using wire::sqs::refuse;
using wire::sqs::SentAnswer;

std::optional<Duration> seconds(const std::optional<int>& value) {
  if (!value) return std::nullopt;
  return std::chrono::seconds(*value);
}

std::vector<queue::MessageAttribute> to_queue(std::vector<wire::sqs::MessageAttribute>&& attributes) {
  std::vector<queue::MessageAttribute> out;
  out.reserve(attributes.size());
  for (auto& a : attributes) out.push_back({std::move(a.name), std::move(a.type), std::move(a.value)});
  return out;
}

// The first bytes of a SHA-256 tell ids apart.
queue::Fingerprint fingerprint(ByteView text) {
  queue::Fingerprint print;
  const Bytes digest = codec::sha256(text);
  std::memcpy(print.bytes.data(), digest.data(), print.bytes.size());
  return print;
}

queue::GroupKey group_key(ByteView group) {
  std::uint64_t key = 0;
  std::memcpy(&key, codec::sha256(group).data(), sizeof key);
  return queue::GroupKey{key == 0 ? 1 : key};
}

bool is_set(const queue::Queue& queue, const char* name) { return queue.attributes.stored.contains(name); }

// 20 digits, as AWS's have, rising with every message of the queue.
Bytes sequence_number(queue::Seq seq) {
  return std::to_string(10'000'000'000'000'000'000U + static_cast<std::uint64_t>(seq));
}

// What a message must and must not say in this kind of queue; content takes the place of a missing
// deduplication id where the queue says so.
Outcome<void> fit(wire::sqs::Message& message, const queue::Queue& queue) {
  constexpr ByteView kOtherType = "The request include parameter that is not valid for this queue type.";
  if (!queue::is_fifo(queue)) {
    if (message.deduplication.empty()) return {};
    return wire::sqs::invalid_value(message.deduplication, "MessageDeduplicationId", kOtherType);
  }
  if (message.group.empty()) return wire::sqs::missing("MessageGroupId");
  if (message.delay && *message.delay != 0) {
    return wire::sqs::invalid_value(std::to_string(*message.delay), "DelaySeconds", kOtherType);
  }
  message.delay.reset();
  if (!message.deduplication.empty()) return {};
  if (!is_set(queue, "ContentBasedDeduplication")) {
    return refuse(ErrorCode::kInvalidParameterValue,
                  "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
                  "provided explicitly");
  }
  message.deduplication = codec::sha256_hex(message.body);
  return {};
}

// Of a duplicate: the message that was sent first, and the MD5s of this one.
void tell(SentAnswer& answer, const queue::Sent& sent, bool fifo) {
  answer.id = sent.id.text();
  if (fifo) answer.sequence_number = sequence_number(sent.seq);
}

// A receipt that has been overtaken by a later receive deletes nothing, and the request is fine
// (DeleteMessage in the API Reference).
bool fine_to_delete(const queue::Outcome<void>& outcome) {
  return outcome || outcome.error() == queue::Fault::kReceiptInvalid;
}

// Entries that could be read go to the store together; here each finds its outcome.
template <class T>
struct Sorted {
  std::vector<Bytes> ids;  // of `good`
  std::vector<T> good;
  std::vector<std::pair<Bytes, wire::sqs::Error>> failed;
};

Answer each(std::vector<Bytes> ids, const std::vector<queue::Outcome<void>>& outcomes, auto&& fine,
            std::vector<std::pair<Bytes, wire::sqs::Error>> failed) {
  BatchAnswer<Nothing> answer{.done = {}, .failed = std::move(failed)};
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (fine(outcomes[i])) {
      answer.done.emplace_back(std::move(ids[i]), Nothing{});
    } else {
      answer.failed.emplace_back(std::move(ids[i]), to_error(outcomes[i].error()));
    }
  }
  return answer;
}

}  // namespace

// ---- sending

Outcome<Service::Prepared> Service::prepare(const Caller& caller, const queue::Queue& queue,
                                            wire::sqs::Message&& message) {
  if (const auto good = fit(message, queue); !good) return std::unexpected(good.error());
  const std::size_t bytes = message_bytes(message);
  if (bytes > queue.attributes.maximum_message_size) {
    return refuse(
        ErrorCode::kInvalidParameterValue,
        fmt::format("One or more parameters are invalid. Reason: Message must be shorter than {} bytes.",
                    queue.attributes.maximum_message_size));
  }
  const Uuid id = parts_.entropy.uuid();
  Prepared prepared;
  prepared.answer = {.id = id.text(),
                     .md5_of_body = codec::md5_hex(message.body),
                     .md5_of_attributes = md5_of_attributes(message.attributes),
                     .md5_of_system_attributes = md5_of_system_attributes(message),
                     .sequence_number = {}};
  if (!message.group.empty()) prepared.entry.group = group_key(message.group);
  if (queue::is_fifo(queue)) {
    // A group in front of an id: no group contains the byte between them.
    const bool per_group = is_set(queue, "DeduplicationScope");
    prepared.entry.deduplication =
        fingerprint(per_group ? message.group + '\0' + message.deduplication : message.deduplication);
  }
  const auto& sender =
      caller.identity.access_key.empty() ? caller.identity.account : caller.identity.access_key;
  prepared.entry.id = id;
  prepared.entry.delay = seconds(message.delay);
  prepared.entry.content = queue::encode_content({.body = std::move(message.body),
                                                  .attributes = to_queue(std::move(message.attributes)),
                                                  .md5_of_body = prepared.answer.md5_of_body,
                                                  .md5_of_attributes = prepared.answer.md5_of_attributes,
                                                  .sender = sender,
                                                  .trace_header = std::move(message.trace_header),
                                                  .group = std::move(message.group),
                                                  .deduplication = std::move(message.deduplication)});
  messages_.sent_bytes += bytes;
  return prepared;
}

net::Task<Outcome<std::vector<queue::Sent>>> Service::send(queue::QueueId queue,
                                                           std::span<const queue::SendEntry> entries) {
  const auto cost = cost_of(parts_.store.queues().bound(entries), Space::kGrow);
  auto sent = co_await commit<std::vector<queue::Sent>>(
      cost, Release::kDurable,
      [&](auto& engine, Time now, auto& effects) { return engine.send(queue, entries, now, effects); });
  if (sent) {
    messages_.sent += static_cast<std::uint64_t>(
        std::ranges::count_if(*sent, [](const queue::Sent& s) { return !s.duplicate; }));
  }
  co_return sent;
}

Answered Service::run(const Caller& caller, wire::sqs::SendMessage& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  const bool fifo = queue::is_fifo(**queue);  // the queue may be gone once the message is durable
  auto prepared = prepare(caller, **queue, std::move(request.message));
  if (!prepared) co_return std::unexpected(std::move(prepared).error());
  if (!fifo && !caller.dedup_id.empty()) prepared->entry.deduplication = fingerprint(caller.dedup_id);
  const auto sent = co_await send((*queue)->id, {&prepared->entry, 1});
  if (!sent) co_return std::unexpected(sent.error());
  tell(prepared->answer, sent->front(), fifo);
  co_return std::move(prepared->answer);
}

Answered Service::run(const Caller& caller, wire::sqs::SendMessageBatch& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  const auto id = (*queue)->id;
  const bool fifo = queue::is_fifo(**queue);
  BatchAnswer<SentAnswer> answer;
  std::vector<queue::SendEntry> entries;
  for (auto& entry : request.entries) {
    auto prepared = entry.value ? prepare(caller, **queue, std::move(*entry.value))
                                : Outcome<Prepared>(std::unexpected(std::move(entry.value).error()));
    if (prepared) {
      entries.push_back(std::move(prepared->entry));
      answer.done.emplace_back(std::move(entry.id), std::move(prepared->answer));
    } else {
      answer.failed.emplace_back(std::move(entry.id), std::move(prepared).error());
    }
  }
  if (!entries.empty()) {
    const auto sent = co_await send(id, entries);
    if (!sent) co_return std::unexpected(sent.error());
    for (std::size_t i = 0; i < sent->size(); ++i) tell(answer.done[i].second, (*sent)[i], fifo);
  }
  co_return answer;
}

// ---- receiving

void Service::add_system_attributes(wire::sqs::ReceivedMessage& message, const queue::Queue& queue,
                                    const queue::Delivery& delivery, const queue::MessageContent& content,
                                    std::span<const Bytes> names) const {
  if (names.empty()) return;
  const auto add = [&](std::string_view name, Bytes value) {
    const bool asked = std::ranges::any_of(names, [name](ByteView n) { return n == "All" || n == name; });
    if (asked && !value.empty()) message.system_attributes.emplace_back(name, std::move(value));
  };
  add("SenderId", content.sender);
  add("SentTimestamp", std::to_string(to_ms(delivery.sent)));
  add("ApproximateReceiveCount", std::to_string(delivery.receive_count));
  add("ApproximateFirstReceiveTimestamp", std::to_string(to_ms(delivery.first_received)));
  add("MessageGroupId", content.group);
  add("AWSTraceHeader", content.trace_header);
  if (queue::is_fifo(queue)) {
    add("SequenceNumber", sequence_number(delivery.receipt.seq));
    // Moving gives a message its own id for this ("Using dead-letter queues" in the Developer Guide).
    add("MessageDeduplicationId", delivery.moved ? delivery.id.text() : content.deduplication);
  }
  const queue::Queue* source = parts_.store.queues().find(delivery.source);
  if (source != nullptr) {
    add("DeadLetterQueueSourceArn", queue_arn(parts_.region, source->account, source->name));
  }
}

Outcome<wire::sqs::ReceivedMessage> Service::read(const queue::Queue& queue, const queue::Delivery& delivery,
                                                  const wire::sqs::ReceiveMessage& request) const {
  auto record = parts_.store.read(delivery.content);
  if (!record && record.error().code == Errc::kNotFound) {
    // Its segment was cut since it was received: the message stands elsewhere.
    const auto now = parts_.store.queues().location(delivery.receipt.queue, delivery.receipt.seq);
    if (now) record = parts_.store.read(*now);
  }
  auto content = record ? queue::decode_delivered(*record) : std::unexpected(record.error());
  if (!content) {
    parts_.diary.error("sqs.unreadable",
                       {{"message", delivery.id.text()}, {"reason", content.error().message}});
    return refuse(ErrorCode::kInternalFailure, "A message could not be read.");
  }
  wire::sqs::ReceivedMessage message{.id = delivery.id.text(),
                                     .receipt = parts_.seal.seal(delivery.receipt),
                                     .md5_of_body = std::move(content->md5_of_body),
                                     .md5_of_attributes = {},
                                     .body = std::move(content->body),
                                     .system_attributes = {},
                                     .attributes = {}};
  add_system_attributes(message, queue, delivery, *content, request.system_names);
  for (auto& a : content->attributes) {
    if (!wire::sqs::wanted(request.names, a.name)) continue;
    message.attributes.push_back({std::move(a.name), std::move(a.type), std::move(a.value)});
  }
  message.md5_of_attributes = message.attributes.size() == content->attributes.size()
                                  ? std::move(content->md5_of_attributes)
                                  : md5_of_attributes(message.attributes);
  return message;
}

Outcome<Peeked> Service::peek(const Caller& caller, const PeekRequest& request) const {
  constexpr std::size_t kBytesMax = 16U << 20;  // of bodies in one answer
  HR_ASSIGN(const queue::Queue* const queue, find(caller, request.queue_url));
  wire::sqs::ReceiveMessage all;
  all.names = all.system_names = {"All"};
  Peeked peeked;
  std::size_t bytes = 0;
  const auto found =
      parts_.store.queues().browse(queue->id, request.after, request.max, request.leased, request.delayed);
  for (const auto& delivery : found) {
    HR_ASSIGN(auto message, read(*queue, delivery, all));
    message.receipt.clear();
    bytes += message.body.size();
    peeked.answer.messages.push_back(std::move(message));
    const bool full = bytes >= kBytesMax || peeked.answer.messages.size() == request.max;
    if (full) peeked.next = static_cast<std::uint64_t>(delivery.receipt.seq);
    if (full) break;
  }
  return peeked;
}

Answered Service::run(const Caller& caller, wire::sqs::ReceiveMessage& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  if (!request.attempt.empty() && !queue::is_fifo(**queue)) {
    co_return wire::sqs::invalid_value(
        request.attempt, "ReceiveRequestAttemptId",
        "The request include parameter that is not valid for this queue type.");
  }
  const Duration wait = seconds(request.wait).value_or((*queue)->attributes.receive_wait);
  const queue::ReceiveRequest ask{
      .max_messages = request.max,
      .visibility = seconds(request.visibility),
      .wait_until = parts_.store.now() + wait,
      .waiter = {},
      .attempt = request.attempt.empty() ? std::nullopt : std::optional(fingerprint(request.attempt))};
  const queue::Queue asked{.id = (*queue)->id,
                           .account = {},
                           .name = (*queue)->name,
                           .attributes = {},
                           .tags = {},
                           .created = {},
                           .modified = {}};  // the queue may be gone when the wait is over
  using Received = Result<queue::Outcome<std::vector<queue::Delivery>>>;
  const auto received = co_await net::await_call<Received>([&](auto done) {
    commit::Store& store = parts_.store;
    net::RequestBody* body = caller.body;
    // It may be answered inside the call, and this frame be gone after it; then there is no waiter.
    const auto waiter = store.receive((*queue)->id, ask, std::move(done));
    if (waiter != queue::WaiterId{} && body != nullptr) {
      body->on_disconnect([&store, waiter] { store.cancel(waiter); });
    }
  });
  if (!received) co_return std::unexpected(to_error(received.error()));
  if (!*received) co_return std::unexpected(to_error(received->error()));
  wire::sqs::ReceivedAnswer answer;
  for (const auto& delivery : **received) {
    auto message = read(asked, delivery, request);
    if (!message) co_return std::unexpected(std::move(message).error());
    answer.messages.push_back(std::move(*message));
  }
  messages_.received += answer.messages.size();
  if (answer.messages.empty()) ++messages_.empty_receives;
  co_return answer;
}

// ---- with a receipt

Outcome<queue::Receipt> Service::open(ByteView handle, queue::QueueId queue) const {
  const auto receipt = parts_.seal.open(handle);
  if (receipt && receipt->queue == queue) return *receipt;
  return refuse(ErrorCode::kReceiptHandleIsInvalid,
                fmt::format("The input receipt handle \"{}\" is not a valid receipt handle.", handle));
}

net::Task<Outcome<Service::EachOutcome>> Service::erase(queue::QueueId queue,
                                                        std::span<const queue::Receipt> receipts) {
  const auto cost = cost_of(parts_.store.queues().bound(receipts.size()), Space::kShrink);
  auto outcomes = co_await commit<EachOutcome>(
      cost, Release::kDurable,
      [&](auto& engine, Time now, auto& effects) { return engine.erase(queue, receipts, now, effects); });
  if (outcomes) {
    messages_.deleted += static_cast<std::uint64_t>(
        std::ranges::count_if(*outcomes, [](const auto& outcome) { return outcome.has_value(); }));
  }
  co_return outcomes;
}

net::Task<Outcome<Service::EachOutcome>> Service::change(queue::QueueId queue,
                                                         std::span<const queue::Engine::Visibility> changes) {
  const auto cost = cost_of(parts_.store.queues().bound(changes.size()), Space::kShrink);
  co_return co_await commit<EachOutcome>(cost, Release::kWritten, [&](auto& engine, Time now, auto& effects) {
    return engine.change_visibility(queue, changes, now, effects);
  });
}

Answered Service::run(const Caller& caller, wire::sqs::DeleteMessage& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  const auto receipt = open(request.receipt, (*queue)->id);
  if (!receipt) co_return std::unexpected(receipt.error());
  const auto outcomes = co_await erase((*queue)->id, {&*receipt, 1});
  if (!outcomes) co_return std::unexpected(outcomes.error());
  if (!fine_to_delete(outcomes->front())) {
    co_return std::unexpected(to_error(outcomes->front().error(), request.receipt));
  }
  co_return Nothing{};
}

Answered Service::run(const Caller& caller, wire::sqs::DeleteMessageBatch& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  Sorted<queue::Receipt> sorted;
  for (auto& entry : request.entries) {
    auto receipt =
        entry.value ? open(*entry.value, (*queue)->id) : std::unexpected(std::move(entry.value).error());
    if (receipt) {
      sorted.ids.push_back(std::move(entry.id));
      sorted.good.push_back(*receipt);
    } else {
      sorted.failed.emplace_back(std::move(entry.id), std::move(receipt).error());
    }
  }
  EachOutcome outcomes;
  if (!sorted.good.empty()) {
    auto erased = co_await erase((*queue)->id, sorted.good);
    if (!erased) co_return std::unexpected(std::move(erased).error());
    outcomes = std::move(*erased);
  }
  co_return each(std::move(sorted.ids), outcomes, fine_to_delete, std::move(sorted.failed));
}

Answered Service::run(const Caller& caller, wire::sqs::ChangeMessageVisibility& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  const auto receipt = open(request.change.receipt, (*queue)->id);
  if (!receipt) co_return std::unexpected(receipt.error());
  const queue::Engine::Visibility visibility{*receipt, std::chrono::seconds(request.change.seconds)};
  const auto outcomes = co_await change((*queue)->id, {&visibility, 1});
  if (!outcomes) co_return std::unexpected(outcomes.error());
  if (!outcomes->front()) co_return std::unexpected(to_error(outcomes->front().error()));
  co_return Nothing{};
}

Answered Service::run(const Caller& caller, wire::sqs::ChangeMessageVisibilityBatch& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  Sorted<queue::Engine::Visibility> sorted;
  for (auto& entry : request.entries) {
    auto receipt = entry.value ? open(entry.value->receipt, (*queue)->id)
                               : std::unexpected(std::move(entry.value).error());
    if (receipt) {
      sorted.ids.push_back(std::move(entry.id));
      sorted.good.push_back({*receipt, std::chrono::seconds(entry.value->seconds)});
    } else {
      sorted.failed.emplace_back(std::move(entry.id), std::move(receipt).error());
    }
  }
  EachOutcome outcomes;
  if (!sorted.good.empty()) {
    auto changed = co_await change((*queue)->id, sorted.good);
    if (!changed) co_return std::unexpected(std::move(changed).error());
    outcomes = std::move(*changed);
  }
  const auto fine = [](const queue::Outcome<void>& outcome) { return outcome.has_value(); };
  co_return each(std::move(sorted.ids), outcomes, fine, std::move(sorted.failed));
}

}  // namespace hr::sqs
