#include "wire/s3_error.h"

#include "codec/xml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hr::wire {
namespace {

TEST(S3Error, a_document_carries_code_message_fields_resource_and_ids) {
  const S3Error error{S3Code::kNoSuchKey, {}, {{"Key", "a<b>"}}};
  const auto xml = codec::parse_xml(write_error(error, "/b/a%3Cb%3E", "req1", "host1"));
  ASSERT_TRUE(xml);
  EXPECT_EQ(xml->name, "Error");
  EXPECT_EQ(*xml->child_text("Code"), "NoSuchKey");
  EXPECT_EQ(*xml->child_text("Message"), "The specified key does not exist.");
  EXPECT_EQ(*xml->child_text("Key"), "a<b>");
  EXPECT_EQ(*xml->child_text("Resource"), "/b/a%3Cb%3E");
  EXPECT_EQ(*xml->child_text("RequestId"), "req1");
  EXPECT_EQ(*xml->child_text("HostId"), "host1");
}

TEST(S3Error, statuses_are_those_of_aws) {
  EXPECT_EQ(http_status(S3Code::kNoSuchBucket), 404);
  EXPECT_EQ(http_status(S3Code::kBucketNotEmpty), 409);
  EXPECT_EQ(http_status(S3Code::kPreconditionFailed), 412);
  EXPECT_EQ(http_status(S3Code::kInvalidRange), 416);
  EXPECT_EQ(http_status(S3Code::kMissingContentLength), 411);
  EXPECT_EQ(http_status(S3Code::kNotImplemented), 501);
  EXPECT_EQ(http_status(S3Code::kSlowDown), 503);
  EXPECT_EQ(http_status(S3Code::kEntityTooLarge), 400);
}

TEST(S3Error, every_code_has_a_text_of_its_own) {
  std::vector<std::string_view> texts;
  for (int i = 0; i <= static_cast<int>(S3Code::kXAmzContentSha256Mismatch); ++i) {
    texts.push_back(to_string(static_cast<S3Code>(i)));
    EXPECT_FALSE(default_message(static_cast<S3Code>(i)).empty());
  }
  std::ranges::sort(texts);
  EXPECT_EQ(std::ranges::adjacent_find(texts), texts.end());
}

}  // namespace
}  // namespace hr::wire
