// Where Amazon's services are for this process, and whose profile it uses: from what headrace.toml says, the
// variables that AWS's own tools know, and the profile. Pure but for what it asks of `Outside`.
#pragma once

#include "base/result.h"
#include "remote/aws_profile.h"
#include "remote/outside.h"

#include <string>

namespace hr::remote {

// What stands above everything else; empty: not said.
struct AwsAsked {
  std::string region;
  std::string endpoint;  // of SQS and S3 both
  bool fips = false;     // of Amazon's own endpoints those, whatever variables and profile say
  bool dual_stack = false;
};

struct AwsSettings {
  std::string region;
  std::string sqs, s3, sts;  // endpoints
  std::string authorities;   // a PEM file; empty: the system's
  std::string profile;       // its name
  AwsFiles files;
};

// kInvalid: no region, or one that is none; a file that cannot be understood; a profile that is named and not
// there; an endpoint that is named beside a choice among Amazon's own. kUnsupported: there is no such one.
Result<AwsSettings> find_aws_settings(Outside& outside, const AwsAsked& asked);

}  // namespace hr::remote
