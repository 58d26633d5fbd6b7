#include "s3/versions.h"

#include "codec/time_text.h"
#include "object/coding.h"
#include "object/notification.h"
#include "s3/write.h"
#include "wire/s3_documents.h"
#include "wire/s3_requests.h"

#include <utility>

namespace hr::s3 {
namespace {

using object::VersionName;
using storage::Table;
using wire::S3Code;
using wire::S3Result;

constexpr int kReadTriesMax = 16;  // of a version that moves between its two places
constexpr std::string_view kNull = "null";

using MaybeRow = std::optional<VersionRow>;

net::Task<S3Result<MaybeRow>> row_at(const Services& services, Table table, Bytes key) {
  auto value = co_await read_index(services, table, key);
  if (!value) co_return std::unexpected(std::move(value).error());
  if (!*value) co_return std::nullopt;
  auto object = object::decode_object(**value);
  if (!object) {
    services.diary.error("s3.object_corrupt", {{"reason", object.error().message}});
    co_return std::unexpected(error_of(object.error()));
  }
  co_return VersionRow{table, std::move(key), **std::move(value), *std::move(object)};
}

net::Task<S3Result<MaybeRow>> read_archived(const Services& services, object::BucketId bucket,
                                            const std::string& key, const VersionName& version) {
  std::uint64_t number = version.version;
  if (version.null) {
    const auto null = co_await read_index(services, Table::kNulls, object::object_key(bucket, key));
    if (!null) co_return std::unexpected(null.error());
    if (!*null) co_return std::nullopt;
    const auto decoded = object::decode_null(**null);
    if (!decoded) co_return std::unexpected(error_of(decoded.error()));
    number = *decoded;
  }
  co_return co_await row_at(services, Table::kVersions, object::version_key(bucket, key, number));
}

bool is_named(const object::Object& object, const VersionName& version) {
  if (version.null) return !object.numbered;
  return object.numbered && object.version == version.version;
}

}  // namespace

std::string version_id(const object::Object& object) {
  return object.numbered ? object::show_version(object.version) : std::string(kNull);
}

S3Result<VersionName> parse_version_name(std::string_view argument, const std::string& text) {
  if (text == kNull) return VersionName{.null = true};
  if (const auto version = object::parse_version(text))
    return VersionName{.null = false, .version = *version};
  return wire::s3_bad_argument(
      argument, text,
      text.empty() ? "Version id cannot be the empty string" : "Invalid version id specified");
}

S3Result<std::optional<VersionName>> asked_version(const Request& request) {
  const Bytes* text = codec::find(request.target.query, "versionId");
  if (!text) return std::nullopt;
  HR_ASSIGN(const VersionName version, parse_version_name("versionId", *text));
  return version;
}

object::Watch watch_version(Services& services, object::BucketId bucket, const std::string& key,
                            const std::optional<VersionName>& version) {
  object::Engine& engine = services.store.objects();
  return version && !version->null ? engine.watch_version(bucket, key, version->version)
                                   : engine.watch_key(bucket, key);
}

// A version is in one of two places at any moment, and moves between them only with the current object.
net::Task<S3Result<MaybeRow>> read_row(const Services& services, object::BucketId bucket,
                                       const std::string& key, const std::optional<VersionName>& version) {
  const Bytes index_key = object::object_key(bucket, key);
  for (int tries = 0; tries < kReadTriesMax; ++tries) {
    auto current = co_await row_at(services, Table::kObjects, index_key);
    if (!current || !version || (*current && is_named((*current)->object, *version))) co_return current;
    auto archived = co_await read_archived(services, bucket, key, *version);
    if (!archived || (*archived && is_named((*archived)->object, *version))) co_return archived;
    const auto after = co_await read_index(services, Table::kObjects, index_key);
    if (!after) co_return std::unexpected(after.error());
    if (after->has_value() == current->has_value() && (!*after || **after == (*current)->value)) {
      co_return std::nullopt;
    }
  }
  co_return wire::s3_fail(S3Code::kSlowDown);
}

net::Task<S3Result<std::optional<object::Object>>> read_version(const Services& services,
                                                                object::BucketId bucket,
                                                                const std::string& key,
                                                                const std::optional<VersionName>& version) {
  auto row = co_await read_row(services, bucket, key, version);
  if (!row) co_return std::unexpected(std::move(row).error());
  if (!*row) co_return std::nullopt;
  co_return (*row)->object;
}

void add_version(net::Response& response, const object::Bucket* bucket, const object::Object& object) {
  const bool versioned = bucket && bucket->versioning != object::Versioning::kNever;
  if (versioned || object.numbered) response.headers.add("x-amz-version-id", version_id(object));
}

net::Task<wire::S3Error> no_such_key(const Services& services, object::BucketId bucket,
                                     const std::string& key) {
  wire::S3Error error{S3Code::kNoSuchKey, {}, {{"Key", key}}};
  const storage::Index& index = services.index;
  const Bytes prefix = object::versions_prefix(bucket, key);
  const auto newest = co_await services.runtime.on_pool([&index, prefix]() -> Result<std::optional<Bytes>> {
    const auto cursor = index.cursor(Table::kVersions);
    HR_TRY(cursor->seek(prefix));
    if (!cursor->valid() || !cursor->key().starts_with(prefix)) return std::nullopt;
    return Bytes(cursor->value());
  });
  if (!newest || !*newest) co_return error;
  const auto marker = object::decode_object(**newest);
  if (!marker || !marker->delete_marker) co_return error;
  error.headers = {{"x-amz-delete-marker", "true"}, {"x-amz-version-id", version_id(*marker)}};
  co_return error;
}

wire::S3Error is_delete_marker(const object::Object& marker) {
  wire::S3Error error{S3Code::kMethodNotAllowed, {}, {{"Method", "GET"}, {"ResourceType", "DeleteMarker"}}};
  error.headers = {{"x-amz-delete-marker", "true"},
                   {"x-amz-version-id", version_id(marker)},
                   {"Allow", "DELETE"},
                   {"Last-Modified", codec::http_date(marker.modified)}};
  return error;
}

wire::S3Error no_such_version(const std::string& key, const VersionName& version) {
  const std::string id = version.null ? std::string(kNull) : object::show_version(version.version);
  return {S3Code::kNoSuchVersion, {}, {{"Key", key}, {"VersionId", id}}};
}

Answer get_bucket_versioning(Services& services, const Request& request) {
  HR_ASSIGN(const object::Bucket* bucket, own_bucket(services, request));
  switch (bucket->versioning) {
    case object::Versioning::kEnabled:
      return xml_response(wire::write_versioning("Enabled"));
    case object::Versioning::kSuspended:
      return xml_response(wire::write_versioning("Suspended"));
    case object::Versioning::kNever:
      break;
  }
  return xml_response(wire::write_versioning({}));
}

AnswerTask put_bucket_versioning(Services& services, Request& request) {
  const auto body = co_await read_checked_body(services, request);
  if (!body) co_return std::unexpected(body.error());
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const auto on = wire::parse_versioning(*body);
  if (!on) co_return std::unexpected(on.error());
  const auto versioning = *on ? object::Versioning::kEnabled : object::Versioning::kSuspended;
  const std::string& name = request.target.bucket;
  const commit::Cost cost{.records = 1, .bytes = bucket_cost(**bucket), .space = storage::Space::kGrow};
  co_return co_await change_bucket(
      services, name, (*bucket)->id, cost,
      [&](object::Engine& engine, Time, object::Effects& out) {
        return engine.set_versioning(name, versioning, out);
      },
      200);
}

}  // namespace hr::s3
