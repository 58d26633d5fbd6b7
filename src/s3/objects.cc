#include "s3/objects.h"

#include "codec/time_text.h"
#include "object/coding.h"
#include "s3/receive.h"
#include "s3/write.h"
#include "wire/s3_documents.h"
#include "wire/s3_headers.h"
#include "wire/s3_requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace hr::s3 {
namespace {

using object::Object;
using wire::S3Code;
using wire::S3Op;
using wire::S3Result;

constexpr int kReadTriesMax = 16;  // an object that is overwritten again and again while it is read

std::string quoted(std::string_view etag) { return fmt::format("\"{}\"", etag); }

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

void add_checksum(net::Response& response, const std::optional<object::Checksum>& checksum) {
  if (!checksum) return;
  const auto algorithm = codec::parse_checksum_algorithm(checksum->algorithm);
  if (!algorithm) return;
  response.headers.add(std::string(codec::checksum_header(*algorithm)), checksum->value);
  response.headers.add("x-amz-checksum-type", "FULL_OBJECT");
}

// A blob whose record was refused belongs to nobody.
net::Task<bool> drop_blob(Services& services, storage::BlobName name) {
  storage::BlobStore& blobs = services.blobs;
  auto removed = co_await services.runtime.on_pool([&blobs, name] { return blobs.remove(name); });
  if (!removed) services.diary.warning("s3.blob_not_removed", {{"reason", removed.error().message}});
  co_return removed.has_value();
}

// --- get ---

struct Found {
  Object object;
  std::string inline_body;
  std::shared_ptr<os::File> file;  // shared with the answer that sends it
};

enum class Want : bool { kHead, kBody };

// Brings the body that belongs to `value`, the object's entry in kObjects. False: it has changed since.
net::Task<S3Result<bool>> read_body(const Services& services, const Bytes& index_key, const Bytes& value,
                                    Found& found) {
  if (found.object.blob) {
    const storage::BlobStore& blobs = services.blobs;
    auto file =
        co_await services.runtime.on_pool([&blobs, name = *found.object.blob] { return blobs.open(name); });
    if (!file && file.error().code == Errc::kNotFound) co_return false;
    if (!file) co_return std::unexpected(error_of(file.error()));
    found.file = std::move(*file);
    co_return true;
  }
  auto body = co_await read_index(services, storage::Table::kBodies, index_key);
  if (!body) co_return std::unexpected(std::move(body).error());
  // Both tables change in one batch: an entry that reads the same before and after had this body.
  auto after = co_await read_index(services, storage::Table::kObjects, index_key);
  if (!after) co_return std::unexpected(std::move(after).error());
  if (*after != value) co_return false;
  if (!*body) {
    if (found.object.bytes != 0) co_return wire::s3_fail(S3Code::kInternalError);
    co_return true;
  }
  found.inline_body = std::move(**body);
  co_return true;
}

net::Task<S3Result<Found>> find_object(const Services& services, object::BucketId bucket,
                                       const std::string& key, Want want) {
  const Bytes index_key = object::object_key(bucket, key);
  for (int tries = 0; tries < kReadTriesMax; ++tries) {
    auto value = co_await read_index(services, storage::Table::kObjects, index_key);
    if (!value) co_return std::unexpected(std::move(value).error());
    if (!*value) co_return wire::s3_fail(S3Code::kNoSuchKey, {}, {{"Key", key}});
    auto object = object::decode_object(**value);
    if (!object) {
      services.diary.error("s3.object_corrupt", {{"reason", object.error().message}});
      co_return std::unexpected(error_of(object.error()));
    }
    Found found{.object = std::move(*object), .inline_body = {}, .file = {}};
    if (want == Want::kHead) co_return found;
    auto whole = co_await read_body(services, index_key, **value, found);
    if (!whole) co_return std::unexpected(std::move(whole).error());
    if (*whole) co_return found;
  }
  services.diary.warning("s3.object_unreadable", {{"tries", kReadTriesMax}});
  co_return wire::s3_fail(S3Code::kSlowDown);
}

// A bucket that never had versions has one version of each key, called "null".
S3Result<void> check_version(const Request& request) {
  const Bytes* version = codec::find(request.target.query, "versionId");
  if (!version || *version == "null") return {};
  if (version->empty()) {
    return wire::s3_bad_argument("versionId", *version, "Version id cannot be the empty string");
  }
  return wire::s3_bad_argument("versionId", *version, "Invalid version id specified");
}

S3Result<codec::Pairs> check_read(const Request& request) {
  HR_TRY(check_version(request));
  if (const Bytes* part = codec::find(request.target.query, "partNumber")) {
    return wire::s3_fail(S3Code::kNotImplemented, "Reading an object by part number is not implemented.",
                         {{"ArgumentName", "partNumber"}, {"ArgumentValue", *part}});
  }
  HR_ASSIGN(auto overrides, wire::response_overrides(request.target.query));
  if (!overrides.empty() && !request.is_signed) {
    return wire::s3_fail(S3Code::kInvalidRequest,
                         "Request specific response headers cannot be used for anonymous GET requests.");
  }
  return overrides;
}

void add_object_headers(net::Response& response, const Object& object, const codec::Pairs& overrides) {
  response.headers.add("Last-Modified", codec::http_date(object.modified));
  response.headers.add("ETag", quoted(object.etag));
  response.headers.add("Accept-Ranges", "bytes");
  response.headers.add("Content-Type", object.content_type);
  for (const auto& [name, value] : object.headers) response.headers.add(name, value);
  for (const auto& [name, value] : object.metadata) response.headers.add("x-amz-meta-" + name, value);
  for (const auto& [name, value] : overrides) response.headers.set(name, value);
}

// Of the whole object, so a client would compare it in vain with a part.
bool wants_checksum(const Request& request) {
  const auto mode = wire::header(request.headers, "x-amz-checksum-mode");
  return mode && codec::lower_case(*mode) == "enabled";
}

net::Response not_modified(const Object& object) {
  net::Response response = empty_response(304);
  response.headers.add("Last-Modified", codec::http_date(object.modified));
  response.headers.add("ETag", quoted(object.etag));
  return response;
}

void fill_body(net::Response& response, Found found, wire::ByteRange range, Want want) {
  if (want == Want::kHead) {
    response.announced_length = range.bytes;
  } else if (found.file) {
    response.body = net::FileBody{std::move(found.file), range.first, range.bytes};
  } else if (range.bytes == found.inline_body.size()) {
    response.body = std::move(found.inline_body);
  } else {
    response.body = found.inline_body.substr(range.first, range.bytes);
  }
}

Answer answer_read(Services& services, const Request& request, Found found, const codec::Pairs& overrides,
                   Want want) {
  const Object& object = found.object;
  HR_ASSIGN(const auto verdict, wire::judge_read(request.headers, object.etag, object.modified));
  if (verdict == wire::ReadVerdict::kNotModified) return not_modified(object);
  std::optional<wire::ByteRange> range;
  if (wire::range_applies(request.headers, object.etag, object.modified)) {
    HR_ASSIGN(range, wire::parse_range(wire::header(request.headers, "range"), object.bytes));
  }
  const wire::ByteRange sent = range.value_or(wire::ByteRange{0, object.bytes});
  net::Response response = empty_response(range ? 206 : 200);
  add_object_headers(response, object, overrides);
  if (!range && wants_checksum(request)) add_checksum(response, object.checksum);
  if (range) {
    response.headers.add("Content-Range", fmt::format("bytes {}-{}/{}", sent.first,
                                                      sent.first + sent.bytes - 1, object.bytes));
  }
  if (want == Want::kBody) services.bytes_out += sent.bytes;
  fill_body(response, std::move(found), sent, want);
  return response;
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
  auto spec = upload_spec(request);
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

AnswerTask get_object(Services& services, Request& request) {
  const Want want = request.op == S3Op::kHeadObject ? Want::kHead : Want::kBody;
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const auto overrides = check_read(request);
  if (!overrides) co_return std::unexpected(overrides.error());
  auto found = co_await find_object(services, (*bucket)->id, request.target.key, want);
  if (!found) co_return std::unexpected(std::move(found).error());
  co_return answer_read(services, request, std::move(*found), *overrides, want);
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

AnswerTask get_object_acl(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const std::string account = (*bucket)->account;
  if (auto version = check_version(request); !version) co_return std::unexpected(std::move(version).error());
  auto found = co_await find_object(services, (*bucket)->id, request.target.key, Want::kHead);
  if (!found) co_return std::unexpected(std::move(found).error());
  co_return xml_response(wire::write_acl(wire::owner_of_account(account)));
}

}  // namespace hr::s3
