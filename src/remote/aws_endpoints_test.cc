// Endpoints of Amazon, against the table that botocore 1.29's endpoint rules give.
#include "remote/aws_endpoints.h"

#include <gtest/gtest.h>

namespace hr::remote {
namespace {

struct Row {
  std::string_view service, region;
  bool fips, dual_stack;
  std::string_view url;  // empty: there is none
};

// clang-format off
constexpr Row kRows[] = {
    {"sqs", "eu-central-1", false, false, "https://sqs.eu-central-1.amazonaws.com"},
    {"sqs", "eu-central-1", false, true, "https://sqs.eu-central-1.api.aws"},
    {"sqs", "eu-central-1", true, false, "https://sqs-fips.eu-central-1.amazonaws.com"},
    {"sqs", "eu-central-1", true, true, "https://sqs-fips.eu-central-1.api.aws"},
    {"sqs", "cn-north-1", false, false, "https://sqs.cn-north-1.amazonaws.com.cn"},
    {"sqs", "cn-north-1", false, true, "https://sqs.cn-north-1.api.amazonwebservices.com.cn"},
    {"sqs", "cn-north-1", true, false, "https://sqs-fips.cn-north-1.amazonaws.com.cn"},
    {"sqs", "cn-north-1", true, true, "https://sqs-fips.cn-north-1.api.amazonwebservices.com.cn"},
    {"sqs", "us-gov-west-1", false, false, "https://sqs.us-gov-west-1.amazonaws.com"},
    {"sqs", "us-gov-west-1", false, true, "https://sqs.us-gov-west-1.api.aws"},
    {"sqs", "us-gov-west-1", true, false, "https://sqs.us-gov-west-1.amazonaws.com"},
    {"sqs", "us-gov-west-1", true, true, "https://sqs-fips.us-gov-west-1.api.aws"},
    {"sqs", "us-iso-east-1", false, false, "https://sqs.us-iso-east-1.c2s.ic.gov"},
    {"sqs", "us-iso-east-1", false, true, "https://sqs.us-iso-east-1.api.aws.ic.gov"},
    {"sqs", "us-iso-east-1", true, false, "https://sqs-fips.us-iso-east-1.c2s.ic.gov"},
    {"sqs", "us-iso-east-1", true, true, "https://sqs-fips.us-iso-east-1.api.aws.ic.gov"},
    {"sqs", "us-isob-east-1", false, false, "https://sqs.us-isob-east-1.sc2s.sgov.gov"},
    {"sqs", "us-isob-east-1", false, true, "https://sqs.us-isob-east-1.api.aws.scloud"},
    {"sqs", "us-isob-east-1", true, false, "https://sqs-fips.us-isob-east-1.sc2s.sgov.gov"},
    {"sqs", "us-isob-east-1", true, true, "https://sqs-fips.us-isob-east-1.api.aws.scloud"},
    {"s3", "eu-central-1", false, false, "https://s3.eu-central-1.amazonaws.com"},
    {"s3", "eu-central-1", false, true, "https://s3.dualstack.eu-central-1.amazonaws.com"},
    {"s3", "eu-central-1", true, false, "https://s3-fips.eu-central-1.amazonaws.com"},
    {"s3", "eu-central-1", true, true, "https://s3-fips.dualstack.eu-central-1.amazonaws.com"},
    {"s3", "cn-north-1", false, false, "https://s3.cn-north-1.amazonaws.com.cn"},
    {"s3", "cn-north-1", false, true, "https://s3.dualstack.cn-north-1.amazonaws.com.cn"},
    {"s3", "cn-north-1", true, false, ""},
    {"s3", "cn-north-1", true, true, ""},
    {"s3", "us-gov-west-1", false, false, "https://s3.us-gov-west-1.amazonaws.com"},
    {"s3", "us-gov-west-1", false, true, "https://s3.dualstack.us-gov-west-1.amazonaws.com"},
    {"s3", "us-gov-west-1", true, false, "https://s3-fips.us-gov-west-1.amazonaws.com"},
    {"s3", "us-gov-west-1", true, true, "https://s3-fips.dualstack.us-gov-west-1.amazonaws.com"},
    {"s3", "us-iso-east-1", false, false, "https://s3.us-iso-east-1.c2s.ic.gov"},
    {"s3", "us-iso-east-1", false, true, "https://s3.dualstack.us-iso-east-1.c2s.ic.gov"},
    {"s3", "us-iso-east-1", true, false, "https://s3-fips.us-iso-east-1.c2s.ic.gov"},
    {"s3", "us-iso-east-1", true, true, "https://s3-fips.dualstack.us-iso-east-1.c2s.ic.gov"},
    {"s3", "us-isob-east-1", false, false, "https://s3.us-isob-east-1.sc2s.sgov.gov"},
    {"s3", "us-isob-east-1", false, true, "https://s3.dualstack.us-isob-east-1.sc2s.sgov.gov"},
    {"s3", "us-isob-east-1", true, false, "https://s3-fips.us-isob-east-1.sc2s.sgov.gov"},
    {"s3", "us-isob-east-1", true, true, "https://s3-fips.dualstack.us-isob-east-1.sc2s.sgov.gov"},
    {"sts", "eu-central-1", false, false, "https://sts.eu-central-1.amazonaws.com"},
    {"sts", "eu-central-1", false, true, "https://sts.eu-central-1.api.aws"},
    {"sts", "eu-central-1", true, false, "https://sts-fips.eu-central-1.amazonaws.com"},
    {"sts", "eu-central-1", true, true, "https://sts-fips.eu-central-1.api.aws"},
    {"sts", "cn-north-1", false, false, "https://sts.cn-north-1.amazonaws.com.cn"},
    {"sts", "cn-north-1", false, true, "https://sts.cn-north-1.api.amazonwebservices.com.cn"},
    {"sts", "cn-north-1", true, false, "https://sts-fips.cn-north-1.amazonaws.com.cn"},
    {"sts", "cn-north-1", true, true, "https://sts-fips.cn-north-1.api.amazonwebservices.com.cn"},
    {"sts", "us-gov-west-1", false, false, "https://sts.us-gov-west-1.amazonaws.com"},
    {"sts", "us-gov-west-1", false, true, "https://sts.us-gov-west-1.api.aws"},
    {"sts", "us-gov-west-1", true, false, "https://sts.us-gov-west-1.amazonaws.com"},
    {"sts", "us-gov-west-1", true, true, "https://sts-fips.us-gov-west-1.api.aws"},
    {"sts", "us-iso-east-1", false, false, "https://sts.us-iso-east-1.c2s.ic.gov"},
    {"sts", "us-iso-east-1", false, true, "https://sts.us-iso-east-1.api.aws.ic.gov"},
    {"sts", "us-iso-east-1", true, false, "https://sts-fips.us-iso-east-1.c2s.ic.gov"},
    {"sts", "us-iso-east-1", true, true, "https://sts-fips.us-iso-east-1.api.aws.ic.gov"},
    {"sts", "us-isob-east-1", false, false, "https://sts.us-isob-east-1.sc2s.sgov.gov"},
    {"sts", "us-isob-east-1", false, true, "https://sts.us-isob-east-1.api.aws.scloud"},
    {"sts", "us-isob-east-1", true, false, "https://sts-fips.us-isob-east-1.sc2s.sgov.gov"},
    {"sts", "us-isob-east-1", true, true, "https://sts-fips.us-isob-east-1.api.aws.scloud"},
};
// clang-format on

TEST(AwsEndpoints, are_those_that_the_published_rules_give) {
  for (const Row& row : kRows) {
    const auto made = aws_endpoint(
        row.service, {.region = std::string(row.region), .fips = row.fips, .dual_stack = row.dual_stack});
    EXPECT_EQ(made.value_or(""), row.url) << row.service << ' ' << row.region;
  }
}

TEST(AwsEndpoints, a_region_that_could_not_be_part_of_a_host_name_is_refused) {
  for (const char* region : {"", "eu-west-1.evil.example", "EU-WEST-1", "a b", "-a", "eu/west"}) {
    EXPECT_EQ(aws_endpoint("sqs", {.region = region}).error().code, Errc::kInvalid) << region;
  }
  EXPECT_TRUE(aws_endpoint("sqs", {.region = std::string(32, 'a')}));
  EXPECT_FALSE(aws_endpoint("sqs", {.region = std::string(33, 'a')}));
}

TEST(AwsEndpoints, a_region_that_is_newer_than_this_program_is_one_of_the_commercial_partition) {
  EXPECT_EQ(*aws_endpoint("s3", {.region = "mx-central-7"}), "https://s3.mx-central-7.amazonaws.com");
  EXPECT_EQ(aws_partition("mx-central-7"), "aws");
  EXPECT_EQ(aws_partition("cn-north-1"), "aws-cn");
  EXPECT_EQ(aws_partition("us-gov-east-1"), "aws-us-gov");
}

}  // namespace
}  // namespace hr::remote
