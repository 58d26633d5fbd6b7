// Cross-origin requests: the preflight, which nobody signs, and the headers that an answer carries for the
// page that asked. What a bucket's rules do not name, a browser does not show; nothing else is protected.
#pragma once

#include "net/http.h"
#include "s3/request.h"
#include "wire/s3_target.h"

namespace hr::s3 {

// OptionsObject. BadRequest, AccessForbidden; a bucket that is not there has no rules.
Answer answer_preflight(const Services& services, const net::RequestHead& head, const wire::S3Target& target);

// Adds what the bucket's rules say of the request's Origin, if it has one.
void add_cors_headers(const Services& services, const net::RequestHead& head, const wire::S3Target& target,
                      net::Response& response);

}  // namespace hr::s3
