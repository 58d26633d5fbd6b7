#include "codec/policy.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <rapidcheck/gtest.h>
#include <string>

namespace hr::codec {
namespace {

constexpr std::array<std::string_view, 3> kActions = {"SendMessage", "ReceiveMessage", "DeleteMessage"};
constexpr std::array kKeys = {PolicyKey{"sqs:prefix"}};
constexpr PolicyRules kRules{.service = "sqs", .actions = kActions, .keys = kKeys, .statements_max = 3};
constexpr std::string_view kQueue = "arn:aws:sqs:us-east-1:111111111111:jobs";

// A document of one statement; what it says of a member stands above the usual.
std::string document(std::string_view principal, std::string_view condition = "{}",
                     std::string_view effect = "Allow", std::string_view action = R"("sqs:SendMessage")") {
  return fmt::format(R"({{"Version":"2012-10-17","Statement":{{"Effect":"{}","Principal":{},"Action":{},)"
                     R"("Resource":"{}","Condition":{}}}}})",
                     effect, principal, action, kQueue, condition);
}

Policy read(std::string_view text) {
  auto policy = parse_policy(text, kRules);
  EXPECT_TRUE(policy) << policy.error().message;
  return policy.value_or(Policy{});
}

std::string refused(std::string_view text, Errc code) {
  const auto policy = parse_policy(text, kRules);
  EXPECT_FALSE(policy) << text;
  if (policy) return {};
  EXPECT_EQ(policy.error().code, code) << policy.error().message;
  return policy.error().message;
}

PolicyDecision ask(std::string_view text, std::string_view account, std::span<const PolicyFact> facts = {},
                   std::string_view action = "sqs:SendMessage") {
  return evaluate(read(text),
                  {.account = account, .service = {}, .action = action, .resource = kQueue, .facts = facts});
}

TEST(Wildcards, stars_and_question_marks_stand_for_what_is_there) {
  for (const auto& [pattern, text] :
       {std::pair("a*c", "abbc"), std::pair("*", ""), std::pair("a?c", "abc"), std::pair("**x", "x"),
        std::pair("a*b*c", "aXbYbZc"), std::pair("", ""), std::pair("a*", "a")}) {
    EXPECT_TRUE(wildcard_match(pattern, text)) << pattern << ' ' << text;
  }
  for (const auto& [pattern, text] : {std::pair("a*c", "abcd"), std::pair("?", ""), std::pair("a", "A"),
                                      std::pair("", "x"), std::pair("a?", "a")}) {
    EXPECT_FALSE(wildcard_match(pattern, text)) << pattern << ' ' << text;
  }
  EXPECT_TRUE(wildcard_match_any_case("SQS:send*", "sqs:SendMessage"));
}

RC_GTEST_PROP(Wildcards, a_text_with_parts_replaced_by_stars_matches_itself, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::inRange('a', 'd'));
  const auto from = *rc::gen::inRange<std::size_t>(0, text.size() + 1);
  const auto count = *rc::gen::inRange<std::size_t>(0, text.size() - from + 1);
  auto pattern = text;
  pattern.replace(from, count, "*");
  RC_ASSERT(wildcard_match(pattern, text));
}

TEST(Wildcards, many_stars_take_no_longer_than_pattern_times_text) {
  std::string pattern;
  for (int i = 0; i < 2'000; ++i) pattern += "a*";
  EXPECT_FALSE(wildcard_match(pattern + "b", std::string(10'000, 'a')));
}

TEST(Arns, wildcards_stay_within_their_part) {
  EXPECT_TRUE(arn_match("arn:aws:sqs:*:111111111111:j*", kQueue));
  EXPECT_TRUE(arn_match("arn:aws:sqs", kQueue));
  EXPECT_TRUE(arn_match("arn:aws:s3:::b/*", "arn:aws:s3:::b/c:d/e"));
  EXPECT_FALSE(arn_match("arn:aws:sqs:*:jobs", kQueue));
  EXPECT_FALSE(arn_match("arn:aws:sqs:us-east-1:111111111111:jobs:x", kQueue));
  EXPECT_FALSE(arn_match("arn:aws:s3:::b", "arn:aws:s3:::b/c"));
  EXPECT_TRUE(arn_match("*", ""));
}

TEST(Policy, a_document_becomes_its_statements) {
  const auto policy = read(R"({"Version":"2008-10-17","Id":"p","Statement":[{"Sid":"one","Effect":"Allow",
    "Principal":{"AWS":["111111111111","arn:aws:iam::222222222222:root"],"Service":"s3.amazonaws.com"},
    "Action":["SQS:*","sqs:SendMessage"],"Resource":"*","Condition":{
      "Bool":{"aws:SecureTransport":true},"IpAddress":{"aws:SourceIp":["10.0.0.0/8","::1"]}}}]})");
  EXPECT_EQ(policy.version, "2008-10-17");
  EXPECT_EQ(policy.id, "p");
  ASSERT_EQ(policy.statements.size(), 1U);
  const auto& one = policy.statements[0];
  EXPECT_EQ(one.sid, "one");
  EXPECT_EQ(one.effect, PolicyEffect::kAllow);
  EXPECT_EQ(one.principals.accounts, (std::vector<Bytes>{"111111111111", "222222222222"}));
  EXPECT_EQ(one.principals.services, (std::vector<Bytes>{"s3.amazonaws.com"}));
  EXPECT_FALSE(one.principals.anyone);
  EXPECT_EQ(one.actions, (std::vector<Bytes>{"SQS:*", "sqs:SendMessage"}));
  ASSERT_EQ(one.conditions.size(), 2U);
  EXPECT_EQ(one.conditions[0].values, (std::vector<Bytes>{"true"}));
  EXPECT_EQ(one.conditions[1].ranges.size(), 2U);
}

TEST(Policy, an_account_is_allowed_what_is_said_and_no_more) {
  const auto text = document(R"({"AWS":"arn:aws:iam::222222222222:root"})");
  EXPECT_EQ(ask(text, "222222222222"), PolicyDecision::kAllow);
  EXPECT_EQ(ask(text, "333333333333"), PolicyDecision::kNone);
  EXPECT_EQ(ask(text, ""), PolicyDecision::kNone);
  EXPECT_EQ(ask(text, "222222222222", {}, "sqs:DeleteMessage"), PolicyDecision::kNone);
  EXPECT_EQ(evaluate(read(text), {.account = "222222222222",
                                  .service = {},
                                  .action = "sqs:SendMessage",
                                  .resource = "arn:aws:sqs:us-east-1:111111111111:other",
                                  .facts = {}}),
            PolicyDecision::kNone);
}

TEST(Policy, a_star_is_everybody_and_who_has_no_account) {
  for (const auto* who : {R"("*")", R"({"AWS":"*"})", R"({"AWS":["111111111111","*"]})"}) {
    EXPECT_EQ(ask(document(who), ""), PolicyDecision::kAllow) << who;
    EXPECT_EQ(ask(document(who), "999999999999"), PolicyDecision::kAllow) << who;
  }
}

TEST(Policy, one_statement_that_denies_outweighs_all_that_allow) {
  const auto allow = read(document(R"("*")"));
  auto both = allow;
  both.statements.push_back(read(document(R"({"AWS":"222222222222"})", "{}", "Deny")).statements[0]);
  std::swap(both.statements[0], both.statements[1]);
  const PolicyRequest request{
      .account = "222222222222", .service = {}, .action = "sqs:SendMessage", .resource = kQueue, .facts = {}};
  EXPECT_EQ(evaluate(both, request), PolicyDecision::kDeny);
  std::swap(both.statements[0], both.statements[1]);
  EXPECT_EQ(evaluate(both, request), PolicyDecision::kDeny);
  EXPECT_EQ(evaluate(allow, request), PolicyDecision::kAllow);
}

TEST(Policy, a_service_is_meant_by_its_own_name_only) {
  const auto policy = read(document(R"({"Service":"s3.amazonaws.com"})"));
  PolicyRequest request{.account = "111111111111",
                        .service = "s3.amazonaws.com",
                        .action = "sqs:SendMessage",
                        .resource = kQueue,
                        .facts = {}};
  EXPECT_EQ(evaluate(policy, request), PolicyDecision::kAllow);
  request.service = "sns.amazonaws.com";
  EXPECT_EQ(evaluate(policy, request), PolicyDecision::kNone);
  request.service = {};
  EXPECT_EQ(evaluate(policy, request), PolicyDecision::kNone);
}

TEST(Policy, not_action_and_not_resource_are_all_others) {
  auto policy = read(document(R"("*")"));
  const PolicyRequest request{
      .account = {}, .service = {}, .action = "sqs:SendMessage", .resource = kQueue, .facts = {}};
  policy.statements[0].not_actions = true;
  EXPECT_EQ(evaluate(policy, request), PolicyDecision::kNone);
  policy.statements[0].not_actions = false;
  policy.statements[0].not_resources = true;
  EXPECT_EQ(evaluate(policy, request), PolicyDecision::kNone);
  const auto read_back = read(R"({"Statement":{"Effect":"Deny","Principal":"*","NotAction":"sqs:SendMessage",
    "NotResource":"arn:aws:sqs:*:*:jobs"}})");
  EXPECT_TRUE(read_back.statements[0].not_actions);
  EXPECT_TRUE(read_back.statements[0].not_resources);
}

struct ConditionCase {
  const char* condition;
  const char* key;
  const char* meets;  // null: none does
  const char* fails;  // null: none does
  bool absent;        // the decision where the request has no such value
};

// The operators as IAM has them: a missing value meets those that negate, and those with IfExists.
TEST(Policy, conditions_hold_as_their_operators_say) {
  for (const auto& c : {
           ConditionCase{R"({"StringEquals":{"aws:SourceAccount":["1","2"]}})", "aws:SourceAccount", "2",
                         "12", false},
           ConditionCase{R"({"StringNotEquals":{"aws:SourceAccount":["1","2"]}})", "aws:sourceaccount", "3",
                         "2", true},
           ConditionCase{R"({"StringEqualsIgnoreCase":{"aws:UserAgent":"Ab"}})", "aws:UserAgent", "aB", "b",
                         false},
           ConditionCase{R"({"StringNotEqualsIgnoreCase":{"aws:UserAgent":"Ab"}})", "aws:UserAgent", "b",
                         "aB", true},
           ConditionCase{R"({"StringLike":{"aws:Referer":"http://x/*"}})", "aws:Referer", "http://x/y",
                         "http://y/", false},
           ConditionCase{R"({"StringNotLike":{"aws:Referer":"http://x/*"}})", "aws:Referer", "http://y/",
                         "http://x/", true},
           ConditionCase{R"({"StringLikeIfExists":{"sqs:prefix":"a*"}})", "sqs:prefix", "ab", "b", true},
           ConditionCase{R"({"ArnLike":{"aws:SourceArn":"arn:aws:s3:::b*"}})", "aws:SourceArn",
                         "arn:aws:s3:::bucket", "arn:aws:s3:::a", false},
           ConditionCase{R"({"ArnEquals":{"aws:SourceArn":"arn:aws:s3:*:*:b"}})", "aws:SourceArn",
                         "arn:aws:s3:::b", "arn:aws:sns:::b", false},
           ConditionCase{R"({"ArnNotEquals":{"aws:SourceArn":"arn:aws:s3:::b"}})", "aws:SourceArn",
                         "arn:aws:s3:::c", "arn:aws:s3:::b", true},
           ConditionCase{R"({"Bool":{"aws:SecureTransport":"FALSE"}})", "aws:SecureTransport", "false",
                         "true", false},
           ConditionCase{R"({"IpAddress":{"aws:SourceIp":["10.0.0.0/8","2001:db8::/32"]}})", "aws:SourceIp",
                         "2001:db8::1", "11.0.0.1", false},
           ConditionCase{R"({"IpAddress":{"aws:SourceIp":"10.1.2.3"}})", "aws:SourceIp", "10.1.2.3",
                         "10.1.2.4", false},
           ConditionCase{R"({"NotIpAddress":{"aws:SourceIp":"10.0.0.0/31"}})", "aws:SourceIp", "10.0.0.2",
                         "10.0.0.1", true},
           ConditionCase{R"({"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}})", "aws:SourceIp", "1.2.3.4", "::1",
                         false},
           ConditionCase{R"({"Null":{"aws:SourceArn":"true"}})", "aws:SourceArn", nullptr, "arn:x", true},
           ConditionCase{R"({"Null":{"aws:SourceArn":false}})", "aws:SourceArn", "arn:x", nullptr, false},
       }) {
    const auto text = document(R"("*")", c.condition);
    const auto given = [&](const char* value) {
      const PolicyFact fact{c.key, value};
      return ask(text, "", {&fact, 1}) == PolicyDecision::kAllow;
    };
    if (c.meets != nullptr) EXPECT_TRUE(given(c.meets)) << c.condition;
    if (c.fails != nullptr) EXPECT_FALSE(given(c.fails)) << c.condition;
    EXPECT_EQ(ask(text, "") == PolicyDecision::kAllow, c.absent) << c.condition;
  }
}

TEST(Policy, conditions_of_one_statement_must_all_hold) {
  const auto text = document(
      R"("*")", R"({"StringEquals":{"aws:PrincipalAccount":"222222222222","aws:SourceAccount":"1"}})");
  const PolicyFact source{"aws:SourceAccount", "1"};
  EXPECT_EQ(ask(text, "222222222222", {&source, 1}), PolicyDecision::kAllow);
  EXPECT_EQ(ask(text, "222222222222"), PolicyDecision::kNone);
  EXPECT_EQ(ask(text, "333333333333", {&source, 1}), PolicyDecision::kNone);
}

TEST(Policy, what_no_policy_may_say_is_refused_with_its_place) {
  for (const auto& [text, word] : {
           std::pair("", "the policy"),
           std::pair("[]", "object"),
           std::pair("{}", "Statement is missing"),
           std::pair(R"({"Statement":[]})", "empty list"),
           std::pair(R"({"Statement":[7]})", "statement 1: a statement must be an object"),
           std::pair(R"({"Version":"2020-01-01","Statement":[]})", "Version"),
           std::pair(R"({"Version":1,"Statement":[]})", "Version"),
           std::pair(R"({"Statements":[]})", "Statements"),
           std::pair(R"({"Statement":{"Sid":"s","Principal":"*","Action":"*","Resource":"*"}})",
                     "statement 1 (s): Effect is missing"),
           std::pair(R"({"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}})",
                     "Principal is missing"),
           std::pair(R"({"Statement":{"Effect":"Allow","Principal":"*","Resource":"*"}})", "Action"),
           std::pair(R"({"Statement":{"Effect":"Allow","Principal":"*","Action":"*"}})", "Resource"),
           std::pair(R"({"Statement":{"Effect":"Allow","Principal":"*","Action":"*","NotAction":"*",)"
                     R"("Resource":"*"}})",
                     "not both"),
           std::pair(R"({"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*",)"
                     R"("Where":1}})",
                     "Where"),
       }) {
    EXPECT_NE(refused(text, Errc::kInvalid).find(word), std::string::npos) << text;
  }
  EXPECT_NE(refused(document(R"("111111111111")"), Errc::kInvalid).find("Principal"), std::string::npos);
  EXPECT_NE(refused(document(R"({"AWS":"12"})"), Errc::kInvalid).find("12 digits"), std::string::npos);
  EXPECT_NE(refused(document(R"("*")", "{}", "allow"), Errc::kInvalid).find("Effect"), std::string::npos);
  EXPECT_NE(
      refused(document(R"("*")", "{}", "Allow", R"("s3:GetObject")"), Errc::kInvalid).find("s3:GetObject"),
      std::string::npos);
  EXPECT_NE(refused(document(R"("*")", "{}", "Allow", "[]"), Errc::kInvalid).find("empty"),
            std::string::npos);
  refused(document(R"("*")", R"({"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}})"), Errc::kInvalid);
  refused(document(R"("*")", R"({"IpAddress":{"aws:SourceIp":"10.0.0"}})"), Errc::kInvalid);
  refused(document(R"("*")", R"({"IpAddress":{"aws:SourceArn":"10.0.0.1"}})"), Errc::kInvalid);
  refused(document(R"("*")", R"({"Bool":{"aws:SecureTransport":"yes"}})"), Errc::kInvalid);
  refused(document(R"("*")", R"({"StringEquals":{}})"), Errc::kInvalid);
  refused(document(R"("*")", R"({"StringEquals":{"aws:SourceArn":7}})"), Errc::kInvalid);
}

TEST(Policy, what_aws_knows_and_we_do_not_is_refused_by_name) {
  for (const auto& [text, word] : {
           std::pair(document(R"("*")", R"({"NumericLessThan":{"sqs:prefix":"1"}})"), "NumericLessThan"),
           std::pair(document(R"("*")", R"({"ForAnyValue:StringLike":{"sqs:prefix":"1"}})"), "ForAnyValue"),
           std::pair(document(R"("*")", R"({"NullIfExists":{"sqs:prefix":"true"}})"), "NullIfExists"),
           std::pair(document(R"("*")", R"({"StringEquals":{"aws:PrincipalOrgID":"o"}})"),
                     "aws:PrincipalOrgID"),
           std::pair(document(R"("*")", R"({"StringEquals":{"sqs:prefix":"${aws:username}"}})"), "variables"),
           std::pair(document(R"({"Federated":"x"})"), "Federated"),
           std::pair(document(R"({"AWS":"arn:aws:iam::111111111111:user/ann"})"), "users and roles"),
           std::pair(std::string(R"({"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":"*"},)"
                                 R"("Action":"*","Resource":"*"}})"),
                     "NotPrincipal"),
       }) {
    EXPECT_NE(refused(text, Errc::kUnsupported).find(word), std::string::npos) << text;
  }
}

TEST(Policy, before_2012_a_dollar_is_a_dollar) {
  auto text = document(R"("*")", R"({"StringEquals":{"aws:Referer":"${x}"}})");
  text.replace(text.find("2012"), 4, "2008");
  const PolicyFact referer{"aws:Referer", "${x}"};
  EXPECT_EQ(ask(text, "", {&referer, 1}), PolicyDecision::kAllow);
}

TEST(Policy, limits_are_kept_at_their_edge) {
  const std::string one = R"({"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"})";
  const auto of = [&](int n) {
    std::string list = one;
    for (int i = 1; i < n; ++i) list += "," + one;
    return fmt::format(R"({{"Statement":[{}]}})", list);
  };
  EXPECT_EQ(read(of(3)).statements.size(), 3U);
  EXPECT_EQ(refused(of(4), Errc::kLimit), "4 Statements were found, maximum allowed is 3.");
  auto rules = kRules;
  rules.bytes_max = of(1).size();
  EXPECT_TRUE(parse_policy(of(1), rules));
  EXPECT_FALSE(parse_policy(of(1) + " ", rules));
}

TEST(Policy, a_sid_stands_for_one_statement) {
  const std::string one = R"({"Sid":"a","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"})";
  EXPECT_NE(refused(fmt::format(R"({{"Statement":[{},{}]}})", one, one), Errc::kInvalid).find("twice"),
            std::string::npos);
}

TEST(Policy, who_has_no_account_is_meant_where_nothing_narrows_it) {
  EXPECT_TRUE(allows_anyone(read(document(R"("*")"))));
  EXPECT_TRUE(allows_anyone(read(document(R"("*")", R"({"Bool":{"aws:SecureTransport":"true"}})"))));
  EXPECT_TRUE(allows_anyone(read(document(R"("*")", R"({"ArnLike":{"aws:SourceArn":"*"}})"))));
  EXPECT_FALSE(allows_anyone(read(document(R"("*")", "{}", "Deny"))));
  EXPECT_FALSE(allows_anyone(read(document(R"({"AWS":"111111111111"})"))));
  EXPECT_FALSE(allows_anyone(read(document(R"("*")", R"({"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}})"))));
  EXPECT_FALSE(
      allows_anyone(read(document(R"("*")", R"({"StringEquals":{"aws:SourceAccount":"111111111111"}})"))));
}

}  // namespace
}  // namespace hr::codec
