// The actions on messages.
#include "codec/digest.h"
#include "net/runtime.h"
#include "sqs/commit.h"
#include "sqs/service.h"
#include "wire/sqs_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
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
  if (!message.deduplication.empty()) {
    return wire::sqs::invalid_value(
        message.deduplication, "MessageDeduplicationId",
        "The request includes a parameter that is not valid for this queue type.");
  }
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
                     .md5_of_system_attributes = md5_of_system_attributes(message)};
  const auto& sender =
      caller.identity.access_key.empty() ? caller.identity.account : caller.identity.access_key;
  prepared.entry = {.id = id,
                    .content = queue::encode_content({.body = std::move(message.body),
                                                      .attributes = to_queue(std::move(message.attributes)),
                                                      .md5_of_body = prepared.answer.md5_of_body,
                                                      .md5_of_attributes = prepared.answer.md5_of_attributes,
                                                      .sender = sender,
                                                      .trace_header = std::move(message.trace_header),
                                                      .group = std::move(message.group)}),
                    .delay = seconds(message.delay)};
  messages_.sent_bytes += bytes;
  return prepared;
}

net::Task<Outcome<std::vector<queue::Sent>>> Service::send(queue::QueueId queue,
                                                           std::span<const queue::SendEntry> entries) {
  const auto cost = cost_of(parts_.store.queues().bound(entries), Space::kGrow);
  auto sent = co_await commit<std::vector<queue::Sent>>(
      cost, Release::kDurable,
      [&](auto& engine, Time now, auto& effects) { return engine.send(queue, entries, now, effects); });
  if (sent) messages_.sent += entries.size();
  co_return sent;
}

Answered Service::run(const Caller& caller, wire::sqs::SendMessage& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  auto prepared = prepare(caller, **queue, std::move(request.message));
  if (!prepared) co_return std::unexpected(std::move(prepared).error());
  const auto sent = co_await send((*queue)->id, {&prepared->entry, 1});
  if (!sent) co_return std::unexpected(sent.error());
  co_return std::move(prepared->answer);
}

Answered Service::run(const Caller& caller, wire::sqs::SendMessageBatch& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  const auto id = (*queue)->id;
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
  }
  co_return answer;
}

// ---- receiving

Outcome<wire::sqs::ReceivedMessage> Service::read(const queue::Delivery& delivery,
                                                  const wire::sqs::ReceiveMessage& request) const {
  const auto record = parts_.store.read(delivery.content);
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
  const auto add = [&](std::string_view name, Bytes value) {
    const auto& names = request.system_names;
    const bool asked = std::ranges::any_of(names, [name](ByteView n) { return n == "All" || n == name; });
    if (asked && !value.empty()) message.system_attributes.emplace_back(name, std::move(value));
  };
  if (!request.system_names.empty()) {
    add("SenderId", content->sender);
    add("SentTimestamp", std::to_string(to_ms(delivery.sent)));
    add("ApproximateReceiveCount", std::to_string(delivery.receive_count));
    add("ApproximateFirstReceiveTimestamp", std::to_string(to_ms(delivery.first_received)));
    add("MessageGroupId", content->group);
    add("AWSTraceHeader", content->trace_header);
  }
  for (auto& a : content->attributes) {
    if (!wire::sqs::wanted(request.names, a.name)) continue;
    message.attributes.push_back({std::move(a.name), std::move(a.type), std::move(a.value)});
  }
  message.md5_of_attributes = message.attributes.size() == content->attributes.size()
                                  ? std::move(content->md5_of_attributes)
                                  : md5_of_attributes(message.attributes);
  return message;
}

Answered Service::run(const Caller& caller, wire::sqs::ReceiveMessage& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  const Duration wait = seconds(request.wait).value_or((*queue)->attributes.receive_wait);
  const queue::ReceiveRequest ask{.max_messages = request.max,
                                  .visibility = seconds(request.visibility),
                                  .wait_until = parts_.store.now() + wait,
                                  .waiter = {}};
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
    auto message = read(delivery, request);
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
  if (!fine_to_delete(outcomes->front())) co_return std::unexpected(to_error(outcomes->front().error()));
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
