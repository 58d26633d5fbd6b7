// The actions on queues.
#include "codec/base64.h"
#include "sqs/commit.h"
#include "sqs/service.h"
#include "wire/sqs_attributes.h"
#include "wire/sqs_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace hr::sqs {
namespace {

using storage::Release;
using storage::Space;
using wire::sqs::Answer;
using wire::sqs::ErrorCode;
using wire::sqs::refuse;

constexpr std::string_view kRedrivePolicy = "RedrivePolicy";
constexpr std::string_view kPolicy = "Policy";

// The attribute as it stands; empty when it is not set.
ByteView policy_of(const queue::Queue& queue) {
  const auto at = queue.attributes.stored.find(std::string(kPolicy));
  return at == queue.attributes.stored.end() ? ByteView() : ByteView(at->second);
}

// Attributes of FIFO queues are theirs alone, and two of them go together.
Outcome<void> check_fifo(const wire::sqs::QueueAttributes& asked, const QueueName& of,
                         const queue::Attributes* has) {
  if (!queue::is_fifo(of.name)) {
    const auto fifo = std::ranges::find_if(
        asked.stored, [](const auto& attribute) { return wire::sqs::is_fifo_attribute(attribute.first); });
    if (asked.fifo) {
      return refuse(
          ErrorCode::kInvalidAttributeValue,
          "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.");
    }
    if (fifo == asked.stored.end()) return {};
    return refuse(ErrorCode::kInvalidAttributeName,
                  fmt::format("You can specify the {} only when FifoQueue is set to true.", fifo->first));
  }
  const auto value = [&](const char* name) -> Bytes {
    if (const auto at = asked.stored.find(name); at != asked.stored.end()) return at->second;
    if (has == nullptr) return {};
    const auto at = has->stored.find(name);
    return at == has->stored.end() ? Bytes() : at->second;
  };
  if (value("FifoThroughputLimit").empty() || !value("DeduplicationScope").empty()) return {};
  return refuse(ErrorCode::kInvalidAttributeValue,
                "Invalid value for the parameter FifoThroughputLimit. Reason: perMessageGroupId is allowed "
                "only when DeduplicationScope is messageGroup.");
}

Outcome<Answer> nothing_of(const Outcome<void>& done) {
  if (!done) return std::unexpected(done.error());
  return wire::sqs::Nothing{};
}

std::optional<Duration> seconds(const std::optional<std::uint32_t>& value) {
  if (!value) return std::nullopt;
  return std::chrono::seconds(*value);
}

Bytes in_seconds(Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

Bytes unix_seconds(Time time) { return in_seconds(time.time_since_epoch()); }

// The first attribute of the request whose value is not the queue's.
std::string_view first_difference(const queue::AttributeChange& asked, const queue::Attributes& has) {
  const auto differs = [](const auto& want, const auto& value) { return want && *want != value; };
  if (differs(asked.delay, has.delay)) return "DelaySeconds";
  if (differs(asked.visibility_timeout, has.visibility_timeout)) return "VisibilityTimeout";
  if (differs(asked.retention, has.retention)) return "MessageRetentionPeriod";
  if (differs(asked.receive_wait, has.receive_wait)) return "ReceiveMessageWaitTimeSeconds";
  if (differs(asked.maximum_message_size, has.maximum_message_size)) return "MaximumMessageSize";
  for (const auto& [name, value] : asked.stored) {
    const auto at = has.stored.find(name);
    if (at == has.stored.end() ? !value.empty() : at->second != value) return name;
  }
  return kRedrivePolicy;
}

// One page of names: at most `max`, and the token of the next page where there is one.
wire::sqs::QueueUrlsAnswer page_of(std::vector<Bytes> urls, std::vector<Bytes> names,
                                   std::optional<int> max) {
  const auto limit = static_cast<std::size_t>(max.value_or(wire::sqs::kListMax));
  wire::sqs::QueueUrlsAnswer answer;
  if (urls.size() > limit) {
    urls.resize(limit);
    if (max) answer.next_token = codec::base64_encode(names[limit - 1]);
  }
  answer.urls = std::move(urls);
  return answer;
}

}  // namespace

Outcome<queue::Redrive> Service::resolve(const wire::sqs::RedrivePolicy& policy, const QueueName& of) const {
  const auto bad = [&](std::string_view reason) {
    return wire::sqs::invalid_value(wire::sqs::to_text(policy), kRedrivePolicy, reason);
  };
  const auto target = parse_queue_arn(policy.target_arn, parts_.region);
  if (!target) return bad("Invalid value for deadLetterTargetArn.");
  if (target->account != of.account) return bad("Dead-letter target owner should be same as the source.");
  if (target->name == of.name) return bad("A queue cannot be its own dead-letter queue.");
  const queue::Queue* queue = parts_.store.queues().find(target->account, target->name);
  if (queue == nullptr) return bad("Dead letter target does not exist.");
  if (queue::is_fifo(*queue) != queue::is_fifo(of.name)) {
    return bad("Dead-letter queue must be same type of queue as the source.");
  }
  const auto allow = queue->attributes.stored.find("RedriveAllowPolicy");
  if (allow != queue->attributes.stored.end() &&
      !wire::sqs::redrive_allowed(allow->second, queue_arn(parts_.region, of.account, of.name))) {
    return bad("The dead letter target does not allow this queue in its RedriveAllowPolicy.");
  }
  return queue::Redrive{.dead_letter = queue->id, .max_receive_count = policy.max_receive_count};
}

// The policy's text is kept too: it is reported even when its target is gone.
Outcome<queue::AttributeChange> Service::to_change(wire::sqs::QueueAttributes& attributes,
                                                   const QueueName& of, const queue::Attributes* has) {
  if (const auto good = check_fifo(attributes, of, has); !good) return std::unexpected(good.error());
  queue::AttributeChange change;
  change.delay = seconds(attributes.delay);
  change.visibility_timeout = seconds(attributes.visibility_timeout);
  change.retention = seconds(attributes.retention);
  change.receive_wait = seconds(attributes.receive_wait);
  change.maximum_message_size = attributes.maximum_message_size;
  change.stored = std::move(attributes.stored);
  if (attributes.redrive) {
    HR_ASSIGN(change.redrive, resolve(*attributes.redrive, of));
    change.stored[Bytes(kRedrivePolicy)] = wire::sqs::to_text(*attributes.redrive);
  } else if (attributes.clear_redrive) {
    change.redrive = queue::Redrive{};
    change.stored[Bytes(kRedrivePolicy)] = "";
  }
  return change;
}

Answered Service::run(const Caller& caller, wire::sqs::CreateQueue& request) {
  const QueueName name{caller.identity.account, request.name};
  if (!access_.allows(caller, caller.action, name, nullptr)) {
    co_return refuse(ErrorCode::kAccessDenied, "Access to the resource " + request.name + " is denied.");
  }
  if (recent_.deleted(name, parts_.store.now())) {
    co_return refuse(ErrorCode::kQueueDeletedRecently,
                     "You must wait 60 seconds after deleting a queue before you can create another with the "
                     "same name.");
  }
  auto attributes = to_change(request.attributes, name, nullptr);
  if (!attributes) co_return std::unexpected(std::move(attributes).error());
  const queue::CreateQueue create{.account = name.account,
                                  .name = name.name,
                                  .attributes = std::move(*attributes),
                                  .tags = std::move(request.tags)};
  const auto cost = cost_of(parts_.store.queues().bound(create), Space::kGrow);
  const auto created = co_await commit<queue::QueueId>(
      cost, Release::kDurable,
      [&](auto& engine, Time now, auto& effects) { return engine.create(create, now, effects); });
  const queue::Queue* queue = parts_.store.queues().find(name.account, name.name);
  if (!created && created.error().code == ErrorCode::kQueueNameExists && queue != nullptr) {
    co_return refuse(
        ErrorCode::kQueueNameExists,
        fmt::format("A queue already exists with the same name and a different value for attribute {}",
                    first_difference(create.attributes, queue->attributes)));
  }
  if (!created) co_return std::unexpected(created.error());
  co_return wire::sqs::QueueUrlAnswer{queue_url(caller.base_url, name.account, name.name)};
}

Answered Service::run(const Caller& caller, wire::sqs::ListQueues& request) {
  auto limit = static_cast<std::size_t>(request.max.value_or(wire::sqs::kListMax)) + 1;
  const wire::KeyRules* rules = caller.identity.rules;
  const auto& engine = parts_.store.queues();
  if (rules != nullptr) limit = engine.limits().queues_max;  // some of them are not shown
  std::vector<Bytes> urls, names;
  for (const auto* queue : engine.list(caller.identity.account, request.prefix, request.after, limit)) {
    if (!wire::may_see(rules, wire::Granted::kQueue, queue->name)) continue;
    urls.push_back(url_of(caller, *queue));
    names.push_back(queue->name);
  }
  co_return page_of(std::move(urls), std::move(names), request.max);
}

Answered Service::run(const Caller& caller, wire::sqs::ListDeadLetterSourceQueues& request) {
  const auto target = find(caller, request.queue_url);
  if (!target) co_return std::unexpected(target.error());
  const auto& engine = parts_.store.queues();
  std::vector<Bytes> urls, names;
  const auto all = engine.list(caller.identity.account, "", request.after, engine.limits().queues_max);
  for (const auto* queue : all) {
    const auto& redrive = queue->attributes.redrive;
    if (!redrive || redrive->dead_letter != (*target)->id) continue;
    urls.push_back(url_of(caller, *queue));
    names.push_back(queue->name);
  }
  auto answer = page_of(std::move(urls), std::move(names), request.max);
  answer.sources = true;
  co_return answer;
}

Answered Service::run(const Caller& caller, wire::sqs::GetQueueUrl& request) {
  const QueueName name{request.owner.empty() ? caller.identity.account : request.owner, request.name};
  const queue::Queue* queue = parts_.store.queues().find(name.account, name.name);
  if (queue == nullptr || !access_.allows(caller, caller.action, name, queue)) {
    // Whether it exists is nobody's business who may not see it.
    co_return refuse(ErrorCode::kQueueDoesNotExist,
                     name.account == caller.identity.account
                         ? "The specified queue does not exist."
                         : "The specified queue does not exist or you do not have access to it.");
  }
  co_return wire::sqs::QueueUrlAnswer{url_of(caller, *queue)};
}

Answered Service::run(const Caller& caller, wire::sqs::DeleteQueue& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  const auto id = (*queue)->id;
  const QueueName name{(*queue)->account, (*queue)->name};
  const auto cost = cost_of(parts_.store.queues().bound(std::size_t{1}), Space::kShrink);
  const auto removed = co_await commit<void>(
      cost, Release::kDurable,
      [id](auto& engine, Time now, auto& effects) { return engine.remove(id, now, effects); });
  if (!removed) co_return std::unexpected(removed.error());
  recent_.note_deletion(name, parts_.store.now());
  co_return wire::sqs::Nothing{};
}

Answered Service::run(const Caller& caller, wire::sqs::PurgeQueue& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  const auto id = (*queue)->id;
  if (recent_.purged(id, parts_.store.now())) {
    co_return refuse(
        ErrorCode::kPurgeQueueInProgress,
        fmt::format("Only one PurgeQueue operation on {} is allowed every 60 seconds.", (*queue)->name));
  }
  const auto cost = cost_of(parts_.store.queues().bound(std::size_t{1}), Space::kShrink);
  const auto purged = co_await commit<void>(
      cost, Release::kDurable,
      [id](auto& engine, Time now, auto& effects) { return engine.purge(id, now, effects); });
  if (!purged) co_return std::unexpected(purged.error());
  recent_.note_purge(id, parts_.store.now());
  co_return wire::sqs::Nothing{};
}

net::Task<Outcome<void>> Service::set(queue::QueueId queue, const queue::AttributeChange& change) {
  const auto cost = cost_of(parts_.store.queues().bound(queue, change), Space::kGrow);
  co_return co_await commit<void>(cost, Release::kDurable, [&](auto& engine, Time now, auto& effects) {
    return engine.set_attributes(queue, change, now, effects);
  });
}

net::Task<Outcome<void>> Service::set_tags(queue::QueueId queue, const queue::TagChange& change) {
  const auto cost = cost_of(parts_.store.queues().bound(queue, change), Space::kGrow);
  co_return co_await commit<void>(cost, Release::kDurable, [&](auto& engine, Time now, auto& effects) {
    return engine.tag(queue, change, now, effects);
  });
}

Answered Service::run(const Caller& caller, wire::sqs::SetQueueAttributes& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  const auto change =
      to_change(request.attributes, {(*queue)->account, (*queue)->name}, &(*queue)->attributes);
  if (!change) co_return std::unexpected(change.error());
  co_return nothing_of(co_await set((*queue)->id, *change));
}

// ---- permissions: statements of the Policy attribute (access.h keeps to them)

Answered Service::run(const Caller& caller, wire::sqs::AddPermission& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  const auto arn = queue_arn(parts_.region, (*queue)->account, (*queue)->name);
  auto policy = wire::sqs::with_permission(policy_of(**queue), request, arn);
  if (!policy) co_return std::unexpected(std::move(policy).error());
  queue::AttributeChange change;
  change.stored[Bytes(kPolicy)] = std::move(*policy);
  co_return nothing_of(co_await set((*queue)->id, change));
}

Answered Service::run(const Caller& caller, wire::sqs::RemovePermission& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  auto policy = wire::sqs::without_permission(policy_of(**queue), request.label);
  if (!policy) co_return std::unexpected(std::move(policy).error());
  queue::AttributeChange change;
  change.stored[Bytes(kPolicy)] = std::move(*policy);
  co_return nothing_of(co_await set((*queue)->id, change));
}

// ---- tags

Answered Service::run(const Caller& caller, wire::sqs::TagQueue& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  const queue::TagChange change{.set = std::move(request.tags), .remove = {}};
  co_return nothing_of(co_await set_tags((*queue)->id, change));
}

Answered Service::run(const Caller& caller, wire::sqs::UntagQueue& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  const queue::TagChange change{.set = {}, .remove = std::move(request.keys)};
  co_return nothing_of(co_await set_tags((*queue)->id, change));
}

// ---- asking

// None: the attribute is not set.
std::optional<Bytes> Service::attribute(const queue::Queue& queue, ByteView name) const {
  const auto& a = queue.attributes;
  const auto counts = [&] { return parts_.store.queues().counts(queue.id); };
  if (name == "QueueArn") return queue_arn(parts_.region, queue.account, queue.name);
  if (name == "ApproximateNumberOfMessages") return std::to_string(counts().visible);
  if (name == "ApproximateNumberOfMessagesNotVisible") return std::to_string(counts().in_flight);
  if (name == "ApproximateNumberOfMessagesDelayed") return std::to_string(counts().delayed);
  if (name == "CreatedTimestamp") return unix_seconds(queue.created);
  if (name == "LastModifiedTimestamp") return unix_seconds(queue.modified);
  if (name == "VisibilityTimeout") return in_seconds(a.visibility_timeout);
  if (name == "MaximumMessageSize") return std::to_string(a.maximum_message_size);
  if (name == "MessageRetentionPeriod") return in_seconds(a.retention);
  if (name == "DelaySeconds") return in_seconds(a.delay);
  if (name == "ReceiveMessageWaitTimeSeconds") return in_seconds(a.receive_wait);
  const auto stored = a.stored.find(Bytes(name));
  if (stored != a.stored.end()) return stored->second;
  if (wire::sqs::is_fifo_attribute(name)) {
    if (!queue::is_fifo(queue)) return std::nullopt;
    return name == "FifoQueue" ? Bytes("true") : Bytes(wire::sqs::fifo_default(name));
  }
  if (name == "KmsDataKeyReusePeriodSeconds" && a.stored.contains("KmsMasterKeyId")) return "300";
  // Bodies are not encrypted on disk, so that this is never true by default as it is on AWS.
  if (name == "SqsManagedSseEnabled") return "false";
  return std::nullopt;
}

Answered Service::run(const Caller& caller, wire::sqs::GetQueueAttributes& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  const auto& names = request.names;
  const bool all = std::ranges::find(names, "All") != names.end();
  wire::sqs::AttributesAnswer answer;
  for (const auto name : wire::sqs::queue_attribute_names()) {
    if (!all && std::ranges::find(names, name) == names.end()) continue;
    if (auto value = attribute(**queue, name)) answer.attributes.emplace_back(name, std::move(*value));
  }
  co_return answer;
}

Answered Service::run(const Caller& caller, wire::sqs::ListQueueTags& request) {
  const auto queue = find(caller, request.queue_url);
  if (!queue) co_return std::unexpected(queue.error());
  co_return wire::sqs::TagsAnswer{(*queue)->tags};
}

}  // namespace hr::sqs
