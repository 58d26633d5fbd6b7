#include "wire/sqs_policy.h"

#include "codec/json.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

namespace hr::wire::sqs {
namespace {

constexpr ByteView kArn = "arn:aws:sqs:us-east-1:000000000000:q";

AddPermission share(const std::string& label) {
  return {.queue_url = {}, .label = label, .accounts = {"111111111111"}, .actions = {"SendMessage"}};
}

TEST(SqsPolicy, the_first_permission_makes_the_document) {
  EXPECT_EQ(
      with_permission("", share("a"), kArn).value(),
      R"({"Version":"2008-10-17","Id":"arn:aws:sqs:us-east-1:000000000000:q/SQSDefaultPolicy",)"
      R"("Statement":[{"Sid":"a","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},)"
      R"("Action":"SQS:SendMessage","Resource":"arn:aws:sqs:us-east-1:000000000000:q"}]})");
}

TEST(SqsPolicy, several_accounts_and_actions_are_lists) {
  const AddPermission both{.queue_url = {},
                           .label = "a",
                           .accounts = {"111111111111", "222222222222"},
                           .actions = {"SendMessage", "ReceiveMessage"}};
  const auto policy = codec::parse_json(with_permission("", both, kArn).value()).value();
  const auto& statement = policy.find("Statement")->as_array()->front();
  EXPECT_EQ(codec::to_json(*statement.find("Action")), R"(["SQS:SendMessage","SQS:ReceiveMessage"])");
  EXPECT_EQ(statement.find("Principal")->find("AWS")->as_array()->size(), 2U);
}

TEST(SqsPolicy, a_label_is_there_once) {
  const Bytes one = with_permission("", share("a"), kArn).value();
  EXPECT_EQ(with_permission(one, share("a"), kArn).error().message,
            "Value a for parameter Label is invalid. Reason: Already exists.");
  EXPECT_TRUE(with_permission(one, share("b"), kArn));
}

TEST(SqsPolicy, removing_takes_that_label_and_the_last_one_the_policy) {
  const Bytes one = with_permission("", share("a"), kArn).value();
  const Bytes two = with_permission(one, share("b"), kArn).value();
  EXPECT_EQ(without_permission(two, "b").value(), one);
  EXPECT_EQ(without_permission(one, "a").value(), "");
  EXPECT_EQ(without_permission(one, "b").error().message,
            "Value b for parameter Label is invalid. Reason: can't find label on existing policy.");
  EXPECT_FALSE(without_permission("", "a"));
}

TEST(SqsPolicy, one_that_was_set_as_a_whole_keeps_what_it_holds) {
  const Bytes mixed =
      with_permission(R"({"Version":"2012-10-17","Statement":{"Effect":"Allow"},"Id":"x"})", share("a"), kArn)
          .value();
  EXPECT_TRUE(
      mixed.starts_with(R"({"Version":"2012-10-17","Id":"x","Statement":[{"Effect":"Allow"},{"Sid":"a")"))
      << mixed;
}

// A policy of one statement with these members.
Outcome<void> checked(std::string_view principal, std::string_view action,
                      std::string_view condition = "{}") {
  return check_policy(fmt::format(
      R"({{"Statement":{{"Effect":"Allow","Principal":{},"Action":{},"Resource":"*","Condition":{}}}}})",
      principal, action, condition));
}

std::string list(std::string_view item, std::size_t count) {
  std::string out = "[";
  for (std::size_t i = 0; i < count; ++i) out += fmt::format("{}{}", i == 0 ? "" : ",", item);
  return out + "]";
}

// Developer Guide, "Amazon SQS policy quotas".
TEST(SqsPolicy, quotas_are_kept_at_their_edge) {
  const auto accounts = [](std::size_t n) {
    return fmt::format(R"({{"AWS":{}}})", list("\"111111111111\"", n));
  };
  EXPECT_TRUE(checked(accounts(50), "\"sqs:*\""));
  EXPECT_EQ(checked(accounts(51), "\"sqs:*\"").error().message,
            "51 Principals were found, maximum allowed is 50.");
  EXPECT_TRUE(checked("\"*\"", list("\"sqs:SendMessage\"", 7)));
  EXPECT_EQ(checked("\"*\"", list("\"sqs:SendMessage\"", 8)).error().code, ErrorCode::kOverLimit);
  const auto conditions = [](std::size_t n) {
    std::string out;
    constexpr std::array kKeys = {"aws:SourceArn", "aws:SourceAccount", "aws:UserAgent", "aws:Referer"};
    constexpr std::array kOperators = {"StringEquals", "StringLike", "StringNotLike"};
    for (const auto* op : kOperators) {
      std::string keys;
      for (const auto* key : kKeys) {
        if (n == 0) break;
        keys += fmt::format(R"({}"{}":"a")", keys.empty() ? "" : ",", key);
        --n;
      }
      if (!keys.empty()) out += fmt::format(R"({}"{}":{{{}}})", out.empty() ? "" : ",", op, keys);
    }
    return "{" + out + "}";
  };
  EXPECT_TRUE(checked("\"*\"", "\"*\"", conditions(10)));
  EXPECT_EQ(checked("\"*\"", "\"*\"", conditions(11)).error().code, ErrorCode::kOverLimit);
  const std::string least = R"({"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}})";
  EXPECT_TRUE(check_policy(least + std::string(kPolicyBytesMax - least.size(), ' ')));
  EXPECT_EQ(check_policy(least + std::string(kPolicyBytesMax - least.size() + 1, ' ')).error().code,
            ErrorCode::kOverLimit);
}

TEST(SqsPolicy, what_add_permission_writes_is_a_policy_that_can_be_kept_to) {
  EXPECT_TRUE(check_policy(with_permission("", share("a"), kArn).value()));
}

TEST(SqsPolicy, the_owners_actions_and_batches_are_no_business_of_other_accounts) {
  EXPECT_FALSE(checked("\"*\"", "\"sqs:SendMessageBatch\""));
  EXPECT_FALSE(checked("\"*\"", "\"sqs:CreateQueue\""));
  EXPECT_TRUE(checked("\"*\"", "\"SQS:deletequeue\""));
  EXPECT_FALSE(can_be_shared(Action::kDeleteQueue));
  EXPECT_FALSE(can_be_shared(Action::kListQueues));
  EXPECT_TRUE(can_be_shared(Action::kSendMessage));
}

TEST(SqsPolicy, holds_20_statements) {
  Bytes policy;
  for (std::size_t i = 0; i < kPolicyStatementsMax; ++i) {
    policy = with_permission(policy, share("l" + std::to_string(i)), kArn).value();
  }
  EXPECT_EQ(with_permission(policy, share("one-more"), kArn).error().code, ErrorCode::kOverLimit);
}

}  // namespace
}  // namespace hr::wire::sqs
