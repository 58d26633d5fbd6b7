#include "s3/copy.h"

#include "object/notification.h"
#include "s3/multipart.h"
#include "s3/read.h"
#include "s3/upload.h"
#include "s3/upload_parameters.h"
#include "s3/versions.h"
#include "s3/write.h"
#include "wire/s3_documents.h"
#include "wire/s3_headers.h"
#include "wire/s3_multipart.h"
#include "wire/s3_tagging.h"
#include "wire/s3_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

namespace hr::s3 {
namespace {

using wire::S3Code;
using wire::S3Result;

constexpr std::size_t kPieceBytes = 4U << 20;  // read and written at once, by one thread of the pool
constexpr std::string_view kConditionPrefix = "x-amz-copy-source-";

struct Source {
  wire::S3CopySource name;
  Found found;
};

// The conditions on the source are those of a read, under other names; what a read answers with 304 is 412.
S3Result<void> judge_source(const Request& request, const object::Object& object) {
  std::vector<codec::HeaderField> conditions;
  for (const auto& [name, value] : request.headers) {
    if (!codec::lower_case(name).starts_with(kConditionPrefix)) continue;
    conditions.push_back({name.substr(kConditionPrefix.size()), value});
  }
  HR_ASSIGN(const auto verdict, wire::judge_read(conditions, object.etag, object.modified));
  if (verdict == wire::ReadVerdict::kSend) return {};
  return wire::s3_fail(S3Code::kPreconditionFailed, {},
                       {{"Condition", "x-amz-copy-source-If-None-Match or -If-Modified-Since"}});
}

net::Task<S3Result<Source>> open_source(Services& services, const Request& request) {
  auto name = wire::parse_copy_source(wire::header(request.headers, "x-amz-copy-source").value_or(""));
  if (!name) co_return std::unexpected(std::move(name).error());
  const auto bucket = source_bucket(services, request, *name);
  if (!bucket) co_return std::unexpected(bucket.error());
  std::optional<object::VersionName> version;
  if (name->version) {
    auto parsed = parse_version_name("x-amz-copy-source", *name->version);
    if (!parsed) co_return std::unexpected(std::move(parsed).error());
    version = *parsed;
  }
  auto found = co_await find_object(services, (*bucket)->id, name->key, Want::kBody, version);
  if (!found && found.error().code == S3Code::kMethodNotAllowed) {
    co_return wire::s3_fail(
        S3Code::kInvalidRequest,
        "The source of a copy request may not specifically refer to a delete marker by version id.");
  }
  if (!found) co_return std::unexpected(std::move(found).error());
  if (auto judged = judge_source(request, found->object); !judged) {
    co_return std::unexpected(std::move(judged).error());
  }
  co_return Source{.name = std::move(*name), .found = std::move(*found)};
}

// One piece, on the pool. Owns what it touches.
S3Result<void> copy_piece(Upload& upload, os::File& file, std::uint64_t offset, std::uint64_t left) {
  std::string piece(static_cast<std::size_t>(std::min<std::uint64_t>(left, kPieceBytes)), '\0');
  const auto got = file.read_at(offset, piece, "blob.copy");
  if (!got) return std::unexpected(error_of(got.error()));
  if (*got != piece.size()) return wire::s3_fail(S3Code::kInternalError);
  return upload.feed(piece);
}

// The bytes of the source as a new body. Each piece is a task of its own, so that a long copy shares the
// pool.
net::Task<S3Result<Uploaded>> copy_bytes(Services& services, const Found& found, wire::ByteRange range,
                                         UploadSpec spec) {
  spec.bytes = range.bytes;
  const bool large = range.bytes > spec.inline_bytes_max;
  if (large && services.uploads >= services.limits.uploads_max) co_return wire::s3_fail(S3Code::kSlowDown);
  if (large && services.store.space_low()) co_return std::unexpected(error_of(Error{Errc::kNoSpace, {}}));
  std::optional<UploadSlot> slot;
  if (large) slot.emplace(services.uploads);
  auto upload = std::make_shared<Upload>(std::move(spec), services.blobs);  // shared with the pool's work
  S3Result<void> fed;
  if (found.file) {
    for (std::uint64_t done = 0; done < range.bytes && fed;) {
      const std::uint64_t left = range.bytes - done;
      fed = co_await services.runtime.on_pool([upload, file = found.file, at = range.first + done, left] {
        return copy_piece(*upload, *file, at, left);
      });
      done += std::min<std::uint64_t>(left, kPieceBytes);
    }
  } else if (range.bytes > 0) {
    fed = upload->feed(ByteView(found.inline_body).substr(range.first, range.bytes));
  }
  // Either way the end is the pool's: committing syncs, and giving up removes a file.
  co_return co_await services.runtime.on_pool(
      [last = std::move(upload), before = std::move(fed)]() mutable -> S3Result<Uploaded> {
        const std::shared_ptr<Upload> owned = std::move(last);
        if (!before) return std::unexpected(std::move(before).error());
        return owned->finish();
      });
}

S3Result<bool> replaces(const Request& request, std::string_view header) {
  const auto directive = wire::header(request.headers, header);
  if (!directive || *directive == "COPY") return false;
  if (*directive == "REPLACE") return true;
  return wire::s3_bad_argument(
      header, *directive,
      header == "x-amz-metadata-directive" ? "Unknown metadata directive." : "Unknown tagging directive.");
}

S3Result<object::PutObject> described(const Request& request, const Source& source) {
  HR_TRY(wire::check_key(request.target.key));
  HR_ASSIGN(const bool new_metadata, replaces(request, "x-amz-metadata-directive"));
  HR_ASSIGN(const bool new_tags, replaces(request, "x-amz-tagging-directive"));
  HR_ASSIGN(auto condition, wire::parse_write_condition(request.headers));
  const bool onto_itself =
      source.name.bucket == request.target.bucket && source.name.key == request.target.key;
  if (onto_itself && !new_metadata && !source.name.version) {
    return wire::s3_fail(S3Code::kInvalidRequest,
                         "This copy request is illegal because it is trying to copy an object to itself "
                         "without changing the object's metadata, storage class, website redirect location "
                         "or encryption attributes.");
  }
  object::PutObject put;
  put.bucket = request.target.bucket;
  put.key = request.target.key;
  put.object.content_type = source.found.object.content_type;
  put.object.headers = source.found.object.headers;
  put.object.metadata = source.found.object.metadata;
  put.object.tags = source.found.object.tags;
  if (new_metadata) {
    HR_ASSIGN(auto headers, wire::parse_object_headers(request.headers));
    describe(put.object, std::move(headers));
  }
  if (new_tags) {
    HR_ASSIGN(put.object.tags,
              wire::parse_tagging_header(wire::header(request.headers, "x-amz-tagging").value_or("")));
  }
  put.condition = {.if_none_match_any = condition.if_none_match_any,
                   .if_match = std::move(condition.if_match)};
  put.event_name = "ObjectCreated:Copy";
  put.principal = request.identity.access_key;
  put.source_ip = request.head.peer.address;
  put.request_id = request.head.request_id;
  return put;
}

// Of the algorithm that is asked for, else of the source's.
S3Result<std::optional<codec::ChecksumAlgorithm>> checksum_for(const Request& request,
                                                               const object::Object& source) {
  const auto asked = wire::header(request.headers, "x-amz-checksum-algorithm");
  if (!asked && !source.checksum) return std::nullopt;
  const auto algorithm = codec::parse_checksum_algorithm(
      asked.value_or(source.checksum ? std::string_view(source.checksum->algorithm) : std::string_view()));
  if (algorithm) return *algorithm;
  return wire::s3_bad_argument("x-amz-checksum-algorithm", asked.value_or(""),
                               "Checksum algorithm provided is unsupported.");
}

S3Result<wire::ByteRange> part_range(const Request& request, std::uint64_t bytes) {
  const auto text = wire::header(request.headers, "x-amz-copy-source-range");
  if (!text) return wire::ByteRange{0, bytes};
  const auto bad = [&](std::string_view why) {
    return wire::s3_bad_argument("x-amz-copy-source-range", *text, std::string(why));
  };
  // Both ends, as in "bytes=0-9", and nothing beyond the source.
  const auto parsed = wire::parse_range(text, UINT64_MAX);
  if (!parsed || !*parsed || text->ends_with('-') || text->starts_with("bytes=-")) {
    return bad(
        "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last "
        "are the zero-based offsets of the first and last bytes to copy");
  }
  const wire::ByteRange range = **parsed;
  if (range.first >= bytes || range.bytes > bytes - range.first) {
    return bad(fmt::format("Range specified is not valid for source object of size: {}", bytes));
  }
  return range;
}

S3Result<void> check_size(const Services& services, std::uint64_t bytes) {
  if (bytes <= services.limits.body_bytes_max) return {};
  return wire::s3_fail(S3Code::kInvalidRequest,
                       fmt::format("The specified copy source is larger than the maximum allowable size for "
                                   "a copy source: {}",
                                   services.limits.body_bytes_max));
}

net::Response copied(const Services& services, const Source& source, std::string_view root,
                     const std::string& etag, Time modified,
                     const std::optional<object::Checksum>& checksum) {
  net::Response response =
      xml_response(wire::write_copied(root, {.etag = etag,
                                             .modified = modified,
                                             .checksum_algorithm = checksum ? checksum->algorithm : "",
                                             .checksum = checksum ? checksum->value : ""}));
  const object::Bucket* from = services.store.objects().bucket(source.name.bucket);
  if (from && from->versioning != object::Versioning::kNever) {
    response.headers.add("x-amz-copy-source-version-id", version_id(source.found.object));
  }
  return response;
}

}  // namespace

AnswerTask copy_object(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const object::BucketId id = (*bucket)->id;
  const auto source = co_await open_source(services, request);
  if (!source) co_return std::unexpected(source.error());
  const object::Object& from = source->found.object;
  if (auto fits = check_size(services, from.bytes); !fits) co_return std::unexpected(std::move(fits).error());
  auto put = described(request, *source);
  if (!put) co_return std::unexpected(std::move(put).error());
  UploadSpec spec;
  const auto algorithm = checksum_for(request, from);
  if (!algorithm) co_return std::unexpected(algorithm.error());
  spec.also_compute = *algorithm;
  auto made = co_await copy_bytes(services, source->found, {0, from.bytes}, std::move(spec));
  if (!made) co_return std::unexpected(std::move(made).error());
  put->object.bytes = from.bytes;
  put->object.etag = made->etag;
  put->object.checksum = made->checksum;
  put->object.blob = made->blob;
  put->inline_body = std::move(made->inline_body);
  auto written = co_await write_put(services, id, std::move(*put));
  if (written.outcome) {
    net::Response response =
        copied(services, *source, "CopyObjectResult", made->etag, written.outcome->modified, made->checksum);
    if (written.outcome->numbered) {
      response.headers.add("x-amz-version-id", object::show_version(written.outcome->version));
    }
    co_return response;
  }
  if (made->blob && !written.maybe_written) co_await drop_blob(services, *made->blob);
  co_return std::unexpected(std::move(written.outcome).error());
}

AnswerTask copy_part(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const object::BucketId bucket_id = (*bucket)->id;
  const auto number = wire::parse_part_number(parameter(request, "partNumber"));
  if (!number) co_return std::unexpected(number.error());
  const auto source = co_await open_source(services, request);
  if (!source) co_return std::unexpected(source.error());
  const auto range = part_range(request, source->found.object.bytes);
  if (!range) co_return std::unexpected(range.error());
  if (auto fits = check_size(services, range->bytes); !fits)
    co_return std::unexpected(std::move(fits).error());
  const auto upload = asked_upload(services, request, bucket_id);
  if (!upload) co_return std::unexpected(upload.error());
  UploadSpec spec;
  spec.inline_bytes_max = 0;
  if (const auto algorithm = codec::parse_checksum_algorithm(upload->open->checksum_algorithm)) {
    spec.also_compute = *algorithm;
  }
  const auto made = co_await copy_bytes(services, source->found, *range, std::move(spec));
  if (!made) co_return std::unexpected(made.error());
  const auto put = co_await write_part(services, request, upload->id, *number, range->bytes, *made);
  if (!put) co_return std::unexpected(put.error());
  co_return copied(services, *source, "CopyPartResult", made->etag, *put, made->checksum);
}

}  // namespace hr::s3
