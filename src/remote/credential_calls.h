// The requests that yield credentials: STS, the container's agent, the instance's metadata, and the document
// in which the latter two and processes answer. Each asks `Outside` and nothing else; used by find_keys().
#pragma once

#include "remote/credentials.h"

namespace hr::remote {

// {"AccessKeyId", "SecretAccessKey", "Token" or "SessionToken", "Expiration"}. kInvalid names the member that
// is missing or wrong.
Result<Keys> parse_keys(ByteView document, std::string source);

struct RoleAsk {
  Bytes arn;
  Bytes session_name;
  Bytes external_id = {};
  int seconds = 3600;
};
Result<Keys> assume_role(Outside& outside, const AwsSettings& settings, const RoleAsk& ask,
                         const codec::Credentials& by);
Result<Keys> assume_role_with_token(Outside& outside, const AwsSettings& settings, const RoleAsk& ask,
                                    const Bytes& token_file);

// kNotFound: none is configured.
Result<Keys> container_keys(Outside& outside);
// kNotFound: switched off, or no instance; v1 of the metadata service is never asked.
Result<Keys> instance_keys(Outside& outside);

}  // namespace hr::remote
