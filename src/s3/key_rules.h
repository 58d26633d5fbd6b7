// What the caller's own key may do, whatever a bucket says: the rules of the keys file. Asked once, as soon
// as it is known who sends a request and what it wants; who has no key, or one without rules, passes.
#pragma once

#include "s3/request.h"
#include "wire/s3_error.h"

namespace hr::s3 {

// AccessDenied. A copy must also be allowed to read its source.
wire::S3Result<void> check_key_rules(const Request& request);

}  // namespace hr::s3
