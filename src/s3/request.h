// One S3 request as its handler sees it: routed, authorised, its headers gathered; and what all handlers
// share. A handler is a free function from (Services, Request) to an Answer. The request outlives its
// handler.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "codec/policy.h"
#include "codec/sigv4.h"
#include "commit/store.h"
#include "net/http.h"
#include "net/runtime.h"
#include "object/damage.h"
#include "object/object.h"
#include "storage/blob/blob.h"
#include "storage/index/index.h"
#include "wire/auth.h"
#include "wire/s3_error.h"
#include "wire/s3_headers.h"
#include "wire/s3_lifecycle.h"
#include "wire/s3_operation.h"
#include "wire/s3_target.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hr::s3 {

struct Limits {
  std::uint64_t body_bytes_max = wire::kS3PutBytesMax;  // of one object or part as it is sent: EntityTooLarge
  std::size_t uploads_max = 256;  // bodies past kInlineBytesMax at one moment, sent or copied: SlowDown
  std::size_t upload_step_bytes = 1 << 20;      // handed to the pool at once; each such upload holds three
  std::size_t small_body_bytes_max = 2U << 20;  // of every operation but PutObject: MaxMessageLengthExceeded
  int stale_retries_max = 8;                    // of a conditional write: ConditionalRequestConflict
  std::uint64_t delete_group_bytes_max = 512U << 10;  // what one record group of a batch delete may cost
};

struct Services {
  commit::Store& store;
  const storage::Index& index;
  storage::BlobStore& blobs;
  net::Runtime& runtime;
  std::string region;
  hr::Log diary;
  Limits limits;
  const object::DamageList* damage = nullptr;
  std::function<void(object::Damage)> damaged{};
  // By bucket, with the text that each was read from.
  std::map<std::string, std::pair<std::string, codec::Policy>, std::less<>> policies{};
  std::map<std::string, std::pair<std::string, std::vector<wire::S3LifecycleRule>>, std::less<>> lifecycles{};
  std::size_t uploads = 0;     // going on, past kInlineBytesMax
  std::uint64_t bytes_in = 0;  // stored and sent as objects' bodies
  std::uint64_t bytes_out = 0;
};

// Counts a large upload for as long as it lives.
class UploadSlot {
 public:
  explicit UploadSlot(std::size_t& count) : count_(count) { ++count_; }
  ~UploadSlot() { --count_; }
  UploadSlot(const UploadSlot&) = delete;
  UploadSlot& operator=(const UploadSlot&) = delete;

 private:
  std::size_t& count_;
};

struct Request {
  Request(net::RequestHead& sent, net::RequestBody& sent_body, wire::S3Target about)
      : head(sent), body(sent_body), target(std::move(about)) {}

  net::RequestHead& head;
  net::RequestBody& body;
  wire::S3Target target;
  wire::S3Op op = wire::S3Op::kListBuckets;
  std::vector<codec::HeaderField> headers;  // with the query's x-amz-* parameters
  wire::Identity identity;
  std::optional<codec::Verified> verified;  // none: a V2 URL, or an unsigned request of a trusted peer
  bool is_signed = false;
  codec::PayloadMode payload = codec::PayloadMode::kUnsigned;
  Bytes body_sha256;  // kSha256 only
};

using Answer = wire::S3Result<net::Response>;
using AnswerTask = net::Task<Answer>;

// An index read, first from memory, then (patiently) on the pool.
net::Task<wire::S3Result<std::optional<Bytes>>> read_index(const Services& services, storage::Table table,
                                                           Bytes key);

// What went wrong below, as the client is told: a full disk is ServiceUnavailable, a full queue SlowDown.
wire::S3Error error_of(const Error& error);

// The bucket of the request, if its sender may do there what it asks for: the owner, or whom its policy lets.
// Who has no key learns of no bucket that its policy does not let him near. Pointers into the engine live
// until the next co_await.
wire::S3Result<const object::Bucket*> own_bucket(Services& services, const Request& request);

// The bucket of a copy's source, if its sender may read that.
wire::S3Result<const object::Bucket*> source_bucket(Services& services, const Request& request,
                                                    const wire::S3CopySource& source);

// The whole body of an operation that is not an upload, its signed hash compared.
net::Task<wire::S3Result<std::string>> read_small_body(const Services& services, Request& request);
net::Task<wire::S3Result<std::string>> read_small_body(Request& request, std::size_t bytes_max);

// The same, and what the request promises of it, compared: Content-MD5 and the checksums. BadDigest.
net::Task<wire::S3Result<std::string>> read_checked_body(const Services& services, Request& request);

net::Response empty_response(int status);
net::Response xml_response(Bytes document);

}  // namespace hr::s3
