// Writes of objects through the commit path: watch the key, read what the condition needs, let the engine
// decide, and wait until the change can be read. A key that moves meanwhile is looked at again, a bounded
// number of times.
#pragma once

#include "object/engine.h"
#include "s3/request.h"

#include <span>
#include <vector>

namespace hr::s3 {

wire::S3Error error_of(object::Fault fault);

// What became of a write. `maybe_written`: the log failed after the decision, nobody knows until recovery.
struct Written {
  wire::S3Result<object::WriteDone> outcome;
  bool maybe_written = false;
};

net::Task<Written> write_put(Services& services, object::BucketId bucket, object::PutObject put);

// One outcome for each, in order. Keys must be distinct.
net::Task<std::vector<wire::S3Result<object::WriteDone>>> write_deletes(
    Services& services, object::BucketId bucket, std::vector<object::DeleteObject> deletes);

}  // namespace hr::s3
