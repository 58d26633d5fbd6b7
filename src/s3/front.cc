#include "s3/front.h"

#include "s3/buckets.h"
#include "s3/copy.h"
#include "s3/cors.h"
#include "s3/key_rules.h"
#include "s3/lifecycle.h"
#include "s3/multipart.h"
#include "s3/objects.h"
#include "s3/policy.h"
#include "s3/post.h"
#include "s3/read.h"
#include "s3/settings.h"
#include "s3/tagging.h"
#include "s3/versions.h"
#include "wire/s3_headers.h"

#include <fmt/format.h>

#include <utility>

namespace hr::s3 {
namespace {

using wire::S3Code;
using wire::S3Op;

constexpr Duration kLookEvery = 60s;
constexpr Duration kLifecycleEvery = std::chrono::hours(1);

std::vector<std::string> domains_of(const std::string& domain) {
  if (domain.empty()) return {};
  return {domain, "s3." + domain};
}

std::vector<codec::HeaderField> sent_headers(const net::RequestHead& head) {
  std::vector<codec::HeaderField> out;
  out.reserve(head.headers.size());
  for (const net::Header& header : head.headers) out.push_back({header.name, header.value});
  return out;
}

std::string_view path_of(const net::RequestHead& head) {
  return std::string_view(head.target).substr(0, head.target.find('?'));
}

wire::S3Result<S3Op> route_of(const net::RequestHead& head, const wire::S3Target& target,
                              std::span<const codec::HeaderField> headers) {
  return wire::route({.method = head.method,
                      .has_bucket = !target.bucket.empty(),
                      .has_key = !target.key.empty(),
                      .query = target.query,
                      .has_copy_source = wire::header(headers, "x-amz-copy-source").has_value()});
}

wire::S3Result<void> check_supported(const Request& request) {
  if (wire::is_supported(request.op)) return wire::refuse_unsupported(request.op, request.headers);
  return wire::s3_fail(S3Code::kNotImplemented,
                       fmt::format("{} is not implemented.", wire::to_string(request.op)),
                       {{"Operation", std::string(wire::to_string(request.op))}});
}

// A put is answered when it is durable, and its event received even before: what the index does not show yet
// is waited for by who reads it. Writes are judged by the engine, which knows.
bool reads_what_is_pending(const Services& services, const Request& request) {
  const object::Engine& objects = services.store.objects();
  if (objects.pending() == 0) return false;
  switch (request.op) {
    case S3Op::kPutObject:
      return false;
    case S3Op::kCopyObject:  // of another key
    case S3Op::kUploadPartCopy:
    case S3Op::kListObjects:
    case S3Op::kListObjectsV2:
    case S3Op::kListObjectVersions:
      return true;
    default:
      break;
  }
  if (request.target.key.empty()) return false;
  const object::Bucket* bucket = objects.bucket(request.target.bucket);
  return bucket && objects.is_pending(bucket->id, request.target.key);
}

}  // namespace

S3Front::S3Front(Parts parts)
    : services_{.store = parts.store,
                .index = parts.index,
                .blobs = parts.blobs,
                .runtime = parts.runtime,
                .region = parts.region,
                .diary = parts.diary,
                .limits = parts.limits,
                .damage = parts.damage,
                .damaged = std::move(parts.damaged)},
      clock_(parts.clock),
      domains_(domains_of(parts.domain)),
      authorizer_(parts.keys, std::move(parts.trusted), parts.region) {}

net::Task<net::Response> S3Front::handle(net::RequestHead& head, net::RequestBody& body) {
  tick();
  OperationCount* count = &unrouted_;
  Answer answered = co_await answer(head, body, count);
  net::Response response = answered ? std::move(*answered) : error_response(answered.error(), head);
  ++count->requests;
  if (response.status >= 400) ++count->errors;
  add_cors(head, response);
  response.headers.add("x-amz-request-id", head.request_id);
  response.headers.add("x-amz-id-2", head.request_id);
  co_return response;
}

void S3Front::add_cors(const net::RequestHead& head, net::Response& response) const {
  if (!head.headers.find("origin")) return;
  const auto target = wire::parse_s3_target(head.target, head.headers.find("host").value_or(""), domains_);
  if (target) add_cors_headers(services_, head, *target, response);
}

void S3Front::tick() {
  const Time now = clock_.now();
  if (now >= next_look_) {
    next_look_ = now + kLookEvery;
    close_abandoned_uploads(services_);
  }
  if (now < next_lifecycle_ || lifecycle_runs_) return;
  next_lifecycle_ = now + kLifecycleEvery;
  lifecycle_runs_ = true;  // before: it may end within spawn()
  if (!services_.runtime.spawn(steps_, "s3.lifecycle", run_lifecycles(now))) lifecycle_runs_ = false;
}

net::Task<void> S3Front::run_lifecycles(Time now) {
  co_await carry_out_lifecycles(services_, now);
  lifecycle_runs_ = false;
}

AnswerTask S3Front::answer(net::RequestHead& head, net::RequestBody& body, OperationCount*& count) {
  auto target = wire::parse_s3_target(head.target, head.headers.find("host").value_or(""), domains_);
  if (!target) co_return std::unexpected(std::move(target).error());
  const auto sent = sent_headers(head);
  Request request(head, body, std::move(*target));
  request.headers = wire::effective_headers(sent, request.target.query);
  const auto op = route_of(head, request.target, request.headers);
  if (!op) co_return std::unexpected(op.error());
  request.op = *op;
  count = &counts_[static_cast<std::size_t>(*op)];
  if (*op == S3Op::kOptionsObject) co_return answer_preflight(services_, head, request.target);
  if (*op == S3Op::kPostObject) co_return co_await post(request, sent);
  if (auto allowed = authorizer_.authorize(request, sent, clock_.wall()); !allowed) {
    co_return std::unexpected(std::move(allowed).error());
  }
  if (auto granted = check_key_rules(request); !granted)
    co_return std::unexpected(std::move(granted).error());
  const bool nobody = request.identity.account.empty();
  if (auto here = check_supported(request); !here) {
    if (nobody) co_return wire::s3_fail(S3Code::kAccessDenied);
    co_return std::unexpected(std::move(here).error());
  }
  if (reads_what_is_pending(services_, request)) {
    const Status applied =
        co_await net::await_call<Status>([&](auto done) { services_.store.when_applied(std::move(done)); });
    if (!applied) co_return std::unexpected(error_of(applied.error()));
  }
  auto answered = co_await perform(request);
  if (!answered) co_return std::unexpected(hide_absence(services_, request, std::move(answered).error()));
  co_return answered;
}

// A form says in its fields who sends it; what else is signed would be somebody else's word.
AnswerTask S3Front::post(Request& request, std::span<const codec::HeaderField> sent) {
  if (codec::auth_kind(request.target.raw_query, sent) != codec::AuthKind::kNone) {
    co_return wire::s3_fail(S3Code::kInvalidRequest, "A POST form is signed by its fields alone.");
  }
  co_return co_await post_object(services_, steps_, authorizer_, request, clock_.wall());
}

AnswerTask S3Front::perform(Request& request) {
  switch (request.op) {
    case S3Op::kPutObject:
      co_return co_await put_object(services_, steps_, request);
    case S3Op::kCopyObject:
      co_return co_await copy_object(services_, request);
    case S3Op::kUploadPartCopy:
      co_return co_await copy_part(services_, request);
    case S3Op::kGetObject:
    case S3Op::kHeadObject:
      co_return co_await get_object(services_, request);
    case S3Op::kDeleteObject:
      co_return co_await delete_object(services_, request);
    case S3Op::kDeleteObjects:
      co_return co_await delete_objects(services_, request);
    case S3Op::kGetObjectAttributes:
      co_return co_await get_object_attributes(services_, request);
    case S3Op::kGetObjectAcl:
      co_return co_await get_object_acl(services_, request);
    case S3Op::kCreateMultipartUpload:
      co_return co_await create_multipart_upload(services_, request);
    case S3Op::kUploadPart:
      co_return co_await upload_part(services_, steps_, request);
    case S3Op::kListParts:
      co_return co_await list_parts(services_, request);
    case S3Op::kListMultipartUploads:
      co_return co_await list_multipart_uploads(services_, request);
    case S3Op::kCompleteMultipartUpload:
      co_return co_await complete_multipart_upload(services_, request);
    case S3Op::kAbortMultipartUpload:
      co_return co_await abort_multipart_upload(services_, request);
    case S3Op::kListObjects:
    case S3Op::kListObjectsV2:
      co_return co_await list_objects(services_, request);
    case S3Op::kListObjectVersions:
      co_return co_await list_object_versions(services_, request);
    case S3Op::kListBuckets:
      co_return list_buckets(services_, request);
    case S3Op::kCreateBucket:
      co_return co_await create_bucket(services_, request);
    case S3Op::kHeadBucket:
      co_return head_bucket(services_, request);
    case S3Op::kDeleteBucket:
      co_return co_await delete_bucket(services_, request);
    case S3Op::kGetBucketLocation:
      co_return get_bucket_location(services_, request);
    case S3Op::kGetBucketAcl:
      co_return get_bucket_acl(services_, request);
    case S3Op::kGetBucketVersioning:
      co_return get_bucket_versioning(services_, request);
    case S3Op::kGetObjectTagging:
      co_return co_await get_object_tagging(services_, request);
    case S3Op::kPutObjectTagging:
      co_return co_await put_object_tagging(services_, request);
    case S3Op::kDeleteObjectTagging:
      co_return co_await delete_object_tagging(services_, request);
    case S3Op::kPutBucketVersioning:
      co_return co_await put_bucket_versioning(services_, request);
    case S3Op::kGetBucketPolicyStatus:
      co_return get_bucket_policy_status(services_, request);
    case S3Op::kGetBucketNotificationConfiguration:
      co_return get_notification(services_, request);
    case S3Op::kPutBucketNotificationConfiguration:
      co_return co_await put_notification(services_, request);
    case S3Op::kPutBucketLifecycleConfiguration: {
      auto answer = co_await answer_setting(services_, request);
      if (answer) next_lifecycle_ = {};  // the next pass is now
      co_return answer;
    }
    default:
      co_return co_await answer_setting(services_, request);
  }
}

net::Response S3Front::error_response(const wire::S3Error& error, const net::RequestHead& head) const {
  net::Response response =
      head.method == "HEAD"
          ? empty_response(200)
          : xml_response(wire::write_error(error, path_of(head), head.request_id, head.request_id));
  response.status = wire::http_status(error.code);
  for (const auto& [name, value] : error.headers) response.headers.add(name, value);
  for (const auto& [name, value] : error.fields) {
    if (error.code == S3Code::kInvalidRange && name == "ActualObjectSize") {
      response.headers.add("Content-Range", "bytes */" + value);
    }
    if (name == "Region") response.headers.add("x-amz-bucket-region", value);
  }
  if (error.code == S3Code::kSlowDown || error.code == S3Code::kServiceUnavailable) {
    response.headers.add("Retry-After", "1");
  }
  return response;
}

std::vector<std::pair<std::string_view, OperationCount>> S3Front::counters() const {
  std::vector<std::pair<std::string_view, OperationCount>> out;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i].requests > 0) out.emplace_back(wire::to_string(static_cast<S3Op>(i)), counts_[i]);
  }
  return out;
}

}  // namespace hr::s3
