#include "s3/read.h"

#include "codec/time_text.h"
#include "object/coding.h"
#include "object/notification.h"
#include "s3/lifecycle.h"
#include "s3/parts_file.h"
#include "s3/versions.h"
#include "wire/s3_documents.h"
#include "wire/s3_headers.h"
#include "wire/s3_multipart.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hr::s3 {
namespace {

using object::Object;
using wire::S3Code;
using wire::S3Op;
using wire::S3Result;

constexpr int kReadTriesMax = 16;  // an object that is overwritten again and again while it is read

std::unexpected<wire::S3Error> damaged_answer() {
  return wire::s3_fail(S3Code::kInternalError,
                       "The object is damaged: its bytes on the disk are not those that were stored. "
                       "`headrace store scrub` on the store's host tells more.");
}

std::unexpected<wire::S3Error> is_damaged(const Services& services, const VersionRow& row,
                                          const object::Object& object, std::string why) {
  services.diary.error("s3.body_damaged", {{"reason", why}});
  const auto place = object::decode_version_key(
      row.table == storage::Table::kVersions ? row.key : object::version_key_of(row.key, 0));
  if (services.damaged && place && object.blob) {
    object::Damage found{.bucket = {}, .key = place->key, .files = {*object.blob}};
    if (const object::Bucket* bucket = services.store.objects().bucket(place->bucket))
      found.bucket = bucket->name;
    if (object.numbered) found.version = object::show_version(object.version);
    found.reason = std::move(why);
    services.damaged(std::move(found));
  }
  return damaged_answer();
}

bool is_known_damage(const Services& services, const Found& found, const Bytes& body_key) {
  const object::DamageList* known = services.damage;
  if (!known || known->empty()) return false;
  if (found.object.blob) return known->has(*found.object.blob);
  if (!found.manifest) return known->has_body(body_key);
  return std::ranges::any_of(
      *found.manifest, [&](const object::Piece& piece) { return piece.blob && known->has(*piece.blob); });
}

// Brings the body that belongs to the row. False: it has changed since.
net::Task<S3Result<bool>> read_body(const Services& services, const VersionRow& row, const Bytes& body_key,
                                    Found& found) {
  if (found.object.blob) {
    const storage::BlobStore& blobs = services.blobs;
    auto file =
        co_await services.runtime.on_pool([&blobs, name = *found.object.blob] { return blobs.open(name); });
    if (!file && file.error().code == Errc::kNotFound) {
      // A file goes after its row does: if the row is the same, the file was lost.
      auto still = co_await read_index(services, row.table, row.key);
      if (!still) co_return std::unexpected(std::move(still).error());
      if (*still != row.value) co_return false;
      co_return is_damaged(services, row, found.object, found.object.blob->path() + " is missing");
    }
    if (!file) co_return std::unexpected(error_of(file.error()));
    found.file = std::move(*file);
    const auto size = found.file->size("s3.size");
    if (size && *size == found.object.bytes) co_return true;
    co_return is_damaged(services, row, found.object,
                         size ? fmt::format("{} is {} bytes long instead of {}", found.object.blob->path(),
                                            *size, found.object.bytes)
                              : size.error().message);
  }
  auto body = co_await read_index(services, storage::Table::kBodies, body_key);
  if (!body) co_return std::unexpected(std::move(body).error());
  // Both tables change in one batch: an entry that reads the same before and after had this body.
  auto after = co_await read_index(services, row.table, row.key);
  if (!after) co_return std::unexpected(std::move(after).error());
  if (*after != row.value) co_return false;
  if (!*body) {
    if (found.object.bytes != 0) co_return wire::s3_fail(S3Code::kInternalError);
    co_return true;
  }
  found.inline_body = std::move(**body);
  co_return true;
}

// The same for one that was uploaded in parts. Their blobs are pinned before the entry is read again: if it
// is still the same, none of them was removed before.
net::Task<S3Result<bool>> read_manifest(const Services& services, const VersionRow& row,
                                        const Bytes& body_key, Found& found) {
  const auto body = co_await read_index(services, storage::Table::kBodies, body_key);
  if (!body) co_return std::unexpected(body.error());
  auto manifest = object::decode_manifest(body->value_or(Bytes()));
  if (manifest) found.file = open_parts(services.blobs, *manifest);
  const auto after = co_await read_index(services, row.table, row.key);
  if (!after) co_return std::unexpected(after.error());
  if (*after != row.value) co_return false;
  if (manifest && manifest->size() != found.object.parts) {
    manifest = fail(Errc::kCorrupt, "a manifest of the index has another number of parts than its object");
  }
  if (!manifest) {
    services.diary.error("s3.manifest_corrupt", {{"reason", manifest.error().message}});
    co_return wire::s3_fail(S3Code::kInternalError);
  }
  found.manifest = std::move(*manifest);
  co_return true;
}

net::Task<S3Result<VersionRow>> find_row(const Services& services, object::BucketId bucket,
                                         const std::string& key,
                                         const std::optional<object::VersionName>& version) {
  auto row = co_await read_row(services, bucket, key, version);
  if (!row) co_return std::unexpected(std::move(row).error());
  if (!*row && version) co_return std::unexpected(no_such_version(key, *version));
  if (!*row) co_return std::unexpected(co_await no_such_key(services, bucket, key));
  if ((*row)->object.delete_marker) co_return std::unexpected(is_delete_marker((*row)->object));
  co_return **std::move(row);
}

S3Result<codec::Pairs> check_read(const Request& request) {
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
  if (!object.tags.empty()) response.headers.add("x-amz-tagging-count", std::to_string(object.tags.size()));
  for (const auto& [name, value] : overrides) response.headers.set(name, value);
}

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

// What of the object is asked for, and how the answer says so.
struct Excerpt {
  wire::ByteRange bytes;
  bool partial = false;
  std::optional<object::Checksum> checksum;
};

// Part N is the Nth of those that the object was completed from. One that was put at once is its own part 1.
S3Result<Excerpt> part_of(const Found& found, std::uint32_t number) {
  const std::uint32_t parts = std::max<std::uint32_t>(found.object.parts, 1);
  if (number > parts) {
    return wire::s3_fail(
        S3Code::kInvalidPartNumber, {},
        {{"ActualPartCount", std::to_string(parts)}, {"PartNumberRequested", std::to_string(number)}});
  }
  Excerpt out{.bytes = {0, found.object.bytes}, .partial = true, .checksum = found.object.checksum};
  if (found.manifest) {
    for (std::uint32_t i = 0; i + 1 < number; ++i) out.bytes.first += (*found.manifest)[i].bytes;
    const object::Piece& piece = (*found.manifest)[number - 1];
    out.bytes.bytes = piece.bytes;
    if (out.checksum) out.checksum->value = piece.checksum;
    if (piece.checksum.empty()) out.checksum.reset();
  }
  out.partial = out.bytes.bytes > 0;
  return out;
}

S3Result<std::optional<std::uint32_t>> asked_part(const Request& request) {
  const Bytes* text = codec::find(request.target.query, "partNumber");
  if (!text) return std::nullopt;
  if (wire::header(request.headers, "range")) {
    return wire::s3_fail(S3Code::kInvalidRequest,
                         "Cannot specify both Range header and partNumber query parameter");
  }
  HR_ASSIGN(const std::uint32_t number, wire::parse_part_number(*text));
  return number;
}

S3Result<Excerpt> excerpt_of(const Request& request, const Found& found) {
  const Object& object = found.object;
  HR_ASSIGN(const auto part, asked_part(request));
  if (part) return part_of(found, *part);
  std::optional<wire::ByteRange> range;
  if (wire::range_applies(request.headers, object.etag, object.modified)) {
    HR_ASSIGN(range, wire::parse_range(wire::header(request.headers, "range"), object.bytes));
  }
  Excerpt out{.bytes = {0, object.bytes}, .partial = range.has_value(), .checksum = {}};
  if (range) out.bytes = *range;
  if (!range) out.checksum = object.checksum;  // of a part a client would compare it in vain
  return out;
}

Answer answer_read(Services& services, const Request& request, Found found, const codec::Pairs& overrides,
                   Want want) {
  const Object& object = found.object;
  HR_ASSIGN(const auto verdict, wire::judge_read(request.headers, object.etag, object.modified));
  if (verdict == wire::ReadVerdict::kNotModified) return not_modified(object);
  HR_ASSIGN(const Excerpt sent, excerpt_of(request, found));
  net::Response response = empty_response(sent.partial ? 206 : 200);
  add_object_headers(response, object, overrides);
  if (wants_checksum(request)) add_checksum(response, sent.checksum);
  if (object.parts > 0 && codec::find(request.target.query, "partNumber")) {
    response.headers.add("x-amz-mp-parts-count", std::to_string(object.parts));
  }
  if (sent.partial) {
    response.headers.add("Content-Range", fmt::format("bytes {}-{}/{}", sent.bytes.first,
                                                      sent.bytes.first + sent.bytes.bytes - 1, object.bytes));
  }
  if (want == Want::kBody) services.bytes_out += sent.bytes.bytes;
  fill_body(response, std::move(found), sent.bytes, want);
  return response;
}

}  // namespace

std::string quoted(std::string_view etag) { return std::string("\"").append(etag).append("\""); }

void add_checksum(net::Response& response, const std::optional<object::Checksum>& checksum) {
  if (!checksum) return;
  const auto algorithm = codec::parse_checksum_algorithm(checksum->algorithm);
  if (!algorithm) return;
  response.headers.add(std::string(codec::checksum_header(*algorithm)), checksum->value);
  response.headers.add("x-amz-checksum-type", checksum->composite() ? "COMPOSITE" : "FULL_OBJECT");
}

net::Task<S3Result<Found>> find_object(const Services& services, object::BucketId bucket,
                                       const std::string& key, Want want,
                                       std::optional<object::VersionName> version) {
  for (int tries = 0; tries < kReadTriesMax; ++tries) {
    auto row = co_await find_row(services, bucket, key, version);
    if (!row) co_return std::unexpected(std::move(row).error());
    Found found{.object = row->object, .inline_body = {}, .file = {}, .manifest = {}};
    if (want == Want::kHead) co_return found;
    const Bytes body = object::body_key(bucket, key, found.object.version);
    auto whole = found.object.parts > 0 ? co_await read_manifest(services, *row, body, found)
                                        : co_await read_body(services, *row, body, found);
    if (!whole) co_return std::unexpected(std::move(whole).error());
    if (*whole && is_known_damage(services, found, body)) co_return damaged_answer();
    if (*whole) co_return found;
  }
  services.diary.warning("s3.object_unreadable", {{"tries", kReadTriesMax}});
  co_return wire::s3_fail(S3Code::kSlowDown);
}

AnswerTask get_object(Services& services, Request& request) {
  const Want want = request.op == S3Op::kHeadObject ? Want::kHead : Want::kBody;
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const object::BucketId id = (*bucket)->id;
  const auto version = asked_version(request);
  if (!version) co_return std::unexpected(version.error());
  const auto overrides = check_read(request);
  if (!overrides) co_return std::unexpected(overrides.error());
  // Where a part begins, its object's manifest says.
  const bool by_part = codec::find(request.target.query, "partNumber") != nullptr;
  auto found = co_await find_object(services, id, request.target.key, by_part ? Want::kBody : want, *version);
  if (!found) co_return std::unexpected(std::move(found).error());
  const object::Object object = found->object;
  auto answer = answer_read(services, request, std::move(*found), *overrides, want);
  if (answer) {
    const object::Bucket* now = services.store.objects().bucket(request.target.bucket);
    add_version(*answer, now, object);
    if (!*version) add_expiration(services, *answer, now, request.target.key, object);
  }
  co_return answer;
}

AnswerTask get_object_acl(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const std::string account = (*bucket)->account;
  const auto version = asked_version(request);
  if (!version) co_return std::unexpected(version.error());
  auto found = co_await find_object(services, (*bucket)->id, request.target.key, Want::kHead, *version);
  if (!found) co_return std::unexpected(std::move(found).error());
  co_return xml_response(wire::write_acl(wire::owner_of_account(account)));
}

}  // namespace hr::s3
