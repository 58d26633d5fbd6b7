// The operations on buckets: their life, their lists of keys, their notification configuration. Handlers of
// S3Front; each answers with a response or one of S3's errors, and owns nothing.
#pragma once

#include "s3/request.h"

namespace hr::s3 {

Answer list_buckets(Services& services, const Request& request);
AnswerTask create_bucket(Services& services, Request& request);
Answer head_bucket(Services& services, const Request& request);
AnswerTask delete_bucket(Services& services, Request& request);
Answer get_bucket_location(Services& services, const Request& request);
Answer get_bucket_acl(Services& services, const Request& request);

AnswerTask list_objects(Services& services, Request& request);  // v1 and v2

Answer get_notification(Services& services, const Request& request);
AnswerTask put_notification(Services& services, Request& request);

}  // namespace hr::s3
