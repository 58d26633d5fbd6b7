// Where Amazon's services are: the endpoint of a service in a region, by the rules of its partition (aws,
// aws-cn, aws-us-gov and the isolated ones), with or without FIPS and dual stack. Pure; held against the
// rules that Amazon publishes with its SDKs.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace hr::remote {

struct EndpointChoice {
  std::string region;
  bool fips = false;
  bool dual_stack = false;
};

// `service`: "sqs", "s3" or "sts". kInvalid: no region's name; kUnsupported: the partition has no such
// endpoint.
Result<std::string> aws_endpoint(std::string_view service, const EndpointChoice& choice);

// "aws", "aws-cn", ...: what ARNs of that region begin with.
std::string_view aws_partition(std::string_view region);

}  // namespace hr::remote
