// Makes what a Setup asks for: locally the worker creates queues, buckets and notifications itself. Each step
// is fine when it is done already, so that any number of workers may do it at the same time. On Amazon it
// creates nothing, and says what is missing.
#pragma once

#include "remote/s3.h"
#include "remote/sqs.h"
#include "worker/setup.h"

#include <cstdint>
#include <map>

namespace hr::worker {

struct QueueUrls {
  Bytes url;
  Bytes dead_url;
};

enum class Create : std::uint8_t { kMissing, kNothing };

// By queue name. The first fault ends it; its message says what it was about. Where nothing may be created:
// kMissing, with a message that names all that is missing.
net::Task<remote::Answer<std::map<Bytes, QueueUrls>>> prepare_services(remote::Sqs& sqs, remote::S3& s3,
                                                                       const Setup& setup, Create create);

// Whether the bucket refuses a second put with If-None-Match: *, which S3 does and some that are like it do
// not. Leaves one small object.
net::Task<remote::Answer<bool>> honours_conditions(remote::S3& s3, Bytes bucket);

}  // namespace hr::worker
