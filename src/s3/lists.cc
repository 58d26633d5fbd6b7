// The two listings of a bucket's keys: one query, one page, two documents.
#include "object/listing.h"
#include "s3/buckets.h"
#include "s3/tokens.h"
#include "wire/s3_documents.h"

#include <algorithm>
#include <utility>

namespace hr::s3 {
namespace {

using wire::S3Op;
using wire::S3Result;

constexpr std::size_t kKeysPageMax = 1000;

struct Query {
  std::string bucket;
  bool first_version = false;  // ListObjects, else ListObjectsV2
  wire::S3Owner owner;
  object::ListRequest list;
  ListPageQuery page;
  std::string marker;  // as the client named its start: marker or start-after
  bool url_encoded = false;
  bool fetch_owner = false;
};

std::string parameter(const Request& request, std::string_view name) {
  const Bytes* value = codec::find(request.target.query, name);
  return value ? *value : std::string();
}

S3Result<Query> parse_query(const Request& request, const object::Bucket& bucket) {
  Query out;
  out.bucket = bucket.name;
  out.first_version = request.op == S3Op::kListObjects;
  out.owner = wire::owner_of_account(bucket.account);
  HR_ASSIGN(out.page, page_query(request.target.query, "max-keys", kKeysPageMax));
  const std::string encoding = parameter(request, "encoding-type");
  if (!encoding.empty() && encoding != "url") {
    return wire::s3_bad_argument("encoding-type", encoding, "Invalid Encoding Method specified in Request");
  }
  out.url_encoded = encoding == "url";
  out.fetch_owner = parameter(request, "fetch-owner") == "true";
  out.marker = parameter(request, out.first_version ? "marker" : "start-after");
  const bool resumes = !out.first_version && !out.page.token.empty();
  out.list = {.bucket = bucket.id,
              .prefix = parameter(request, "prefix"),
              .delimiter = parameter(request, "delimiter"),
              .after = resumes ? out.page.after : out.marker,
              .max = out.page.max};
  return out;
}

wire::S3Listing listing_of(const Query& query, object::ListPage page) {
  wire::S3Listing out{.bucket = query.bucket,
                      .prefix = query.list.prefix,
                      .delimiter = query.list.delimiter,
                      .max_keys = query.page.max,
                      .truncated = page.truncated,
                      .url_encoded = query.url_encoded,
                      .entries = {},
                      .common_prefixes = std::move(page.common_prefixes)};
  out.entries.reserve(page.objects.size());
  for (auto& [key, object] : page.objects) {
    out.entries.push_back({.key = std::move(key),
                           .modified = object.modified,
                           .etag = std::move(object.etag),
                           .bytes = object.bytes,
                           .checksum_algorithm = std::move(object.checksum_algorithm),
                           .checksum_composite = object.checksum_composite});
  }
  return out;
}

Bytes document(const Query& query, object::ListPage page) {
  const std::string next = page.next_after;
  const wire::S3Listing listing = listing_of(query, std::move(page));
  if (query.first_version) {
    return wire::write_list_v1(listing, {.marker = query.marker, .next_marker = next, .owner = query.owner});
  }
  return wire::write_list_v2(listing,
                             {.start_after = query.marker,
                              .token = query.page.token,
                              .next_token = make_token(next),
                              .owner = query.fetch_owner ? std::optional(query.owner) : std::nullopt});
}

// A page's document is a quarter of a megabyte: written where it is read, not on the reactor.
Result<Bytes> read_document(const storage::Index& index, const Query& query) {
  HR_ASSIGN(object::ListPage page, object::list_objects(index, query.list));
  return document(query, std::move(page));
}

}  // namespace

AnswerTask list_objects(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  auto query = parse_query(request, **bucket);
  if (!query) co_return std::unexpected(std::move(query).error());
  const storage::Index& index = services.index;
  auto written = co_await services.runtime.on_pool(
      [&index, asked = std::move(*query)] { return read_document(index, asked); });
  if (!written) {
    services.diary.error("s3.list_failed", {{"reason", written.error().message}});
    co_return std::unexpected(error_of(written.error()));
  }
  co_return xml_response(std::move(*written));
}

}  // namespace hr::s3
