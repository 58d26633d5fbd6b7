#include "s3/objects.h"

#include "s3/read.h"
#include "s3/receive.h"
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
  put.object.content_type = std::move(headers.content_type);
  put.object.headers = std::move(headers.headers);
  put.object.metadata = std::move(headers.metadata);
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
          .principal = request.identity.access_key,
          .source_ip = request.head.peer.address,
          .request_id = request.head.request_id};
}

// The body of a batch delete is covered by Content-MD5 or one of the checksums.
S3Result<void> check_body(const Request& request, ByteView body) {
  HR_ASSIGN(const auto checks, wire::parse_body_checks(request.headers));
  if (!checks.md5 && checks.checksum.empty()) {
    return wire::s3_fail(S3Code::kInvalidRequest, "Missing required header for this request: Content-MD5");
  }
  if (checks.md5 && *checks.md5 != codec::md5(body)) return wire::s3_fail(S3Code::kBadDigest);
  if (!checks.algorithm) return {};
  codec::Checksummer sum(*checks.algorithm);
  sum.update(body);
  if (sum.base64() != checks.checksum) return std::unexpected(wire::checksum_mismatch(*checks.algorithm));
  return {};
}

// Each key once, with the first entry's condition; where each entry of the request finds its outcome.
struct Batch {
  std::vector<object::DeleteObject> deletes;
  std::vector<std::optional<wire::S3Error>> refused;  // by entry
  std::vector<std::size_t> slot;                      // by entry: index into `deletes`
};

Batch batch_of(const Request& request, const std::vector<wire::S3Delete>& entries) {
  Batch batch;
  std::map<std::string, std::size_t> keys;
  for (const wire::S3Delete& entry : entries) {
    const auto valid = wire::check_key(entry.key);
    std::optional<wire::S3Error> error;
    if (!valid) error = valid.error();
    const auto seen = keys.find(entry.key);
    const bool repeated = seen != keys.end();
    if (!error && repeated && batch.deletes[seen->second].if_match != entry.etag) {
      error =
          wire::S3Error{S3Code::kInvalidRequest, "The key is there twice, with different conditions.", {}};
    }
    batch.slot.push_back(repeated ? seen->second : batch.deletes.size());
    batch.refused.push_back(error);
    if (error || repeated) continue;
    keys.emplace(entry.key, batch.deletes.size());
    batch.deletes.push_back(delete_of(request, entry.key));
    batch.deletes.back().if_match = entry.etag;
  }
  return batch;
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
  if (written.outcome) co_return response;
  if (blob && !written.maybe_written) co_await drop_blob(services, *blob);
  co_return std::unexpected(std::move(written.outcome).error());
}

AnswerTask delete_object(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  if (auto version = check_version(request); !version) co_return std::unexpected(std::move(version).error());
  auto condition = wire::parse_write_condition(request.headers);
  if (!condition) co_return std::unexpected(std::move(condition).error());
  if (condition->if_none_match_any)
    co_return wire::s3_no_header("If-None-Match", "not a condition of deletes");
  std::vector<object::DeleteObject> deletes;
  deletes.push_back(delete_of(request, request.target.key));
  deletes.back().if_match = std::move(condition->if_match);
  auto results = co_await write_deletes(services, (*bucket)->id, std::move(deletes));
  if (!results.front()) co_return std::unexpected(std::move(results.front()).error());
  co_return empty_response(204);
}

AnswerTask delete_objects(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const object::BucketId id = (*bucket)->id;
  const auto body = co_await read_small_body(services, request);
  if (!body) co_return std::unexpected(body.error());
  if (auto checked = check_body(request, *body); !checked)
    co_return std::unexpected(std::move(checked).error());
  const auto asked = wire::parse_delete(*body);
  if (!asked) co_return std::unexpected(asked.error());
  Batch batch = batch_of(request, asked->objects);
  const auto results = co_await write_deletes(services, id, std::move(batch.deletes));
  std::vector<wire::S3DeleteOutcome> outcomes;
  for (std::size_t i = 0; i < asked->objects.size(); ++i) {
    auto error = batch.refused[i];
    if (!error && !results[batch.slot[i]]) error = results[batch.slot[i]].error();
    outcomes.push_back({asked->objects[i].key, std::move(error)});
  }
  co_return xml_response(wire::write_delete_result(outcomes, asked->quiet));
}

}  // namespace hr::s3
