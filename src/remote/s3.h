// The calls of S3 that workers and operators need: buckets, whole objects, listings, notifications. Path
// style. Each is one request; whoever calls decides about trying again.
#pragma once

#include "remote/services.h"
#include "wire/s3_requests.h"

#include <cstdint>
#include <vector>

namespace hr::remote {

struct PutCall {
  Bytes bucket;
  Bytes key;
  Bytes body;
  Bytes content_type = "application/octet-stream";
  bool if_none_match = false;  // kConflict when the key is there
  Bytes if_match = {};         // an ETag; kConflict, or kMissing, when the key has another, or is gone
};

struct TaggedObject {
  Bytes body, etag;
};

struct ListedObject {
  Bytes key;
  std::uint64_t bytes = 0;
  std::int64_t modified = 0;  // Unix ms; 0: not told
};
struct ListPage {
  std::vector<ListedObject> objects;
  Bytes next;  // empty: the last page
};

class S3 {
 public:
  explicit S3(Services& services) : services_(services) {}

  net::Task<Answer<void>> create_bucket(Bytes bucket,
                                        CallOptions options = {});       // fine if it is ours already
  net::Task<Answer<Bytes>> put(PutCall call, CallOptions options = {});  // the ETag
  net::Task<Answer<Bytes>> get(Bytes bucket, Bytes key, CallOptions options = {});  // at most 64 MiB
  net::Task<Answer<TaggedObject>> get_tagged(Bytes bucket, Bytes key, CallOptions options = {});
  // Copied onto itself: the same bytes, written now.
  net::Task<Answer<void>> touch(Bytes bucket, Bytes key, CallOptions options = {});
  net::Task<Answer<void>> erase(Bytes bucket, Bytes key, CallOptions options = {});
  net::Task<Answer<ListPage>> list(Bytes bucket, Bytes prefix, Bytes after = {}, CallOptions options = {});
  net::Task<Answer<std::vector<wire::S3QueueRule>>> notifications(Bytes bucket, CallOptions options = {});
  net::Task<Answer<void>> set_notifications(Bytes bucket, std::vector<wire::S3QueueRule> rules,
                                            CallOptions options = {});

 private:
  net::Task<Answer<codec::Response>> call(Services::Request request, CallOptions options);

  Services& services_;
};

}  // namespace hr::remote
