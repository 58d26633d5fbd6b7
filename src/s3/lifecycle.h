// Lifecycle of objects: the pass that carries out what buckets' rules say, now and then over every bucket
// that has any, page by page, each object judged as it was listed and left alone if it has changed since.
#pragma once

#include "object/object.h"
#include "s3/request.h"
#include "wire/s3_lifecycle.h"

namespace hr::s3 {

// x-amz-expiration, where a rule will take the object.
void add_expiration(Services& services, net::Response& response, const object::Bucket* bucket,
                    std::string_view key, const object::Object& object);

// One pass over all buckets, at the time given. What fails is looked at again by the next one.
net::Task<void> carry_out_lifecycles(Services& services, Time now);

}  // namespace hr::s3
