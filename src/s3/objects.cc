#include "s3/objects.h"

#include "object/notification.h"
#include "s3/policy.h"
#include "s3/read.h"
#include "s3/receive.h"
#include "s3/versions.h"
#include "s3/write.h"
#include "wire/s3_documents.h"
#include "wire/s3_headers.h"
#include "wire/s3_requests.h"

#include <algorithm>
#include <map>
#include <utility>

namespace hr::s3 {
namespace {

using wire::S3Code;
using wire::S3Op;
using wire::S3Result;

// --- put ---

S3Result<object::PutObject> described(const Request& request) {
  HR_TRY(wire::check_key(request.target.key));
  HR_ASSIGN(auto headers, wire::parse_object_headers(request.headers));
  HR_ASSIGN(auto condition, wire::parse_write_condition(request.headers));
  object::PutObject put;
  put.bucket = request.target.bucket;
  put.key = request.target.key;
  put.object.tags = std::move(headers.tags);
  describe(put.object, std::move(headers));
  put.condition = {.if_none_match_any = condition.if_none_match_any,
                   .if_match = std::move(condition.if_match)};
  put.event_name = "ObjectCreated:Put";
  put.principal = request.identity.access_key;
  put.source_ip = request.head.peer.address;
  put.request_id = request.head.request_id;
  return put;
}

void take_upload(object::PutObject& put, std::uint64_t bytes, Uploaded uploaded) {
  put.object.bytes = bytes;
  put.object.etag = std::move(uploaded.etag);
  put.object.checksum = std::move(uploaded.checksum);
  put.object.blob = uploaded.blob;
  put.inline_body = std::move(uploaded.inline_body);
}

// --- delete ---

object::DeleteObject delete_of(const Request& request, std::string key) {
  return {.bucket = request.target.bucket,
          .key = std::move(key),
          .if_match = {},
          .version = {},
          .principal = request.identity.access_key,
          .source_ip = request.head.peer.address,
          .request_id = request.head.request_id,
          .event_family = "ObjectRemoved"};
}

// The body of a batch delete is covered by Content-MD5 or one of the checksums.
S3Result<void> check_covered(const Request& request) {
  HR_ASSIGN(const auto checks, wire::parse_body_checks(request.headers));
  if (checks.md5 || !checks.checksum.empty()) return {};
  return wire::s3_fail(S3Code::kInvalidRequest, "Missing required header for this request: Content-MD5");
}

// Each key, or version of it, once, with the first entry's condition; where each entry of the request finds
// its outcome.
struct Batch {
  std::vector<object::DeleteObject> deletes;
  std::vector<std::optional<wire::S3Error>> refused;  // by entry
  std::vector<std::size_t> slot;                      // by entry: index into `deletes`
};

S3Result<object::DeleteObject> delete_of(Services& services, const Request& request,
                                         const object::Bucket& bucket, const wire::S3Delete& entry) {
  HR_TRY(wire::check_key(entry.key));
  HR_TRY(may(services, request, bucket, entry.version ? "DeleteObjectVersion" : "DeleteObject", entry.key));
  object::DeleteObject out = delete_of(request, entry.key);
  out.if_match = entry.etag;
  if (entry.version) {
    HR_ASSIGN(out.version, parse_version_name("VersionId", *entry.version));
  }
  return out;
}

Batch batch_of(Services& services, const Request& request, const object::Bucket& bucket,
               const std::vector<wire::S3Delete>& entries) {
  Batch batch;
  std::map<std::pair<std::string, std::optional<std::string>>, std::size_t> seen;
  for (const wire::S3Delete& entry : entries) {
    auto one = delete_of(services, request, bucket, entry);
    const auto [at, fresh] = seen.try_emplace({entry.key, entry.version}, batch.deletes.size());
    std::optional<wire::S3Error> error;
    if (!one) {
      error = one.error();
    } else if (!fresh && at->second < batch.deletes.size() &&
               batch.deletes[at->second].if_match != entry.etag) {
      error =
          wire::S3Error{S3Code::kInvalidRequest, "The key is there twice, with different conditions.", {}};
    }
    batch.slot.push_back(at->second);
    batch.refused.push_back(error);
    if (one && fresh) batch.deletes.push_back(std::move(*one));
    if (!one && fresh) seen.erase(at);
  }
  return batch;
}

wire::S3DeleteOutcome outcome_of(const wire::S3Delete& entry, const object::WriteDone& done) {
  wire::S3DeleteOutcome out{.key = entry.key};
  out.version_id = entry.version.value_or("");
  out.delete_marker = done.delete_marker;
  if (done.delete_marker) {
    out.marker_version_id = version_id({.version = done.version, .numbered = done.numbered});
  }
  return out;
}

net::Response deleted(const Request& request, const object::WriteDone& done) {
  net::Response response = empty_response(204);
  if (const Bytes* asked = codec::find(request.target.query, "versionId")) {
    response.headers.add("x-amz-version-id", *asked);
  } else if (done.delete_marker) {
    response.headers.add("x-amz-version-id",
                         version_id({.version = done.version, .numbered = done.numbered}));
  }
  if (done.delete_marker) response.headers.add("x-amz-delete-marker", "true");
  return response;
}

}  // namespace

AnswerTask put_object(Services& services, net::Gate& steps, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const object::BucketId id = (*bucket)->id;
  auto put = described(request);
  if (!put) co_return std::unexpected(std::move(put).error());
  auto spec = upload_spec(services, request);
  if (!spec) co_return std::unexpected(std::move(spec).error());
  const std::uint64_t bytes = spec->bytes;
  auto uploaded = co_await receive_upload(services, steps, request, std::move(*spec));
  if (!uploaded) co_return std::unexpected(std::move(uploaded).error());
  net::Response response = empty_response(200);
  response.headers.add("ETag", quoted(uploaded->etag));
  add_checksum(response, uploaded->checksum);
  const auto blob = uploaded->blob;
  take_upload(*put, bytes, std::move(*uploaded));
  auto written = co_await write_put(services, id, std::move(*put));
  if (written.outcome) {
    if (written.outcome->numbered) {
      response.headers.add("x-amz-version-id", object::show_version(written.outcome->version));
    }
    co_return response;
  }
  if (blob && !written.maybe_written) co_await drop_blob(services, *blob);
  co_return std::unexpected(std::move(written.outcome).error());
}

AnswerTask delete_object(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const auto version = asked_version(request);
  if (!version) co_return std::unexpected(version.error());
  auto condition = wire::parse_write_condition(request.headers);
  if (!condition) co_return std::unexpected(std::move(condition).error());
  if (condition->if_none_match_any)
    co_return wire::s3_no_header("If-None-Match", "not a condition of deletes");
  std::vector<object::DeleteObject> deletes;
  deletes.push_back(delete_of(request, request.target.key));
  deletes.back().if_match = std::move(condition->if_match);
  deletes.back().version = *version;
  auto results = co_await write_deletes(services, (*bucket)->id, std::move(deletes));
  if (!results.front()) co_return std::unexpected(std::move(results.front()).error());
  co_return deleted(request, *results.front());
}

AnswerTask delete_objects(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const object::BucketId id = (*bucket)->id;
  if (auto covered = check_covered(request); !covered) co_return std::unexpected(std::move(covered).error());
  const auto body = co_await read_checked_body(services, request);
  if (!body) co_return std::unexpected(body.error());
  const auto asked = wire::parse_delete(*body);
  if (!asked) co_return std::unexpected(asked.error());
  const object::Bucket* now = services.store.objects().bucket(request.target.bucket);
  if (!now || now->id != id) co_return wire::s3_fail(S3Code::kNoSuchBucket);
  Batch batch = batch_of(services, request, *now, asked->objects);
  const auto results = co_await write_deletes(services, id, std::move(batch.deletes));
  std::vector<wire::S3DeleteOutcome> outcomes;
  for (std::size_t i = 0; i < asked->objects.size(); ++i) {
    const wire::S3Delete& entry = asked->objects[i];
    auto error = batch.refused[i];
    if (!error && !results[batch.slot[i]]) error = results[batch.slot[i]].error();
    if (error) {
      outcomes.push_back(
          {.key = entry.key, .error = std::move(error), .version_id = entry.version.value_or("")});
    } else {
      outcomes.push_back(outcome_of(entry, *results[batch.slot[i]]));
    }
  }
  co_return xml_response(wire::write_delete_result(outcomes, asked->quiet));
}

}  // namespace hr::s3
