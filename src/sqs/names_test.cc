#include "sqs/names.h"

#include <gtest/gtest.h>

namespace hr::sqs {
namespace {

TEST(QueueUrls, are_read_by_account_and_name_alone) {
  const QueueName expected{"123456789012", "q"};
  for (const auto* url :
       {"http://localhost:9324/123456789012/q", "https://sqs.eu-west-1.amazonaws.com/123456789012/q",
        "http://localhost/123456789012/q/", "/123456789012/q"}) {
    EXPECT_EQ(parse_queue_url(url), expected) << url;
  }
  for (const auto* url : {"", "q", "/", "http://localhost", "http://localhost/", "/123456789012",
                          "/123456789012/", "//q", "/a/b/c", "/123456789012/q?x=1", "/123456789012/q#x"}) {
    EXPECT_EQ(parse_queue_url(url), std::nullopt) << url;
  }
}

TEST(QueueUrls, carry_the_callers_host) {
  EXPECT_EQ(queue_url(base_url("example.test:81"), "123456789012", "q"),
            "http://example.test:81/123456789012/q");
  EXPECT_EQ(base_url("[::1]:9324"), "http://[::1]:9324");
  for (const auto* host : {"", "evil\r\nx: y", "a/b", "a b", "a@b"})
    EXPECT_EQ(base_url(host), "http://localhost");
}

TEST(QueueArns, name_a_queue_of_this_region) {
  const Bytes arn = queue_arn("eu-west-1", "123456789012", "q");
  EXPECT_EQ(arn, "arn:aws:sqs:eu-west-1:123456789012:q");
  EXPECT_EQ(parse_queue_arn(arn, "eu-west-1"), (QueueName{"123456789012", "q"}));
  EXPECT_EQ(parse_queue_arn(arn, "us-east-1"), std::nullopt);
  EXPECT_EQ(parse_queue_arn("arn:aws:sns:eu-west-1:123456789012:q", "eu-west-1"), std::nullopt);
  EXPECT_EQ(parse_queue_arn("arn:aws:sqs:eu-west-1:123456789012:", "eu-west-1"), std::nullopt);
  EXPECT_EQ(parse_queue_arn("arn:aws:sqs:eu-west-1:", "eu-west-1"), std::nullopt);
}

}  // namespace
}  // namespace hr::sqs
