#include "wire/s3_documents.h"

#include "codec/xml.h"
#include "wire/s3_requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hr::wire {
namespace {

S3Code code_of(const auto& result) { return result ? S3Code::kInternalError : result.error().code; }

codec::XmlNode read(const Bytes& xml) {
  auto node = codec::parse_xml(xml);
  EXPECT_TRUE(node) << xml;
  return node ? *node : codec::XmlNode{};
}

TEST(S3Delete, keys_etags_and_quiet_are_read) {
  const auto out = parse_delete(
      "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>a/../b</Key></Object>"
      "<Object><Key>c</Key><ETag>\"e\"</ETag><VersionId>null</VersionId></Object><Quiet>true</Quiet></"
      "Delete>");
  ASSERT_TRUE(out);
  EXPECT_TRUE(out->quiet);
  EXPECT_EQ(out->objects, (std::vector<S3Delete>{{.key = "a/../b", .etag = std::nullopt},
                                                 {.key = "c", .etag = "e", .version = "null"}}));
}

TEST(S3Delete, a_thousand_keys_are_the_most) {
  std::string objects;
  for (int i = 0; i < 1000; ++i) objects += "<Object><Key>k</Key></Object>";
  EXPECT_EQ(parse_delete("<Delete>" + objects + "</Delete>")->objects.size(), 1000U);
  objects += "<Object><Key>k</Key></Object>";
  EXPECT_EQ(code_of(parse_delete("<Delete>" + objects + "</Delete>")), S3Code::kMalformedXml);
}

TEST(S3Delete, what_is_not_the_schema_is_malformed) {
  for (const auto* xml :
       {"", "<Delete/>", "<Delete><Object/></Delete>", "<Delete><Object><Key></Key></Object></Delete>",
        "<Other><Object><Key>a</Key></Object></Other>", "<Delete><Object><Key>a</Key><X/></Object></Delete>",
        "<Delete><Object><Key>a</Key></Object><Quiet>perhaps</Quiet></Delete>",
        "<!DOCTYPE Delete [<!ENTITY x \"y\">]><Delete><Object><Key>&x;</Key></Object></Delete>"}) {
    EXPECT_EQ(code_of(parse_delete(xml)), S3Code::kMalformedXml) << xml;
  }
}

TEST(S3Delete, other_conditions_are_refused) {
  EXPECT_EQ(code_of(parse_delete("<Delete><Object><Key>a</Key><Size>1</Size></Object></Delete>")),
            S3Code::kNotImplemented);
}

TEST(S3CreateBucket, the_location_is_read_and_nothing_else_is_skipped) {
  EXPECT_EQ(*parse_create_bucket(""), "");
  EXPECT_EQ(
      *parse_create_bucket("<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint>"
                           "</CreateBucketConfiguration>"),
      "eu-west-1");
  EXPECT_EQ(code_of(parse_create_bucket("<CreateBucketConfiguration><Bucket/></CreateBucketConfiguration>")),
            S3Code::kNotImplemented);
  EXPECT_EQ(code_of(parse_create_bucket("<oops")), S3Code::kMalformedXml);
}

constexpr const char* kRule =
    "<QueueConfiguration><Id>i</Id><Queue>arn:aws:sqs:us-east-1:000000000000:q</Queue>"
    "<Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>PREFIX</Name><Value>in/</Value></"
    "FilterRule>"
    "<FilterRule><Name>suffix</Name><Value>.pdf</Value></FilterRule></S3Key></Filter></QueueConfiguration>";

std::string configuration(std::string_view inside) {
  return "<NotificationConfiguration>" + std::string(inside) + "</NotificationConfiguration>";
}

TEST(S3Notification, a_queue_rule_is_read_and_written_back_as_s3_does) {
  const auto rules = parse_notification(configuration(kRule));
  ASSERT_TRUE(rules);
  ASSERT_EQ(rules->size(), 1U);
  EXPECT_EQ(rules->front().prefix, "in/");
  EXPECT_EQ(rules->front().suffix, ".pdf");
  const Bytes xml = write_notification(*rules);
  EXPECT_THAT(xml, testing::HasSubstr("<Name>Prefix</Name><Value>in/</Value>"));
  EXPECT_EQ(*parse_notification(xml), *rules);
  EXPECT_TRUE(parse_notification(configuration(""))->empty());
}

TEST(S3Notification, other_destinations_are_not_implemented) {
  for (const auto* other : {"TopicConfiguration", "CloudFunctionConfiguration", "EventBridgeConfiguration"}) {
    EXPECT_EQ(code_of(parse_notification(configuration("<" + std::string(other) + "/>"))),
              S3Code::kNotImplemented);
  }
}

TEST(S3Notification, two_prefixes_or_an_unknown_filter_are_refused) {
  const std::string rule = "<FilterRule><Name>prefix</Name><Value>a</Value></FilterRule>";
  const auto with = [&](const std::string& filter) {
    return configuration("<QueueConfiguration><Queue>q</Queue><Event>e</Event><Filter><S3Key>" + filter +
                         "</S3Key></Filter></QueueConfiguration>");
  };
  EXPECT_TRUE(parse_notification(with(rule)));
  EXPECT_EQ(code_of(parse_notification(with(rule + rule))), S3Code::kInvalidArgument);
  EXPECT_EQ(code_of(parse_notification(with("<FilterRule><Name>regex</Name><Value>a</Value></FilterRule>"))),
            S3Code::kInvalidArgument);
  EXPECT_EQ(
      code_of(parse_notification(configuration("<QueueConfiguration><Queue>q</Queue></QueueConfiguration>"))),
      S3Code::kMalformedXml);
}

S3Listing page() {
  S3Listing out;
  out.bucket = "bucket";
  out.prefix = "a b/";
  out.delimiter = "/";
  out.truncated = true;
  out.entries = {{"a b/ü&.txt", from_ms(1'784'000'000'000), "e1", 7, "CRC32"}};
  out.common_prefixes = {"a b/c/"};
  return out;
}

TEST(S3List, version_one_names_the_owner_and_the_next_marker) {
  const auto xml =
      read(write_list_v1(page(), {.marker = "m", .next_marker = "n", .owner = owner_of_account("1")}));
  EXPECT_EQ(xml.name, "ListBucketResult");
  EXPECT_EQ(*xml.child_text("NextMarker"), "n");
  EXPECT_EQ(*xml.child_text("IsTruncated"), "true");
  const auto* entry = xml.child("Contents");
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(*entry->child_text("Key"), "a b/ü&.txt");
  EXPECT_EQ(*entry->child_text("ETag"), "\"e1\"");
  EXPECT_EQ(*entry->child_text("Size"), "7");
  EXPECT_EQ(entry->child("Owner")->child_text("ID")->size(), 64U);
  EXPECT_EQ(*xml.child("CommonPrefixes")->child_text("Prefix"), "a b/c/");
}

TEST(S3List, version_two_counts_and_encodes) {
  S3Listing listing = page();
  listing.url_encoded = true;
  const auto xml =
      read(write_list_v2(listing, {.start_after = "s", .token = "", .next_token = "t", .owner = {}}));
  EXPECT_EQ(*xml.child_text("KeyCount"), "2");
  EXPECT_EQ(*xml.child_text("NextContinuationToken"), "t");
  EXPECT_EQ(*xml.child_text("Prefix"), "a%20b/");
  EXPECT_EQ(*xml.child_text("EncodingType"), "url");
  EXPECT_EQ(*xml.child("Contents")->child_text("Key"), "a%20b/%C3%BC%26.txt");
  EXPECT_EQ(xml.child("Contents")->child("Owner"), nullptr);
}

TEST(S3List, versions_name_their_ids_and_the_latest) {
  const auto xml = read(write_list_versions(page(), {.key_marker = {},
                                                     .version_id_marker = {},
                                                     .next_key_marker = "k",
                                                     .next_version_id_marker = "v1",
                                                     .owner = owner_of_account("1"),
                                                     .versions = {{.version_id = "null", .latest = true}}}));
  EXPECT_EQ(*xml.child_text("NextVersionIdMarker"), "v1");
  const auto* version = xml.child("Version");
  ASSERT_NE(version, nullptr);
  EXPECT_EQ(*version->child_text("VersionId"), "null");
  EXPECT_EQ(*version->child_text("IsLatest"), "true");
  EXPECT_EQ(*xml.child_text("NextKeyMarker"), "k");
}

TEST(S3DeleteResult, quiet_keeps_the_errors_only) {
  const std::vector<S3DeleteOutcome> outcomes = {
      {.key = "a"}, {.key = "b", .error = S3Error{S3Code::kPreconditionFailed, {}, {}}}};
  const auto loud = read(write_delete_result(outcomes, false));
  EXPECT_EQ(*loud.child("Deleted")->child_text("Key"), "a");
  const auto quiet = read(write_delete_result(outcomes, true));
  EXPECT_EQ(quiet.child("Deleted"), nullptr);
  EXPECT_EQ(*quiet.child("Error")->child_text("Code"), "PreconditionFailed");
}

TEST(S3Location, the_first_region_has_none) {
  EXPECT_EQ(read(write_location("us-east-1")).text, "");
  EXPECT_EQ(read(write_location("eu-west-1")).text, "eu-west-1");
}

TEST(S3Acl, the_owner_alone_has_full_control) {
  const auto xml = read(write_acl(owner_of_account("000000000000")));
  const auto* grants = xml.child("AccessControlList");
  ASSERT_EQ(grants->children.size(), 1U);
  EXPECT_EQ(*grants->child("Grant")->child_text("Permission"), "FULL_CONTROL");
}

TEST(S3Buckets, an_unfinished_list_says_how_to_go_on) {
  const auto xml = read(write_buckets({.owner = owner_of_account("1"),
                                       .buckets = {{"b", from_ms(0), "us-east-1"}},
                                       .prefix = "",
                                       .continuation_token = "t"}));
  EXPECT_EQ(*xml.child("Buckets")->child("Bucket")->child_text("Name"), "b");
  EXPECT_EQ(*xml.child_text("ContinuationToken"), "t");
}

}  // namespace
}  // namespace hr::wire
