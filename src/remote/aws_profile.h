// Amazon's two shared files, config and credentials, as profiles: what users of the AWS CLI have already.
// Pure. Errors name the file and the line, never what stands in it.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <map>
#include <string>

namespace hr::remote {

// Names in lower case; one inside another ("s3 =" and an indented line) is "s3.addressing_style".
using ProfileValues = std::map<Bytes, Bytes>;

struct AwsFiles {
  std::map<Bytes, ProfileValues> profiles;
  std::map<Bytes, ProfileValues> services;  // [services NAME] of the config file

  const Bytes* find(const Bytes& profile, const Bytes& name) const;
};

// Texts of the two files, either may be empty; `config_name` and `credentials_name` stand in errors. Where
// both have a value the credentials file's counts. kInvalid: a line that is no section, no value and no
// comment.
Result<AwsFiles> parse_aws_files(ByteView config, const std::string& config_name, ByteView credentials,
                                 const std::string& credentials_name);

}  // namespace hr::remote
