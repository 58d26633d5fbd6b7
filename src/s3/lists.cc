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

S3Result<Query> parse_query(const Request& request, object::BucketId bucket) {
  Query out;
  HR_ASSIGN(out.page, page_query(request.target.query, "max-keys", kKeysPageMax));
  const std::string encoding = parameter(request, "encoding-type");
  if (!encoding.empty() && encoding != "url") {
    return wire::s3_bad_argument("encoding-type", encoding, "Invalid Encoding Method specified in Request");
  }
  out.url_encoded = encoding == "url";
  out.fetch_owner = parameter(request, "fetch-owner") == "true";
  out.marker = parameter(request, request.op == S3Op::kListObjects ? "marker" : "start-after");
  const bool resumes = request.op == S3Op::kListObjectsV2 && !out.page.token.empty();
  out.list = {.bucket = bucket,
              .prefix = parameter(request, "prefix"),
              .delimiter = parameter(request, "delimiter"),
              .after = resumes ? out.page.after : out.marker,
              .max = out.page.max};
  return out;
}

wire::S3Listing listing_of(const Request& request, const Query& query, object::ListPage page) {
  wire::S3Listing out{.bucket = request.target.bucket,
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
                           .checksum_algorithm = object.checksum ? object.checksum->algorithm : std::string(),
                           .checksum_composite = object.checksum && object.checksum->composite()});
  }
  return out;
}

Bytes document(const Request& request, const Query& query, object::ListPage page,
               const wire::S3Owner& owner) {
  const std::string next = page.next_after;
  const wire::S3Listing listing = listing_of(request, query, std::move(page));
  if (request.op == S3Op::kListObjects) {
    return wire::write_list_v1(listing, {.marker = query.marker, .next_marker = next, .owner = owner});
  }
  return wire::write_list_v2(listing, {.start_after = query.marker,
                                       .token = query.page.token,
                                       .next_token = make_token(next),
                                       .owner = query.fetch_owner ? std::optional(owner) : std::nullopt});
}

}  // namespace

AnswerTask list_objects(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const wire::S3Owner owner = wire::owner_of_account((*bucket)->account);
  const auto query = parse_query(request, (*bucket)->id);
  if (!query) co_return std::unexpected(query.error());
  const storage::Index& index = services.index;
  auto page = co_await services.runtime.on_pool(
      [&index, list = query->list] { return object::list_objects(index, list); });
  if (!page) {
    services.diary.error("s3.list_failed", {{"reason", page.error().message}});
    co_return std::unexpected(error_of(page.error()));
  }
  co_return xml_response(document(request, *query, std::move(*page), owner));
}

}  // namespace hr::s3
