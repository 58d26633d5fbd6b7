#include "sqs/access.h"

#include "wire/key_rules.h"
#include "wire/sqs_policy.h"

#include <algorithm>
#include <array>

namespace hr::sqs {
namespace {

using codec::PolicyDecision;
using wire::sqs::Action;

constexpr std::size_t kReadMax = 256;  // policies kept in their read form; of 8 KiB at most each

// A batch needs the right to its action (API_AddPermission, Actions).
Action single(Action action) {
  switch (action) {
    case Action::kSendMessageBatch:
      return Action::kSendMessage;
    case Action::kDeleteMessageBatch:
      return Action::kDeleteMessage;
    case Action::kChangeMessageVisibilityBatch:
      return Action::kChangeMessageVisibility;
    default:
      return action;
  }
}

// An owner that has locked itself out mends it with these.
bool mends_policy(Action action) {
  return action == Action::kGetQueueAttributes || action == Action::kSetQueueAttributes ||
         action == Action::kAddPermission || action == Action::kRemovePermission;
}

bool key_allows(const Caller& caller, Action action, const QueueName& name) {
  const bool own = name.account == caller.identity.account;
  const Bytes called = own ? name.name : name.account + "/" + name.name;
  if (action == Action::kGetQueueUrl || action == Action::kGetQueueAttributes) {
    return wire::may_see(caller.identity.rules, wire::Granted::kQueue, called);
  }
  return wire::may(caller.identity.rules, wire::Granted::kQueue, called, wire::access_of(action));
}

}  // namespace

bool Access::allows(const Caller& caller, Action action, const QueueName& name,
                    const queue::Queue* queue) const {
  if (caller.identity.rules != nullptr && !key_allows(caller, action, name)) return false;
  const bool own = name.account == caller.identity.account;
  action = single(action);
  if (own && mends_policy(action)) return true;
  if (!own && !wire::sqs::can_be_shared(action)) return false;
  const auto decision = judge(caller, action, name, queue);
  return own ? decision != PolicyDecision::kDeny : decision == PolicyDecision::kAllow;
}

PolicyDecision Access::judge(const Caller& caller, Action action, const QueueName& name,
                             const queue::Queue* queue) const {
  if (queue == nullptr) return PolicyDecision::kNone;
  const auto text = queue->attributes.stored.find("Policy");
  if (text == queue->attributes.stored.end() || text->second.empty()) return PolicyDecision::kNone;
  const auto& policy = read(text->second);
  if (!policy) return PolicyDecision::kNone;
  const bool local =
      caller.source_ip.empty() || caller.source_ip.starts_with("127.") || caller.source_ip == "::1";
  // Nothing travels in the clear that does not leave the host: TLS, where there is any, ends at nginx.
  std::array<codec::PolicyFact, 3> facts = {
      codec::PolicyFact{"aws:SecureTransport", local ? "true" : "false"},
      {"aws:UserAgent", caller.user_agent},
      {"aws:SourceIp", caller.source_ip}};
  const Bytes named = "sqs:" + Bytes(wire::sqs::to_string(action));
  const Bytes arn = queue_arn(region_, name.account, name.name);
  return codec::evaluate(*policy, {.account = caller.identity.account,
                                   .service = {},
                                   .action = named,
                                   .resource = arn,
                                   .facts = std::span(facts).first(caller.source_ip.empty() ? 2 : 3)});
}

const std::optional<codec::Policy>& Access::read(const Bytes& text) const {
  const auto known = read_.find(text);
  if (known != read_.end()) return known->second;
  if (read_.size() >= kReadMax) read_.clear();
  auto policy = codec::parse_policy(text, wire::sqs::policy_rules());
  return read_.emplace(text, policy ? std::optional(std::move(*policy)) : std::nullopt).first->second;
}

}  // namespace hr::sqs
