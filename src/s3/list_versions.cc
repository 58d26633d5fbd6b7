// ListObjectVersions: every version and delete marker; of a bucket that never had any, each object as "null".
#include "object/listing.h"
#include "s3/tokens.h"
#include "s3/upload_parameters.h"
#include "s3/versions.h"
#include "wire/s3_documents.h"

#include <utility>

namespace hr::s3 {
namespace {

using wire::S3Result;

constexpr std::size_t kVersionsPageMax = 1000;

S3Result<object::ListVersionsRequest> parse_query(const Request& request, object::BucketId bucket) {
  HR_ASSIGN(const ListPageQuery page, page_query(request.target.query, "max-keys", kVersionsPageMax));
  const std::string encoding = parameter(request, "encoding-type");
  if (!encoding.empty() && encoding != "url") {
    return wire::s3_bad_argument("encoding-type", encoding, "Invalid Encoding Method specified in Request");
  }
  return object::ListVersionsRequest{.bucket = bucket,
                                     .prefix = parameter(request, "prefix"),
                                     .delimiter = parameter(request, "delimiter"),
                                     .after = parameter(request, "key-marker"),
                                     .after_version = {},
                                     .after_modified = {},
                                     .max = page.max};
}

// The place that version-id-marker names. One that is gone by now is where it was; "null" without such a
// version is behind all of the key.
net::Task<S3Result<std::optional<std::uint64_t>>> marker_of(const Services& services, const Request& request,
                                                            const object::ListVersionsRequest& query) {
  const std::string text = parameter(request, "version-id-marker");
  if (!codec::find(request.target.query, "version-id-marker")) co_return std::nullopt;
  if (query.after.empty() && !text.empty()) {
    co_return wire::s3_bad_argument("version-id-marker", text,
                                    "A version-id marker cannot be specified without a key marker.");
  }
  if (text.empty()) co_return std::nullopt;
  const auto name = parse_version_name("version-id-marker", text);
  if (!name) co_return std::unexpected(name.error());
  if (!name->null) co_return name->version;
  const auto null = co_await read_version(services, query.bucket, query.after, *name);
  if (!null) co_return std::unexpected(null.error());
  if (!*null) co_return std::nullopt;
  co_return (*null)->version;
}

wire::S3Listing listing_of(const Request& request, const object::ListVersionsRequest& query,
                           const object::VersionPage& page) {
  wire::S3Listing out{.bucket = request.target.bucket,
                      .prefix = query.prefix,
                      .delimiter = query.delimiter,
                      .max_keys = query.max,
                      .truncated = page.truncated,
                      .url_encoded = parameter(request, "encoding-type") == "url",
                      .entries = {},
                      .common_prefixes = page.common_prefixes};
  for (const auto& [key, object, latest, superseded] : page.versions) {
    out.entries.push_back({.key = key,
                           .modified = object.modified,
                           .etag = object.etag,
                           .bytes = object.bytes,
                           .checksum_algorithm = object.checksum ? object.checksum->algorithm : std::string(),
                           .checksum_composite = object.checksum && object.checksum->composite()});
  }
  return out;
}

Bytes document(const Request& request, const object::ListVersionsRequest& query,
               const object::VersionPage& page, wire::S3Owner owner) {
  wire::S3ListVersions extra{.key_marker = query.after,
                             .version_id_marker = parameter(request, "version-id-marker"),
                             .next_key_marker = page.next_after,
                             .next_version_id_marker = {},
                             .owner = std::move(owner),
                             .versions = {}};
  for (const auto& [key, object, latest, superseded] : page.versions) {
    extra.versions.push_back(
        {.version_id = version_id(object), .latest = latest, .delete_marker = object.delete_marker});
  }
  if (page.truncated && page.next_after_version)
    extra.next_version_id_marker = extra.versions.back().version_id;
  return wire::write_list_versions(listing_of(request, query, page), extra);
}

}  // namespace

AnswerTask list_object_versions(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const wire::S3Owner owner = wire::owner_of_account((*bucket)->account);
  auto query = parse_query(request, (*bucket)->id);
  if (!query) co_return std::unexpected(std::move(query).error());
  const auto marker = co_await marker_of(services, request, *query);
  if (!marker) co_return std::unexpected(marker.error());
  query->after_version = *marker;
  const storage::Index& index = services.index;
  const auto page = co_await services.runtime.on_pool(
      [&index, list = *query] { return object::list_versions(index, list); });
  if (!page) {
    services.diary.error("s3.list_failed", {{"reason", page.error().message}});
    co_return std::unexpected(error_of(page.error()));
  }
  co_return xml_response(document(request, *query, *page, owner));
}

}  // namespace hr::s3
