// Makes what a Setup asks for: of a service of our own the worker creates queues, buckets and
// notifications itself. Each step is fine when it is done already, so that any number of workers may do it at
// once. On Amazon it creates nothing, and says what is missing.
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

// What is created where it is missing.
struct Create {
  bool queues = true;
  bool buckets = true;
};

// By queue name. The first fault ends it; its message says what it was about. kMissing, with a message that
// names all that is missing, where it may not be created. kRefused: there are triggers, which need both
// services at one place, and only one of the two is created in.
net::Task<remote::Answer<std::map<Bytes, QueueUrls>>> prepare_services(remote::Sqs& sqs, remote::S3& s3,
                                                                       const Setup& setup, Create create);

// Whether the bucket refuses a second put with If-None-Match: *, which S3 does and some that are like it do
// not. Leaves one small object.
net::Task<remote::Answer<bool>> honours_conditions(remote::S3& s3, Bytes bucket);

}  // namespace hr::worker
