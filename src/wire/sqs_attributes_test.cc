#include "wire/sqs_attributes.h"

#include "codec/json.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <tuple>

namespace hr::wire::sqs {
namespace {

Outcome<QueueAttributes> read(const Bytes& name, const Bytes& value) {
  return read_queue_attributes({{name, codec::Json(value)}});
}

template <class T>
ErrorCode code_of(const Outcome<T>& result) {
  EXPECT_FALSE(result);
  return result ? ErrorCode::kInternalFailure : result.error().code;
}

constexpr std::string_view kArn = "arn:aws:sqs:us-east-1:123456789012:dead";

TEST(SqsAttributes, numbers_are_checked_at_their_edges) {
  for (const auto& [name, low, high] :
       {std::tuple("DelaySeconds", 0, 900), std::tuple("VisibilityTimeout", 0, 43'200),
        std::tuple("MessageRetentionPeriod", 60, 1'209'600),
        std::tuple("ReceiveMessageWaitTimeSeconds", 0, 20),
        std::tuple("MaximumMessageSize", 1'024, 1'048'576),
        std::tuple("KmsDataKeyReusePeriodSeconds", 60, 86'400)}) {
    EXPECT_TRUE(read(name, std::to_string(low))) << name;
    EXPECT_TRUE(read(name, std::to_string(high))) << name;
    for (const auto& bad : {std::to_string(low - 1), std::to_string(high + 1), std::string("x"),
                            std::string("1.0"), std::string(" 60"), std::string("99999999999999999999")}) {
      const auto refused = read(name, bad);
      EXPECT_EQ(code_of(refused), ErrorCode::kInvalidAttributeValue) << name << "=" << bad;
      EXPECT_EQ(refused.error().message, fmt::format("Invalid value for the parameter {}.", name));
    }
  }
  EXPECT_EQ(code_of(read("DelaySeconds", "")), ErrorCode::kInvalidAttributeValue);
  EXPECT_EQ(read("DelaySeconds", "7")->delay, 7U);
}

TEST(SqsAttributes, unknown_and_read_only_names_are_refused) {
  EXPECT_EQ(code_of(read("Foo", "1")), ErrorCode::kInvalidAttributeName);
  EXPECT_EQ(code_of(read("QueueArn", "x")), ErrorCode::kInvalidAttributeName);
  EXPECT_EQ(code_of(read("ApproximateNumberOfMessages", "1")), ErrorCode::kInvalidAttributeName);
}

TEST(SqsAttributes, of_fifo_queues_have_two_values_and_the_default_is_not_kept) {
  EXPECT_TRUE(read("FifoQueue", "true")->fifo);
  EXPECT_EQ(code_of(read("FifoQueue", "false")), ErrorCode::kInvalidAttributeValue);
  for (const auto& [name, usual, other] :
       {std::tuple("ContentBasedDeduplication", "false", "true"),
        std::tuple("DeduplicationScope", "queue", "messageGroup"),
        std::tuple("FifoThroughputLimit", "perQueue", "perMessageGroupId")}) {
    EXPECT_EQ(fifo_default(name), usual);
    EXPECT_EQ(read(name, usual)->stored.at(name), "");
    EXPECT_EQ(read(name, other)->stored.at(name), other);
    EXPECT_EQ(code_of(read(name, "")), ErrorCode::kInvalidAttributeValue);
    EXPECT_EQ(code_of(read(name, "TRUE")), ErrorCode::kInvalidAttributeValue);
  }
}

TEST(SqsAttributes, kms_and_sqs_encryption_exclude_each_other) {
  using Object = codec::Json::Object;
  EXPECT_TRUE(read_queue_attributes(Object{{"KmsMasterKeyId", "k"}, {"SqsManagedSseEnabled", "false"}}));
  EXPECT_TRUE(read_queue_attributes(Object{{"KmsMasterKeyId", ""}, {"SqsManagedSseEnabled", "true"}}));
  EXPECT_EQ(code_of(read_queue_attributes(Object{{"KmsMasterKeyId", "k"}, {"SqsManagedSseEnabled", "true"}})),
            ErrorCode::kInvalidAttributeName);
}

TEST(SqsAttributes, a_policy_is_kept_as_it_is_where_it_can_be_kept_to) {
  const Bytes allow =
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*",)"
      R"("Resource":"*"}]})";
  const auto kept = read("Policy", allow);
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(kept->stored.at("Policy"), allow);
  EXPECT_EQ(read("Policy", "")->stored.at("Policy"), "");
  EXPECT_EQ(code_of(read("Policy", R"({"Statement":{"Effect":"Deny","NotPrincipal":"*","Action":"*",)"
                                   R"("Resource":"*"}})")),
            ErrorCode::kUnsupportedOperation);
  EXPECT_EQ(code_of(read("Policy", R"({"Statement":{"Effect":"Deny"}})")), ErrorCode::kInvalidAttributeValue);
  EXPECT_EQ(code_of(read("Policy", "{}")), ErrorCode::kInvalidAttributeValue);
  EXPECT_EQ(code_of(read("Policy", "not json")), ErrorCode::kInvalidAttributeValue);
}

TEST(SqsRedrive, a_policy_is_read_and_written) {
  const auto policy =
      parse_redrive_policy(fmt::format(R"({{"deadLetterTargetArn":"{}","maxReceiveCount":"3"}})", kArn));
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_EQ(*policy, (RedrivePolicy{Bytes(kArn), 3}));
  EXPECT_EQ(to_text(*policy), fmt::format(R"({{"deadLetterTargetArn":"{}","maxReceiveCount":3}})", kArn));
  EXPECT_EQ(parse_redrive_policy(to_text(*policy)), policy);
  EXPECT_TRUE(read("RedrivePolicy", "")->clear_redrive);
}

TEST(SqsRedrive, the_receive_count_is_1_to_1000) {
  const auto with = [](int count) {
    return parse_redrive_policy(
        fmt::format(R"({{"deadLetterTargetArn":"{}","maxReceiveCount":{}}})", kArn, count));
  };
  EXPECT_TRUE(with(1));
  EXPECT_TRUE(with(1000));
  EXPECT_EQ(code_of(with(0)), ErrorCode::kInvalidParameterValue);
  EXPECT_EQ(code_of(with(1001)), ErrorCode::kInvalidParameterValue);
}

TEST(SqsRedrive, what_is_missing_or_malformed_is_named) {
  const auto message = [](ByteView text) { return parse_redrive_policy(text).error().message; };
  EXPECT_NE(message("x").find("Redrive policy is not a valid JSON map."), Bytes::npos);
  EXPECT_NE(message(R"({"maxReceiveCount":1})").find("mandatory attribute: deadLetterTargetArn."),
            Bytes::npos);
  EXPECT_NE(message(R"({"deadLetterTargetArn":"arn:x"})").find("mandatory attribute: maxReceiveCount."),
            Bytes::npos);
  EXPECT_EQ(
      message(R"({"deadLetterTargetArn": "dummy", "maxReceiveCount": 42})"),
      "Value {\"deadLetterTargetArn\": \"dummy\", \"maxReceiveCount\": 42} for parameter RedrivePolicy is "
      "invalid. Reason: Invalid value for deadLetterTargetArn.");
}

TEST(SqsRedrive, an_allow_policy_says_who_may_redrive) {
  EXPECT_TRUE(redrive_allowed("", kArn));
  EXPECT_TRUE(redrive_allowed(R"({"redrivePermission":"allowAll"})", kArn));
  EXPECT_FALSE(redrive_allowed(R"({"redrivePermission":"denyAll"})", kArn));
  const Bytes by_queue = fmt::format(R"({{"redrivePermission":"byQueue","sourceQueueArns":["{}"]}})", kArn);
  EXPECT_TRUE(redrive_allowed(by_queue, kArn));
  EXPECT_FALSE(redrive_allowed(by_queue, "arn:aws:sqs:us-east-1:123456789012:other"));
  EXPECT_TRUE(read("RedriveAllowPolicy", by_queue));
  EXPECT_EQ(code_of(read("RedriveAllowPolicy", R"({"redrivePermission":"byQueue"})")),
            ErrorCode::kInvalidAttributeValue);
  EXPECT_EQ(code_of(read("RedriveAllowPolicy", R"({"redrivePermission":"some"})")),
            ErrorCode::kInvalidAttributeValue);
}

TEST(SqsAttributes, there_are_21_names_and_all) {
  const auto names = queue_attribute_names();
  EXPECT_EQ((std::set<std::string_view>(names.begin(), names.end()).size()), 21U);
  EXPECT_TRUE(is_queue_attribute("All"));
  EXPECT_FALSE(is_queue_attribute("all"));
}

}  // namespace
}  // namespace hr::wire::sqs
