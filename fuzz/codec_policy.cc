// Policy documents. What reads must be within its rules, must decide about any request, and a statement that
// denies everybody everything must always win.
#include "base/check.h"
#include "codec/policy.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace {

using namespace hr::codec;

constexpr std::array<std::string_view, 3> kActions = {"SendMessage", "ReceiveMessage", "DeleteMessage"};
constexpr std::array kKeys = {PolicyKey{"sqs:prefix"}};
constexpr PolicyRules kRules{.service = "sqs", .actions = kActions, .keys = kKeys, .statements_max = 20};

PolicyStatement deny_all() {
  PolicyStatement statement;
  statement.effect = PolicyEffect::kDeny;
  statement.principals.anyone = true;
  statement.actions = statement.resources = {"*"};
  return statement;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const hr::ByteView text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(parse_ip_range(text));
  const auto middle = text.size() / 2;
  static_cast<void>(arn_match(text.substr(0, middle), text.substr(middle)));
  auto policy = parse_policy(text, kRules);
  if (!policy) return 0;
  HR_CHECK(!policy->statements.empty() && policy->statements.size() <= kRules.statements_max);
  const std::array facts = {PolicyFact{"aws:SourceIp", "10.1.2.3"}, PolicyFact{"aws:SourceArn", "arn:x"},
                            PolicyFact{"aws:SecureTransport", "false"}};
  PolicyRequest request{.account = "111111111111",
                        .service = {},
                        .action = "sqs:SendMessage",
                        .resource = "arn:aws:sqs:us-east-1:111111111111:jobs",
                        .facts = facts};
  static_cast<void>(evaluate(*policy, request));
  request.account = {};
  const bool allowed = evaluate(*policy, request) == PolicyDecision::kAllow;
  policy->statements.push_back(deny_all());
  HR_CHECK(evaluate(*policy, request) == PolicyDecision::kDeny);
  policy->statements.pop_back();
  std::erase_if(policy->statements, [](const auto& s) { return s.effect == PolicyEffect::kDeny; });
  HR_CHECK(!allowed || evaluate(*policy, request) == PolicyDecision::kAllow);
  return 0;
}
