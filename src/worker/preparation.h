// Makes what a Setup asks for: locally the worker creates queues, buckets and notifications itself. Each step
// is fine when it is done already, so that any number of workers may do it at the same time.
#pragma once

#include "remote/s3.h"
#include "remote/sqs.h"
#include "worker/setup.h"

#include <map>

namespace hr::worker {

struct QueueUrls {
  Bytes url;
  Bytes dead_url;
};

// By queue name. The first fault ends it; its message says what it was about.
net::Task<remote::Answer<std::map<Bytes, QueueUrls>>> prepare_services(remote::Sqs& sqs, remote::S3& s3,
                                                                       const Setup& setup);

}  // namespace hr::worker
