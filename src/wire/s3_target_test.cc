#include "wire/s3_target.h"

#include <gtest/gtest.h>

namespace hr::wire {
namespace {

const std::vector<std::string> kDomains = {"localhost", "s3.example.org"};

S3Target parsed(std::string_view target, std::string_view host = "127.0.0.1:9324") {
  auto out = parse_s3_target(target, host, kDomains);
  EXPECT_TRUE(out) << target;
  return out ? *out : S3Target{};
}
S3Code refused(std::string_view target) {
  const auto out = parse_s3_target(target, "localhost", kDomains);
  EXPECT_FALSE(out) << target;
  return out ? S3Code::kInternalError : out.error().code;
}

TEST(S3Target, path_style_names_bucket_and_key) {
  EXPECT_EQ(parsed("/").bucket, "");
  EXPECT_EQ(parsed("/photos").bucket, "photos");
  EXPECT_EQ(parsed("/photos/").key, "");
  const S3Target t = parsed("/photos/2026/a.jpg?versionId=null");
  EXPECT_EQ(t.bucket, "photos");
  EXPECT_EQ(t.key, "2026/a.jpg");
  EXPECT_EQ(t.query.size(), 1U);
}

TEST(S3Target, a_key_is_decoded_once_and_never_normalised) {
  EXPECT_EQ(parsed("/b/a//b").key, "a//b");
  EXPECT_EQ(parsed("/b/a/../b").key, "a/../b");
  EXPECT_EQ(parsed("/b/%2e%2e/%2e").key, "../.");
  EXPECT_EQ(parsed("/b/%252e").key, "%2e");
  EXPECT_EQ(parsed("/b//").key, "/");
  EXPECT_EQ(parsed("/b/a+b%20c").key, "a+b c");
  EXPECT_EQ(parsed("/b/a%5Cb").key, "a\\b");
  EXPECT_EQ(parsed("/b/%0A").key, "\n");
  EXPECT_EQ(parsed("/b/a%2Fb").key, "a/b");
}

TEST(S3Target, a_subdomain_of_a_configured_host_is_the_bucket) {
  EXPECT_EQ(parsed("/k/x", "photos.localhost:9324").bucket, "photos");
  EXPECT_EQ(parsed("/k/x", "photos.localhost:9324").key, "k/x");
  EXPECT_TRUE(parsed("/k", "photos.localhost").bucket_in_host);
  EXPECT_EQ(parsed("/", "a.b.s3.example.org").bucket, "a.b");
  EXPECT_EQ(parsed("/bucket/k", "S3.Example.ORG").bucket, "bucket");
  EXPECT_EQ(parsed("/bucket/k", "notlocalhost").bucket, "bucket");
  EXPECT_EQ(parsed("/bucket/k", "[::1]:9324").bucket, "bucket");
  EXPECT_EQ(parsed("/bucket/k", "other.example").bucket, "bucket");
}

TEST(S3Target, what_cannot_be_a_key_is_refused) {
  EXPECT_EQ(refused("/b/%zz"), S3Code::kInvalidUri);
  EXPECT_EQ(refused("/b/%00"), S3Code::kInvalidUri);
  EXPECT_EQ(refused("/b/%ff"), S3Code::kInvalidUri);
  EXPECT_EQ(refused("/b?a=%"), S3Code::kInvalidUri);
  EXPECT_EQ(refused("//k"), S3Code::kInvalidBucketName);
  EXPECT_EQ(refused("/b/" + std::string(1025, 'k')), S3Code::kKeyTooLong);
  EXPECT_EQ(parsed("/b/" + std::string(1024, 'k')).key.size(), 1024U);
}

TEST(S3BucketName, the_rules_of_aws_hold) {
  for (const auto* good : {"abc", "a-b.c", "0ab", "my.bucket-1", "1.2.3"}) {
    EXPECT_TRUE(check_bucket_name(good)) << good;
  }
  EXPECT_TRUE(check_bucket_name(std::string(63, 'a')));
  for (const auto* bad :
       {"",          "ab",       "_abc",    "Abc",         "a_b",         "-ab",      "ab-",
        ".ab",       "ab.",      "a..b",    "192.168.5.4", "xn--a",       "sthree-a", "amzn-s3-demo-a",
        "a-s3alias", "a--ol-s3", "aa.mrap", "a--x-s3",     "a--table-s3", "a/b",      "a b",
        "..",        "a\nb",     "\u00e4bc"}) {
    EXPECT_FALSE(check_bucket_name(bad)) << bad;
  }
  EXPECT_FALSE(check_bucket_name(std::string(64, 'a')));
}

TEST(S3CopySource, is_a_bucket_and_a_key_decoded_once) {
  const auto plain = parse_copy_source("/bucket/a/b%20c%252e");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->bucket, "bucket");
  EXPECT_EQ(plain->key, "a/b c%2e");
  EXPECT_EQ(parse_copy_source("bucket/a//../b")->key, "a//../b");
  EXPECT_EQ(parse_copy_source("bucket%2Fk")->key, "k");
  EXPECT_EQ(parse_copy_source("bucket/k?versionId=null")->key, "k");
  EXPECT_EQ(parse_copy_source("bucket/k?versionId=null")->version, "null");
  EXPECT_EQ(parse_copy_source("bucket/k%3FversionId=a")->key, "k?versionId=a");
}

TEST(S3CopySource, refuses_what_names_no_object) {
  for (const char* value : {"", "/", "bucket", "bucket/", "//k", "bucket/k?versionId=", "bucket/%zz",
                            "bucket/%00", "arn:aws:s3:r:1:accesspoint/a/object/k", "B/k"}) {
    EXPECT_FALSE(parse_copy_source(value)) << value;
  }
}

}  // namespace
}  // namespace hr::wire
