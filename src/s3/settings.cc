#include "s3/settings.h"

#include "s3/policy.h"
#include "s3/write.h"
#include "wire/s3_access.h"
#include "wire/s3_cors.h"
#include "wire/s3_lifecycle.h"
#include "wire/s3_tagging.h"

#include <optional>
#include <string>
#include <utility>

namespace hr::s3 {
namespace {

using object::Setting;
using wire::S3Code;
using wire::S3Op;
using wire::S3Result;

// What is kept of a document that was put.

S3Result<std::string> kept_tags(const object::Bucket&, const std::string& body) {
  HR_ASSIGN(const auto tags, wire::parse_tagging(body, wire::kS3BucketTagsMax));
  return wire::write_tagging(tags);
}

S3Result<std::string> kept_cors(const object::Bucket&, const std::string& body) {
  HR_ASSIGN(const auto rules, wire::parse_cors(body));
  return wire::write_cors(rules);
}

S3Result<std::string> kept_lifecycle(const object::Bucket&, const std::string& body) {
  HR_ASSIGN(const auto rules, wire::parse_lifecycle(body));
  return wire::write_lifecycle(rules);
}

S3Result<std::string> kept_policy(const object::Bucket& bucket, const std::string& body) {
  HR_TRY(check_policy(bucket, body));
  return body;
}

S3Result<std::string> kept_access_block(const object::Bucket&, const std::string& body) {
  HR_ASSIGN(const auto block, wire::parse_access_block(body));
  return wire::write_access_block(block);
}

S3Result<std::string> kept_ownership(const object::Bucket&, const std::string& body) {
  HR_TRY(wire::check_ownership(body));
  return wire::write_ownership();
}

struct Kind {
  Setting setting;
  S3Op get, put, remove;
  S3Code none;  // of a GET
  int status;   // of a PUT
  S3Result<std::string> (*kept)(const object::Bucket&, const std::string&);
};
constexpr Kind kKinds[] = {
    {Setting::kTagging, S3Op::kGetBucketTagging, S3Op::kPutBucketTagging, S3Op::kDeleteBucketTagging,
     S3Code::kNoSuchTagSet, 204, kept_tags},
    {Setting::kCors, S3Op::kGetBucketCors, S3Op::kPutBucketCors, S3Op::kDeleteBucketCors, S3Code::kNoSuchCors,
     200, kept_cors},
    {Setting::kLifecycle, S3Op::kGetBucketLifecycleConfiguration, S3Op::kPutBucketLifecycleConfiguration,
     S3Op::kDeleteBucketLifecycle, S3Code::kNoSuchLifecycle, 200, kept_lifecycle},
    {Setting::kPolicy, S3Op::kGetBucketPolicy, S3Op::kPutBucketPolicy, S3Op::kDeleteBucketPolicy,
     S3Code::kNoSuchBucketPolicy, 204, kept_policy},
    {Setting::kPublicAccessBlock, S3Op::kGetPublicAccessBlock, S3Op::kPutPublicAccessBlock,
     S3Op::kDeletePublicAccessBlock, S3Code::kNoSuchPublicAccessBlock, 200, kept_access_block},
    {Setting::kOwnershipControls, S3Op::kGetBucketOwnershipControls, S3Op::kPutBucketOwnershipControls,
     S3Op::kDeleteBucketOwnershipControls, S3Code::kOwnershipControlsNotFound, 200, kept_ownership},
};

Answer get(Services& services, const Request& request, const Kind& kind) {
  HR_ASSIGN(const object::Bucket* bucket, own_bucket(services, request));
  const auto found = bucket->settings.find(kind.setting);
  if (found == bucket->settings.end()) return wire::s3_fail(kind.none, {}, {{"BucketName", bucket->name}});
  net::Response answer = xml_response(found->second);
  if (kind.setting == Setting::kPolicy) answer.headers.set("Content-Type", "application/json");
  return answer;
}

// None: the setting goes.
AnswerTask write(Services& services, const Request& request, const object::Bucket& bucket, Setting setting,
                 std::optional<std::string> text, int status) {
  const commit::Cost cost{.records = 1,
                          .bytes = bucket_cost(bucket) + (text ? text->size() : 0),
                          .space = text ? storage::Space::kGrow : storage::Space::kShrink};
  const std::string& name = request.target.bucket;
  return change_bucket(
      services, name, bucket.id, cost,
      [&name, setting, kept = std::move(text)](object::Engine& engine, Time, object::Effects& out) mutable {
        return engine.set(name, setting, std::move(kept), out);
      },
      status);
}

// Who may not is told before a byte of the document is read.
AnswerTask put(Services& services, Request& request, const Kind& kind) {
  if (const auto allowed = own_bucket(services, request); !allowed)
    co_return std::unexpected(allowed.error());
  const auto body = co_await read_checked_body(services, request);
  if (!body) co_return std::unexpected(body.error());
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  auto kept = kind.kept(**bucket, *body);
  if (!kept) co_return std::unexpected(std::move(kept).error());
  co_return co_await write(services, request, **bucket, kind.setting, *std::move(kept), kind.status);
}

AnswerTask remove(Services& services, Request& request, const Kind& kind) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  co_return co_await write(services, request, **bucket, kind.setting, std::nullopt, 204);
}

}  // namespace

AnswerTask answer_setting(Services& services, Request& request) {
  for (const Kind& kind : kKinds) {
    if (request.op == kind.get) co_return get(services, request, kind);
    if (request.op == kind.put) co_return co_await put(services, request, kind);
    if (request.op == kind.remove) co_return co_await remove(services, request, kind);
  }
  co_return wire::s3_fail(S3Code::kNotImplemented);
}

}  // namespace hr::s3
