// Writes of objects through the commit path: watch the key, read what the condition needs, let the engine
// decide, and wait until the change can be read. A key that moves meanwhile is looked at again, a bounded
// number of times.
#pragma once

#include "object/engine.h"
#include "s3/request.h"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace hr::s3 {

wire::S3Error error_of(object::Fault fault);

// What a request's headers say of the object it makes; not its tags, which a copy takes from elsewhere.
void describe(object::Object& object, wire::S3ObjectHeaders headers);

// What became of a write. `maybe_written`: the log failed after the decision, nobody knows until recovery.
struct Written {
  wire::S3Result<object::WriteDone> outcome;
  bool maybe_written = false;
};

net::Task<Written> write_put(Services& services, object::BucketId bucket, object::PutObject put);

// A blob whose record was refused belongs to nobody: removes it.
net::Task<bool> drop_blob(Services& services, storage::BlobName name);

// What the record of a put may cost at most, and whether its condition must be judged.
std::uint64_t cost_of(const object::PutObject& put);
bool has_condition(const object::PutObject& put);
// How many events one change of the bucket's objects may cause.
std::size_t events_per_change(const Services& services, std::string_view bucket);

// What the record of a whole bucket may cost.
std::uint64_t bucket_cost(const object::Bucket& bucket);

// Changes what is known of a bucket, through the commit path; NoSuchBucket if another has taken its name.
using BucketChange = std::move_only_function<object::Outcome<void>(object::Engine&, Time, object::Effects&)>;
AnswerTask change_bucket(Services& services, std::string name, object::BucketId id, commit::Cost cost,
                         BucketChange change, int status);

// A bucket of the same name that was made since is another bucket.
bool same_bucket(const object::Engine& engine, std::string_view name, object::BucketId id);

// One outcome for each, in order. Keys, or versions of them, must be distinct.
net::Task<std::vector<wire::S3Result<object::WriteDone>>> write_deletes(
    Services& services, object::BucketId bucket, std::vector<object::DeleteObject> deletes);

}  // namespace hr::s3
