#include "wire/sqs_policy.h"

#include "codec/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace hr::wire::sqs {
namespace {

using codec::Json;

// Batches are part of their action, and nobody can be allowed to make or list queues by the policy of one.
constexpr std::array<std::string_view, 18> kPolicyActions = {"AddPermission",
                                                             "CancelMessageMoveTask",
                                                             "ChangeMessageVisibility",
                                                             "DeleteMessage",
                                                             "DeleteQueue",
                                                             "GetQueueAttributes",
                                                             "GetQueueUrl",
                                                             "ListDeadLetterSourceQueues",
                                                             "ListMessageMoveTasks",
                                                             "ListQueueTags",
                                                             "PurgeQueue",
                                                             "ReceiveMessage",
                                                             "RemovePermission",
                                                             "SendMessage",
                                                             "SetQueueAttributes",
                                                             "StartMessageMoveTask",
                                                             "TagQueue",
                                                             "UntagQueue"};
constexpr codec::PolicyRules kRules{.service = "sqs",
                                    .actions = kPolicyActions,
                                    .keys = {},
                                    .bytes_max = kPolicyBytesMax,
                                    .statements_max = kPolicyStatementsMax};

Outcome<void> within(std::size_t count, std::size_t most, std::string_view what) {
  if (count <= most) return {};
  return refuse(ErrorCode::kOverLimit,
                fmt::format("{} {} were found, maximum allowed is {}.", count, what, most));
}

Error to_error(const hr::Error& error) {
  switch (error.code) {
    case Errc::kUnsupported:
      return {ErrorCode::kUnsupportedOperation,
              "Invalid value for the parameter Policy. Reason: " + error.message};
    case Errc::kLimit:
      return {ErrorCode::kOverLimit, error.message};
    default:
      return {ErrorCode::kInvalidAttributeValue,
              "Invalid value for the parameter Policy. Reason: " + error.message};
  }
}

// The document's members besides its statements, and those as a list.
struct Document {
  Json::Object head;
  Json::Array statements;
};

Document read(ByteView policy) {
  Document document;
  const auto json = codec::parse_json(policy, {.depth_max = 16});
  if (!json || !json->is_object()) return document;
  for (const auto& member : *json->as_object()) {
    if (member.name != "Statement") {
      document.head.push_back(member);
    } else if (const auto* list = member.value.as_array()) {
      document.statements = *list;
    } else {
      document.statements.push_back(member.value);
    }
  }
  return document;
}

Bytes write(Document&& document) {
  document.head.push_back({"Statement", Json(std::move(document.statements))});
  return codec::to_json(Json(std::move(document.head)));
}

bool has_label(const Json& statement, ByteView label) {
  const Json* sid = statement.find("Sid");
  return sid != nullptr && *sid == Json(label);
}

Json one_or_many(Json::Array values) {
  return values.size() == 1 ? std::move(values.front()) : Json(std::move(values));
}

Json statement_of(const AddPermission& permission, ByteView arn) {
  Json::Array principals, actions;
  for (const auto& account : permission.accounts) {
    principals.emplace_back(fmt::format("arn:aws:iam::{}:root", account));
  }
  for (const auto& action : permission.actions) actions.emplace_back("SQS:" + action);
  Json::Object principal;
  principal.push_back({"AWS", one_or_many(std::move(principals))});
  Json::Object statement;
  statement.push_back({"Sid", Json(permission.label)});
  statement.push_back({"Effect", Json("Allow")});
  statement.push_back({"Principal", Json(std::move(principal))});
  statement.push_back({"Action", one_or_many(std::move(actions))});
  statement.push_back({"Resource", Json(arn)});
  return Json(std::move(statement));
}

}  // namespace

const codec::PolicyRules& policy_rules() { return kRules; }

bool can_be_shared(Action action) {
  switch (action) {
    case Action::kChangeMessageVisibility:
    case Action::kDeleteMessage:
    case Action::kGetQueueAttributes:
    case Action::kGetQueueUrl:
    case Action::kListDeadLetterSourceQueues:
    case Action::kPurgeQueue:
    case Action::kReceiveMessage:
    case Action::kSendMessage:
      return true;
    default:
      return false;
  }
}

Outcome<void> check_policy(ByteView text) {
  const auto policy = codec::parse_policy(text, kRules);
  if (!policy) return std::unexpected(to_error(policy.error()));
  std::size_t principals = 0, conditions = 0;
  for (const auto& statement : policy->statements) {
    const auto& who = statement.principals;
    principals += who.accounts.size() + who.services.size() + (who.anyone ? 1 : 0);
    conditions += statement.conditions.size();
    HR_TRY(within(statement.actions.size(), kPolicyActionsMax, "Actions"));
  }
  HR_TRY(within(principals, kPolicyPrincipalsMax, "Principals"));
  return within(conditions, kPolicyConditionsMax, "Conditions");
}

Outcome<Bytes> with_permission(ByteView policy, const AddPermission& permission, ByteView arn) {
  Document document = read(policy);
  const auto same = [&](const Json& statement) { return has_label(statement, permission.label); };
  if (std::ranges::any_of(document.statements, same)) {
    return invalid_value(permission.label, "Label", "Already exists.");
  }
  if (document.statements.size() >= kPolicyStatementsMax) {
    return refuse(ErrorCode::kOverLimit, fmt::format("{} Statements were found, maximum allowed is {}.",
                                                     document.statements.size() + 1, kPolicyStatementsMax));
  }
  if (document.head.empty()) {
    document.head.push_back({"Version", Json("2008-10-17")});
    document.head.push_back({"Id", Json(fmt::format("{}/SQSDefaultPolicy", arn))});
  }
  document.statements.push_back(statement_of(permission, arn));
  Bytes text = write(std::move(document));
  if (text.size() <= kPolicyBytesMax) return text;
  return refuse(ErrorCode::kOverLimit,
                fmt::format("The policy would be longer than {} bytes.", kPolicyBytesMax));
}

Outcome<Bytes> without_permission(ByteView policy, ByteView label) {
  Document document = read(policy);
  const auto gone =
      std::erase_if(document.statements, [&](const Json& statement) { return has_label(statement, label); });
  if (gone == 0) return invalid_value(label, "Label", "can't find label on existing policy.");
  if (document.statements.empty()) return Bytes();
  return write(std::move(document));
}

}  // namespace hr::wire::sqs
