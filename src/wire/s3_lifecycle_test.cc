#include "wire/s3_lifecycle.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace hr::wire {
namespace {

using namespace std::chrono_literals;

constexpr Time kNoon = from_ms(1'700'000'000'000);      // 2023-11-14T22:13:20Z
constexpr Time kMidnight = from_ms(1'700'006'400'000);  // the next one
constexpr auto kDay = std::chrono::hours(24);

Bytes rule(std::string_view inside) {
  return fmt::format(
      "<LifecycleConfiguration><Rule><Status>Enabled</Status>{}</Rule></LifecycleConfiguration>", inside);
}

std::vector<S3LifecycleRule> rules(std::string_view inside) {
  const auto parsed = parse_lifecycle(rule(inside));
  EXPECT_TRUE(parsed.has_value()) << (parsed ? "" : parsed.error().message);
  return parsed ? *parsed : std::vector<S3LifecycleRule>{};
}

S3Code code_of(std::string_view inside) {
  const auto parsed = parse_lifecycle(rule(inside));
  return parsed ? S3Code::kInternalError : parsed.error().code;
}

std::optional<Time> at(const std::optional<S3Expiry>& expiry) {
  return expiry ? std::optional(expiry->at) : std::nullopt;
}

TEST(S3Lifecycle, days_end_at_the_next_midnight) {
  EXPECT_EQ(lifecycle_due(kNoon, 1), kMidnight + kDay);
  EXPECT_EQ(lifecycle_due(kMidnight, 1), kMidnight + kDay);
  EXPECT_EQ(lifecycle_due(kMidnight + 1ms, 1), kMidnight + 2 * kDay);
}

TEST(S3Lifecycle, an_object_goes_by_the_first_rule_that_fits) {
  const auto two = *parse_lifecycle(
      "<LifecycleConfiguration><Rule><ID>slow</ID><Status>Enabled</Status><Filter/><Expiration><Days>9</Days>"
      "</Expiration></Rule><Rule><ID>quick</ID><Status>Enabled</Status><Filter><Prefix>tmp/</Prefix></Filter>"
      "<Expiration><Days>1</Days></Expiration></Rule><Rule><ID>off</ID><Status>Disabled</Status><Filter/>"
      "<Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>");
  const auto tmp = expiry_of(two, {.key = "tmp/a", .modified = kNoon});
  EXPECT_EQ(tmp->rule, "quick");
  EXPECT_EQ(tmp->at, kMidnight + kDay);
  EXPECT_EQ(expiry_of(two, {.key = "a", .modified = kNoon})->rule, "slow");
}

TEST(S3Lifecycle, all_of_a_filter_must_fit) {
  const auto both = rules(
      "<Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><ObjectSizeGreaterThan>10"
      "</ObjectSizeGreaterThan><ObjectSizeLessThan>20</ObjectSizeLessThan></And></Filter>"
      "<Expiration><Days>1</Days></Expiration>");
  const std::map<std::string, std::string> tags = {{"k", "v"}, {"other", ""}}, wrong = {{"k", "w"}};
  const auto fits = [&](std::string_view key, const auto* of, std::uint64_t bytes) {
    return expiry_of(both, {.key = key, .tags = of, .bytes = bytes, .modified = kNoon}).has_value();
  };
  EXPECT_TRUE(fits("a", &tags, 11));
  EXPECT_TRUE(fits("a", &tags, 19));
  EXPECT_FALSE(fits("b", &tags, 11));
  EXPECT_FALSE(fits("a", &wrong, 11));
  EXPECT_FALSE(fits("a", &tags, 10));
  EXPECT_FALSE(fits("a", &tags, 20));
}

TEST(S3Lifecycle, old_versions_go_some_time_after_the_next_one_came) {
  const auto old = rules(
      "<Filter/><NoncurrentVersionExpiration><NoncurrentDays>2</NoncurrentDays>"
      "<NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration>");
  EXPECT_EQ(at(noncurrent_expiry_of(old, {.key = "k"}, kNoon, 1)), kMidnight + 2 * kDay);
  EXPECT_EQ(at(noncurrent_expiry_of(old, {.key = "k"}, kNoon, 0)), std::nullopt);
  EXPECT_EQ(at(expiry_of(old, {.key = "k", .modified = kNoon})), std::nullopt);
}

TEST(S3Lifecycle, delete_markers_that_hide_nothing_and_uploads_that_nobody_ends) {
  const auto markers = rules(
      "<Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker>"
      "</Expiration>");
  EXPECT_TRUE(removes_marker(markers, "k", kNoon, kNoon));
  EXPECT_FALSE(removes_marker(rules("<Filter/><Expiration><Days>1</Days></Expiration>"), "k", kNoon, kNoon));
  const auto uploads = rules(
      "<Prefix>in/</Prefix><AbortIncompleteMultipartUpload><DaysAfterInitiation>3"
      "</DaysAfterInitiation></AbortIncompleteMultipartUpload>");
  EXPECT_EQ(abort_of(uploads, "in/a", kNoon), kMidnight + 3 * kDay);
  EXPECT_EQ(abort_of(uploads, "out", kNoon), std::nullopt);
}

TEST(S3Lifecycle, comes_back_as_it_was_read) {
  for (const std::string_view inside :
       {"<Filter/><Expiration><Days>1</Days></Expiration>",
        "<Prefix>a</Prefix><Expiration><Days>1</Days></Expiration>",
        "<Filter><Prefix>a</Prefix></Filter><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>",
        "<Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>"
        "<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration>"}) {
    const auto read = rules(inside);
    EXPECT_EQ(*parse_lifecycle(write_lifecycle(read)), read) << inside;
  }
}

TEST(S3Lifecycle, what_is_no_rule_is_refused) {
  const std::string_view expires = "<Expiration><Days>1</Days></Expiration>";
  EXPECT_EQ(code_of(expires), S3Code::kMalformedXml);  // neither Filter nor Prefix
  EXPECT_EQ(code_of(fmt::format("<Filter/><Prefix/>{}", expires)), S3Code::kMalformedXml);
  EXPECT_EQ(code_of("<Filter/>"), S3Code::kInvalidRequest);
  EXPECT_EQ(code_of("<Filter/><Expiration><Days>0</Days></Expiration>"), S3Code::kInvalidArgument);
  EXPECT_EQ(code_of("<Filter/><Expiration><Days>x</Days></Expiration>"), S3Code::kMalformedXml);
  EXPECT_EQ(code_of("<Filter/><Expiration><Date>2030-01-01T01:00:00Z</Date></Expiration>"),
            S3Code::kInvalidArgument);
  EXPECT_EQ(code_of("<Filter/><Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"),
            S3Code::kNotImplemented);
  EXPECT_EQ(code_of(fmt::format("<Filter><Prefix>a</Prefix><Prefix>b</Prefix></Filter>{}", expires)),
            S3Code::kMalformedXml);
  EXPECT_EQ(code_of("<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><AbortIncompleteMultipartUpload>"
                    "<DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"),
            S3Code::kInvalidRequest);
  EXPECT_FALSE(parse_lifecycle("<LifecycleConfiguration/>").has_value());
}

}  // namespace
}  // namespace hr::wire
