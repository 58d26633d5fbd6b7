#include "object/notification.h"

#include "codec/json.h"

#include <gtest/gtest.h>

namespace hr::object {
namespace {

NotificationRule rule(std::vector<std::string> events, std::string prefix = "", std::string suffix = "") {
  static int number = 0;
  return {.id = "rule-" + std::to_string(++number),
          .queue_arn = "arn:aws:sqs:us-east-1:000000000000:q",
          .events = std::move(events),
          .prefix = std::move(prefix),
          .suffix = std::move(suffix)};
}

Errc verdict(std::vector<NotificationRule> rules) {
  const auto status = validate_rules(rules);
  EXPECT_FALSE(status.has_value());
  return status ? Errc::kClosed : status.error().code;
}

TEST(NotificationRules, match_by_event_with_and_without_a_star) {
  EXPECT_TRUE(matches(rule({"s3:ObjectCreated:*"}), "ObjectCreated:Put", "k"));
  EXPECT_TRUE(matches(rule({"s3:ObjectCreated:*"}), "ObjectCreated:CompleteMultipartUpload", "k"));
  EXPECT_TRUE(matches(rule({"s3:ObjectCreated:Put"}), "ObjectCreated:Put", "k"));
  EXPECT_FALSE(matches(rule({"s3:ObjectCreated:Put"}), "ObjectCreated:Copy", "k"));
  EXPECT_FALSE(matches(rule({"s3:ObjectCreated:*"}), "ObjectRemoved:Delete", "k"));
  EXPECT_TRUE(matches(rule({"s3:ObjectCreated:Put", "s3:ObjectRemoved:*"}), "ObjectRemoved:Delete", "k"));
}

TEST(NotificationRules, match_prefix_and_suffix_of_the_raw_key) {
  const auto filtered = rule({"s3:ObjectCreated:*"}, "in/", ".pdf");
  EXPECT_TRUE(matches(filtered, "ObjectCreated:Put", "in/a b.pdf"));
  EXPECT_TRUE(matches(filtered, "ObjectCreated:Put", "in/.pdf"));
  EXPECT_FALSE(matches(filtered, "ObjectCreated:Put", "out/a.pdf"));
  EXPECT_FALSE(matches(filtered, "ObjectCreated:Put", "in/a.txt"));
  EXPECT_FALSE(matches(filtered, "ObjectCreated:Put", "in"));
  EXPECT_TRUE(matches(rule({"s3:ObjectCreated:*"}, "a b", "\xff"), "ObjectCreated:Put", "a b\xff"));
}

TEST(NotificationRules, may_share_an_event_when_their_filters_exclude_each_other) {
  EXPECT_TRUE(validate_rules({}));
  const std::vector prefixes{rule({"s3:ObjectCreated:*"}, "a"), rule({"s3:ObjectCreated:*"}, "b")};
  EXPECT_TRUE(validate_rules(prefixes));
  const std::vector suffixes{rule({"s3:ObjectCreated:*"}, "", ".jpg"),
                             rule({"s3:ObjectCreated:Put"}, "", ".png")};
  EXPECT_TRUE(validate_rules(suffixes));
  const std::vector events{rule({"s3:ObjectCreated:*"}), rule({"s3:ObjectRemoved:*"})};
  EXPECT_TRUE(validate_rules(events));
}

TEST(NotificationRules, must_not_overlap_for_one_event_type) {
  EXPECT_EQ(verdict({rule({"s3:ObjectCreated:*"}), rule({"s3:ObjectCreated:Put"})}), Errc::kInvalid);
  EXPECT_EQ(verdict({rule({"s3:ObjectCreated:Put"}, "a"), rule({"s3:ObjectCreated:Put"}, "ab")}),
            Errc::kInvalid);
  EXPECT_EQ(verdict({rule({"s3:ObjectCreated:Put"}, "a", "jpg"), rule({"s3:ObjectCreated:*"}, "a", ".jpg")}),
            Errc::kInvalid);
  EXPECT_EQ(verdict({rule({"s3:ObjectRemoved:*"}, "a"), rule({"s3:ObjectRemoved:Delete"}, "", "x")}),
            Errc::kInvalid);
}

TEST(NotificationRules, name_known_events_only) {
  EXPECT_EQ(verdict({rule({"s3:ObjectCreated"})}), Errc::kInvalid);
  EXPECT_EQ(verdict({rule({"ObjectCreated:Put"})}), Errc::kInvalid);
  EXPECT_EQ(verdict({rule({"s3:*"})}), Errc::kInvalid);
  EXPECT_EQ(verdict({rule({})}), Errc::kInvalid);
  EXPECT_EQ(verdict({rule({"s3:ObjectRestore:Post"})}), Errc::kUnsupported);
}

TEST(NotificationRules, have_ids_of_their_own) {
  auto one = rule({"s3:ObjectCreated:*"});
  auto two = rule({"s3:ObjectRemoved:*"});
  two.id = one.id;
  EXPECT_EQ(verdict({one, two}), Errc::kInvalid);
}

TEST(NotificationRules, are_limited_in_number_and_length) {
  std::vector<NotificationRule> many;
  for (std::size_t i = 0; i < kRulesMax; ++i) {
    many.push_back(rule({"s3:ObjectCreated:*"}, std::to_string(1000 + i) + "/"));
  }
  EXPECT_TRUE(validate_rules(many));
  many.push_back(rule({"s3:ObjectCreated:*"}, "last/"));
  EXPECT_EQ(verdict(many), Errc::kLimit);
  EXPECT_TRUE(validate_rules(std::vector{rule({"s3:ObjectCreated:*"}, std::string(1024, 'a'))}));
  EXPECT_EQ(verdict({rule({"s3:ObjectCreated:*"}, "", std::string(1025, 'a'))}), Errc::kInvalid);
}

TEST(EventKey, is_form_encoded_with_slashes_kept) {
  EXPECT_EQ(event_key("red flower.jpg"), "red+flower.jpg");
  EXPECT_EQ(event_key("a@b"), "a%40b");
  EXPECT_EQ(event_key("in/a+b(1).pdf"), "in/a%2Bb%281%29.pdf");
  EXPECT_EQ(event_key("a-b_c.d*e"), "a-b_c.d*e");
  EXPECT_EQ(event_key("\xc3\xa9~%"), "%C3%A9%7E%25");
  EXPECT_EQ(event_key(std::string("\0\xff", 2)), "%00%FF");
}

const Bucket kBucket{.id = BucketId{1},
                     .name = "mybucket",
                     .account = "111122223333",
                     .region = "us-west-2",
                     .created = {},
                     .notifications = {},
                     .versioning = Versioning::kNever,
                     .settings = {}};

TEST(EventMessage, of_a_put_has_every_field_of_s3) {
  auto matching = rule({"s3:ObjectCreated:*"});
  matching.id = "testConfigRule";
  const Object object{.bytes = 1024, .etag = "d41d8cd98f00b204e9800998ecf8427e"};
  EXPECT_EQ(event_message(kBucket, matching,
                          {.event_name = "ObjectCreated:Put",
                           .key = "in/Happy Face.jpg",
                           .tells = Tells::kCreated,
                           .object = &object,
                           .sequencer = 0x55AED6DCD90281E5,
                           .principal = "AIDAJDPLRKLG7UEXAMPLE",
                           .source_ip = "127.0.0.1",
                           .request_id = "C3D13FE58DE4C810",
                           .time = from_ms(5)}),
            R"({"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-west-2",)"
            R"("eventTime":"1970-01-01T00:00:00.005Z","eventName":"ObjectCreated:Put",)"
            R"("userIdentity":{"principalId":"AIDAJDPLRKLG7UEXAMPLE"},)"
            R"("requestParameters":{"sourceIPAddress":"127.0.0.1"},)"
            R"("responseElements":{"x-amz-request-id":"C3D13FE58DE4C810","x-amz-id-2":"C3D13FE58DE4C810"},)"
            R"("s3":{"s3SchemaVersion":"1.0","configurationId":"testConfigRule",)"
            R"("bucket":{"name":"mybucket","ownerIdentity":{"principalId":"111122223333"},)"
            R"("arn":"arn:aws:s3:::mybucket"},)"
            R"("object":{"key":"in/Happy+Face.jpg","size":1024,"eTag":"d41d8cd98f00b204e9800998ecf8427e",)"
            R"("sequencer":"0055AED6DCD90281E5"}}}]})");
}

TEST(EventMessage, of_a_delete_names_key_and_sequencer_only) {
  const auto text = event_message(kBucket, rule({"s3:ObjectRemoved:*"}),
                                  {.event_name = "ObjectRemoved:Delete",
                                   .key = "k",
                                   .tells = Tells::kRemoved,
                                   .object = nullptr,
                                   .sequencer = 10,
                                   .principal = {},
                                   .source_ip = {},
                                   .request_id = {},
                                   .time = {}});
  EXPECT_NE(text.find(R"("object":{"key":"k","sequencer":"00000000000000000A"})"), text.npos) << text;
}

TEST(EventMessage, is_json_whatever_the_request_says) {
  const auto text = event_message(kBucket, rule({"s3:ObjectRemoved:*"}),
                                  {.event_name = "ObjectRemoved:Delete",
                                   .key = "\"\\\n\xff",
                                   .tells = Tells::kRemoved,
                                   .object = nullptr,
                                   .sequencer = 1,
                                   .principal = "a\"b\xff",
                                   .source_ip = "\x01",
                                   .request_id = "\\",
                                   .time = {}});
  EXPECT_TRUE(codec::parse_json(text).has_value()) << text;
}

TEST(TestMessage, is_what_s3_sends_to_a_new_queue) {
  EXPECT_EQ(test_message(kBucket, "5582815E1AEA5ADF", from_ms(1'413'208'622'089)),
            R"({"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2014-10-13T13:57:02.089Z",)"
            R"("Bucket":"mybucket","RequestId":"5582815E1AEA5ADF","HostId":"5582815E1AEA5ADF"})");
}

}  // namespace
}  // namespace hr::object
