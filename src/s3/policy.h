// What a bucket's policy says of a request: the owner may do all but what is denied him, anybody else, with a
// key or without, only what is allowed him. Handlers of S3Front for the documents, and the question itself.
#pragma once

#include "codec/policy.h"
#include "s3/request.h"

#include <string_view>

namespace hr::s3 {

// AccessDenied. `action` without "s3:"; `key` empty: of the bucket itself.
wire::S3Result<void> may(Services& services, const Request& request, const object::Bucket& bucket,
                         std::string_view action, std::string_view key);
// The same for what the request itself asks for.
wire::S3Result<void> may(Services& services, const Request& request, const object::Bucket& bucket);

// Of a key that is not there, only who may list the bucket learns that.
wire::S3Error hide_absence(Services& services, const Request& request, wire::S3Error error);

Answer get_bucket_policy_status(Services& services, const Request& request);
// Of a policy that is to be put: MalformedPolicy, NotImplemented, AccessDenied (the access block refuses it).
wire::S3Result<void> check_policy(const object::Bucket& bucket, const std::string& text);

// What a new bucket begins with, as AWS's do: nothing public, no ACLs.
std::string first_access_block();
std::string first_ownership_controls();

}  // namespace hr::s3
