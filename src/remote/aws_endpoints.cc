#include "remote/aws_endpoints.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr::remote {
namespace {

struct Partition {
  std::string_view region_prefix;
  std::string_view name;
  std::string_view suffix;
  std::string_view dual_stack_suffix;
};

// The last one is every other region's.
constexpr Partition kPartitions[] = {
    {"cn-", "aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"us-gov-", "aws-us-gov", "amazonaws.com", "api.aws"},
    {"us-iso-", "aws-iso", "c2s.ic.gov", "api.aws.ic.gov"},
    {"us-isob-", "aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud"},
    {"", "aws", "amazonaws.com", "api.aws"},
};

const Partition& partition_of(std::string_view region) {
  return *std::ranges::find_if(kPartitions,
                               [&](const Partition& one) { return region.starts_with(one.region_prefix); });
}

// It becomes part of a host name.
bool is_region(std::string_view text) {
  return !text.empty() && text.size() <= 32 && text.front() != '-' && text.back() != '-' &&
         std::ranges::all_of(
             text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

}  // namespace

std::string_view aws_partition(std::string_view region) { return partition_of(region).name; }

Result<std::string> aws_endpoint(std::string_view service, const EndpointChoice& choice) {
  if (!is_region(choice.region)) {
    return fail(Errc::kInvalid,
                fmt::format("\"{}\" is not the name of a region, such as eu-west-1", choice.region));
  }
  const Partition& partition = partition_of(choice.region);
  const bool s3 = service == "s3";
  if (s3 && choice.fips && partition.name == "aws-cn") {
    return fail(Errc::kUnsupported, fmt::format("S3 has no FIPS endpoint in {}", choice.region));
  }
  // GovCloud's usual endpoints of these two are FIPS ones already.
  const bool implied = !s3 && partition.name == "aws-us-gov" && !choice.dual_stack;
  const std::string_view fips = choice.fips && !implied ? "-fips" : "";
  // S3 had dual stack before there was a suffix for it.
  const std::string_view dual = s3 && choice.dual_stack ? "dualstack." : "";
  const std::string_view suffix = choice.dual_stack && !s3 ? partition.dual_stack_suffix : partition.suffix;
  return fmt::format("https://{}{}.{}{}.{}", service, fips, dual, choice.region, suffix);
}

}  // namespace hr::remote
