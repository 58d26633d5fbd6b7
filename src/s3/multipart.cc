#include "s3/multipart.h"

#include "object/listing.h"
#include "s3/read.h"
#include "s3/receive.h"
#include "s3/tokens.h"
#include "s3/upload_parameters.h"
#include "s3/write.h"
#include "wire/s3_headers.h"
#include "wire/s3_multipart.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hr::s3 {
namespace {

using object::Fault;
using object::UploadId;
using wire::S3Code;
using wire::S3Result;

constexpr std::uint64_t kUploadRecordBytes = 20U << 10;  // key, headers, metadata and tags
constexpr std::uint64_t kPartRecordBytes = 1024;
constexpr std::size_t kAbandonedAtOnce = 16;

// What became of a change that leaves no object.
S3Result<void> result_of(const std::optional<object::Outcome<void>>& outcome, const Status& status) {
  if (outcome && !*outcome) return std::unexpected(error_of(outcome->error()));
  if (!status) return std::unexpected(error_of(status.error()));
  return {};
}

S3Result<object::Upload> described(const Request& request) {
  HR_TRY(wire::check_key(request.target.key));
  HR_ASSIGN(auto headers, wire::parse_object_headers(request.headers));
  HR_ASSIGN(const auto checksum, wire::parse_upload_checksum(request.headers));
  object::Upload upload;
  upload.initiator = request.identity.access_key;
  if (checksum.algorithm) upload.checksum_algorithm = codec::to_string(*checksum.algorithm);
  upload.checksum_composite = checksum.composite;
  upload.object.tags = std::move(headers.tags);
  describe(upload.object, std::move(headers));
  return upload;
}

void add_upload_checksum(net::Response& response, const object::Upload& upload) {
  if (upload.checksum_algorithm.empty()) return;
  response.headers.add("x-amz-checksum-algorithm", upload.checksum_algorithm);
  response.headers.add("x-amz-checksum-type", upload.checksum_composite ? "COMPOSITE" : "FULL_OBJECT");
}

// What the upload asks of each part's checksum.
S3Result<void> apply_checksum_rule(const object::OpenUpload& upload, UploadSpec& spec) {
  if (upload.checksum_algorithm.empty()) return {};
  const auto expected = codec::parse_checksum_algorithm(upload.checksum_algorithm);
  if (!expected) return wire::s3_fail(S3Code::kInternalError);
  const auto sent = spec.checks.algorithm;
  if (sent == *expected) return {};
  if (!sent && !upload.checksum_composite) {
    spec.also_compute = *expected;
    return {};
  }
  return wire::s3_fail(
      S3Code::kInvalidRequest,
      fmt::format("Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                  codec::lower_case(upload.checksum_algorithm),
                  sent ? codec::lower_case(codec::to_string(*sent)) : "null"));
}

object::Part part_of(std::uint64_t bytes, const Uploaded& uploaded) {
  return {.bytes = bytes,
          .etag = uploaded.etag,
          .modified = {},
          .checksum = uploaded.checksum,
          .blob = uploaded.blob};
}

wire::S3UploadList upload_list(const Request& request, const object::ListUploadsRequest& asked,
                               object::UploadPage page, wire::S3Owner owner) {
  wire::S3UploadList list{.bucket = request.target.bucket,
                          .prefix = asked.prefix,
                          .delimiter = asked.delimiter,
                          .key_marker = asked.after,
                          .upload_id_marker = parameter(request, "upload-id-marker"),
                          .next_key_marker = page.next_after,
                          .next_upload_id_marker = {},
                          .max_uploads = asked.max,
                          .truncated = page.truncated,
                          .url_encoded = parameter(request, "encoding-type") == "url",
                          .owner = std::move(owner),
                          .uploads = {},
                          .common_prefixes = std::move(page.common_prefixes)};
  if (page.next_after_upload != UploadId{}) list.next_upload_id_marker = shown(page.next_after_upload);
  for (auto& [key, upload] : page.uploads) {
    list.uploads.push_back({.key = std::move(key),
                            .upload_id = shown(upload.id),
                            .initiator = std::move(upload.initiator),
                            .initiated = upload.initiated,
                            .checksum_algorithm = std::move(upload.checksum_algorithm),
                            .checksum_composite = upload.checksum_composite});
  }
  return list;
}

// An upload-id-marker means nothing without a key-marker.
S3Result<object::ListUploadsRequest> uploads_query(const Request& request, object::BucketId bucket) {
  HR_ASSIGN(const auto page, page_query(request.target.query, "max-uploads", 1000));
  const std::string encoding = parameter(request, "encoding-type");
  if (!encoding.empty() && encoding != "url") {
    return wire::s3_bad_argument("encoding-type", encoding, "Invalid Encoding Method specified in Request");
  }
  object::ListUploadsRequest out{.bucket = bucket,
                                 .prefix = parameter(request, "prefix"),
                                 .delimiter = parameter(request, "delimiter"),
                                 .after = parameter(request, "key-marker"),
                                 .after_upload = {},
                                 .max = page.max};
  const std::string marker = parameter(request, "upload-id-marker");
  if (marker.empty() || out.after.empty()) return out;
  const auto id = wire::parse_upload_id(marker);
  if (!id) return wire::s3_bad_argument("upload-id-marker", marker, "Invalid uploadId marker");
  out.after_upload = UploadId{*id};
  return out;
}

S3Result<std::uint32_t> part_marker(const Request& request) {
  const std::string text = parameter(request, "part-number-marker");
  if (text.empty()) return 0;
  HR_ASSIGN(const std::uint64_t value, wire::parse_length("part-number-marker", text));
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, wire::kS3PartsMax));
}

}  // namespace

AnswerTask create_multipart_upload(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const object::BucketId id = (*bucket)->id;
  const auto upload = described(request);
  if (!upload) co_return std::unexpected(upload.error());
  std::optional<object::Outcome<UploadId>> made;
  const auto decide = [&](object::Engine& engine, Time now, object::Effects& out) {
    made = same_bucket(engine, request.target.bucket, id)
               ? engine.create_upload(request.target.bucket, request.target.key, *upload, now, out)
               : object::Outcome<UploadId>(std::unexpected(Fault::kNoSuchBucket));
  };
  const commit::Cost cost{.records = 2, .bytes = kUploadRecordBytes, .space = storage::Space::kGrow};
  const Status status = co_await net::await_call<Status>(
      [&](auto done) { services.store.change_objects(cost, decide, std::move(done)); });
  if (made && !*made) co_return std::unexpected(error_of(made->error()));
  if (!status) co_return std::unexpected(error_of(status.error()));
  net::Response response =
      xml_response(wire::write_initiated(request.target.bucket, request.target.key, shown(**made)));
  add_upload_checksum(response, *upload);
  co_return response;
}

net::Task<S3Result<Time>> write_part(Services& services, const Request& request, UploadId upload,
                                     std::uint32_t number, std::uint64_t bytes, const Uploaded& uploaded) {
  std::optional<object::Outcome<void>> outcome;
  Time modified;
  const auto decide = [&](object::Engine& engine, Time now, object::Effects& out) {
    modified = now;
    outcome = engine.put_part({.bucket = request.target.bucket,
                               .key = request.target.key,
                               .upload = upload,
                               .number = number,
                               .part = part_of(bytes, uploaded)},
                              now, out);
  };
  const commit::Cost cost{
      .records = 1, .bytes = kPartRecordBytes, .space = storage::Space::kGrow, .events = 0};
  const Status status = co_await net::await_call<Status>(
      [&](auto done) { services.store.change_objects(cost, decide, std::move(done)); });
  auto put = result_of(outcome, status);
  if (put) co_return modified;
  const bool maybe_written = outcome && *outcome;
  if (uploaded.blob && !maybe_written) co_await drop_blob(services, *uploaded.blob);
  co_return std::unexpected(std::move(put).error());
}

AnswerTask upload_part(Services& services, net::Gate& steps, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const auto number = wire::parse_part_number(parameter(request, "partNumber"));
  if (!number) co_return std::unexpected(number.error());
  const auto upload = asked_upload(services, request, (*bucket)->id);
  if (!upload) co_return std::unexpected(upload.error());
  auto spec = upload_spec(services, request);
  if (!spec) co_return std::unexpected(std::move(spec).error());
  if (auto fits = apply_checksum_rule(*upload->open, *spec); !fits) co_return std::unexpected(fits.error());
  spec->inline_bytes_max = 0;
  const std::uint64_t bytes = spec->bytes;
  const bool promised = spec->checks.algorithm.has_value();
  const auto uploaded = co_await receive_upload(services, steps, request, std::move(*spec));
  if (!uploaded) co_return std::unexpected(uploaded.error());
  const auto put = co_await write_part(services, request, upload->id, *number, bytes, *uploaded);
  if (!put) co_return std::unexpected(put.error());
  net::Response response = empty_response(200);
  response.headers.add("ETag", quoted(uploaded->etag));
  if (promised && uploaded->checksum) {
    const auto algorithm = codec::parse_checksum_algorithm(uploaded->checksum->algorithm);
    response.headers.add(std::string(codec::checksum_header(*algorithm)), uploaded->checksum->value);
  }
  co_return response;
}

AnswerTask list_parts(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const object::BucketId bucket_id = (*bucket)->id;
  const wire::S3Owner owner = wire::owner_of_account((*bucket)->account);
  const auto asked = asked_upload(services, request, bucket_id);
  if (!asked) co_return std::unexpected(asked.error());
  const auto page = page_query(request.target.query, "max-parts", 1000);
  if (!page) co_return std::unexpected(page.error());
  const auto marker = part_marker(request);
  if (!marker) co_return std::unexpected(marker.error());
  const UploadId id = asked->id;
  const auto upload = co_await read_upload(services, bucket_id, request.target.key, id);
  if (!upload) co_return std::unexpected(upload.error());
  const storage::Index& index = services.index;
  const auto parts = co_await services.runtime.on_pool(
      [&index, id, after = *marker, max = page->max] { return object::list_parts(index, id, after, max); });
  if (!parts) co_return std::unexpected(error_of(parts.error()));
  wire::S3PartList list{.bucket = request.target.bucket,
                        .key = request.target.key,
                        .upload_id = shown(id),
                        .owner = owner,
                        .initiator = upload->initiator,
                        .marker = *marker,
                        .max_parts = page->max,
                        .truncated = parts->truncated,
                        .checksum_algorithm = upload->checksum_algorithm,
                        .checksum_composite = upload->checksum_composite,
                        .parts = {}};
  for (const auto& [number, part] : parts->parts) {
    list.parts.push_back({.number = number,
                          .modified = part.modified,
                          .etag = part.etag,
                          .bytes = part.bytes,
                          .checksum_algorithm = part.checksum ? part.checksum->algorithm : "",
                          .checksum = part.checksum ? part.checksum->value : ""});
  }
  co_return xml_response(wire::write_parts(list));
}

AnswerTask list_multipart_uploads(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  wire::S3Owner owner = wire::owner_of_account((*bucket)->account);
  const auto asked = uploads_query(request, (*bucket)->id);
  if (!asked) co_return std::unexpected(asked.error());
  const storage::Index& index = services.index;
  auto page = co_await services.runtime.on_pool(
      [&index, query = *asked] { return object::list_uploads(index, query); });
  if (!page) {
    services.diary.error("s3.list_failed", {{"reason", page.error().message}});
    co_return std::unexpected(error_of(page.error()));
  }
  co_return xml_response(
      wire::write_uploads(upload_list(request, *asked, std::move(*page), std::move(owner))));
}

AnswerTask abort_multipart_upload(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const auto upload = asked_upload(services, request, (*bucket)->id);
  if (!upload) co_return std::unexpected(upload.error());
  std::optional<object::Outcome<void>> outcome;
  const auto decide = [&](object::Engine& engine, Time, object::Effects& out) {
    outcome = engine.abort_upload(request.target.bucket, request.target.key, upload->id, out);
  };
  const commit::Cost cost{.records = 1, .bytes = kUploadRecordBytes, .space = storage::Space::kShrink};
  const Status status = co_await net::await_call<Status>(
      [&](auto done) { services.store.change_objects(cost, decide, std::move(done)); });
  if (auto gone = result_of(outcome, status); !gone) co_return std::unexpected(std::move(gone).error());
  co_return empty_response(204);
}

void close_abandoned_uploads(Services& services) {
  const commit::Cost cost{.records = kAbandonedAtOnce,
                          .bytes = kAbandonedAtOnce * kUploadRecordBytes,
                          .space = storage::Space::kShrink};
  std::size_t closed = 0;
  services.store.change_objects(
      cost,
      [&](object::Engine& engine, Time now, object::Effects& out) {
        closed = engine.close_abandoned(now, kAbandonedAtOnce, out);
      },
      [](const Status&) {});  // what was not closed now is closed the next time
  if (closed > 0) services.diary.info("s3.uploads_abandoned", {{"closed", closed}});
}

}  // namespace hr::s3
