#include "s3/buckets.h"

#include "object/listing.h"
#include "s3/policy.h"
#include "s3/tokens.h"
#include "s3/write.h"
#include "wire/key_rules.h"
#include "wire/s3_documents.h"
#include "wire/s3_headers.h"
#include "wire/s3_requests.h"

#include <fmt/format.h>

#include <utility>

namespace hr::s3 {
namespace {

using object::Fault;
using wire::S3Code;
using wire::S3Result;

constexpr std::size_t kBucketsPageMax = 10'000;
constexpr std::uint64_t kBucketRecordBytes = 4096;
constexpr std::uint64_t kClosedUploadBytes = 1100;  // its key and its number
constexpr std::size_t kUploadsAtOnce = 500;         // closed by one group of the log

std::string location_of(std::string_view asked) { return std::string(asked == "EU" ? "eu-west-1" : asked); }

S3Result<void> check_location(const Services& services, std::string_view asked) {
  if (asked.empty() || location_of(asked) == services.region) return {};
  return wire::s3_fail(
      S3Code::kIllegalLocationConstraint,
      fmt::format("The {} location constraint is incompatible for the region specific endpoint "
                  "this request was sent to.",
                  asked));
}

net::Task<S3Result<bool>> is_empty(const Services& services, object::BucketId id) {
  const storage::Index& index = services.index;
  auto empty = co_await services.runtime.on_pool([&index, id] { return object::bucket_is_empty(index, id); });
  if (!empty) co_return std::unexpected(error_of(empty.error()));
  co_return *empty;
}

S3Result<void> result_of(const std::optional<object::Outcome<void>>& outcome, const Status& status) {
  if (outcome && !*outcome) return std::unexpected(error_of(outcome->error()));
  if (!status) return std::unexpected(error_of(status.error()));
  return {};
}

// Closes uploads until so few are left that they fit the group that deletes the bucket.
net::Task<S3Result<void>> close_uploads(Services& services, const std::string& name, object::BucketId id) {
  const storage::Index& index = services.index;
  while (services.store.objects().uploads(id) > kUploadsAtOnce) {
    const auto page = co_await services.runtime.on_pool(
        [&index, id] { return object::list_uploads(index, {.bucket = id, .max = kUploadsAtOnce}); });
    if (!page) co_return std::unexpected(error_of(page.error()));
    if (page->uploads.empty()) break;
    const commit::Cost cost{.records = page->uploads.size(),
                            .bytes = page->uploads.size() * kClosedUploadBytes,
                            .space = storage::Space::kShrink};
    const auto decide = [&](object::Engine& engine, Time, object::Effects& out) {
      for (const auto& [key, upload] : page->uploads) {
        static_cast<void>(engine.abort_upload(name, key, upload.id, out));  // or it has ended meanwhile
      }
    };
    const Status closed = co_await net::await_call<Status>(
        [&](auto done) { services.store.change_objects(cost, decide, std::move(done)); });
    if (!closed) co_return std::unexpected(error_of(closed.error()));
  }
  co_return S3Result<void>();
}

}  // namespace

Answer list_buckets(Services& services, const Request& request) {
  if (request.identity.account.empty()) return wire::s3_fail(S3Code::kAccessDenied);
  wire::S3BucketList list;
  list.owner = wire::owner_of_account(request.identity.account);
  HR_ASSIGN(const ListPageQuery page, page_query(request.target.query, "max-buckets", kBucketsPageMax));
  if (page.max == 0) return wire::s3_bad_argument("max-buckets", "0", "max-buckets must be 1 to 10000");
  if (const Bytes* prefix = codec::find(request.target.query, "prefix")) list.prefix = *prefix;
  const Bytes* region = codec::find(request.target.query, "bucket-region");
  for (const object::Bucket* bucket : services.store.objects().buckets(request.identity.account)) {
    if (bucket->name <= page.after || !bucket->name.starts_with(list.prefix)) continue;
    if (region && *region != bucket->region) continue;
    if (!wire::may_see(request.identity.rules, wire::Granted::kBucket, bucket->name)) continue;
    if (list.buckets.size() == page.max) {
      list.continuation_token = make_token(list.buckets.back().name);
      break;
    }
    list.buckets.push_back({bucket->name, bucket->created, bucket->region});
  }
  return xml_response(wire::write_buckets(list));
}

AnswerTask create_bucket(Services& services, Request& request) {
  if (request.identity.account.empty()) co_return wire::s3_fail(S3Code::kAccessDenied);
  if (auto name = wire::check_bucket_name(request.target.bucket); !name) {
    co_return std::unexpected(std::move(name).error());
  }
  const auto body = co_await read_small_body(services, request);
  if (!body) co_return std::unexpected(body.error());
  const auto location = wire::parse_create_bucket(*body);
  if (!location) co_return std::unexpected(location.error());
  if (auto here = check_location(services, *location); !here)
    co_return std::unexpected(std::move(here).error());
  std::optional<object::Outcome<void>> outcome;
  const auto decide = [&](object::Engine& engine, Time now, object::Effects& out) {
    outcome =
        engine.create_bucket(request.target.bucket, request.identity.account, services.region, now, out);
    if (!*outcome) return;
    static_cast<void>(
        engine.set(request.target.bucket, object::Setting::kPublicAccessBlock, first_access_block(), out));
    static_cast<void>(engine.set(request.target.bucket, object::Setting::kOwnershipControls,
                                 first_ownership_controls(), out));
  };
  const commit::Cost cost{.records = 4, .bytes = 3 * kBucketRecordBytes, .space = storage::Space::kGrow};
  const Status status = co_await net::await_call<Status>(
      [&](auto done) { services.store.change_objects(cost, decide, std::move(done)); });
  if (auto made = result_of(outcome, status); !made) {
    made.error().fields.emplace_back("BucketName", request.target.bucket);
    co_return std::unexpected(std::move(made).error());
  }
  net::Response response = empty_response(200);
  response.headers.add("Location", "/" + request.target.bucket);
  co_return response;
}

Answer head_bucket(Services& services, const Request& request) {
  HR_ASSIGN(const object::Bucket* bucket, own_bucket(services, request));
  net::Response response = empty_response(200);
  response.headers.add("x-amz-bucket-region", bucket->region);
  response.headers.add("x-amz-access-point-alias", "false");
  return response;
}

AnswerTask delete_bucket(Services& services, Request& request) {
  std::optional<object::Outcome<void>> outcome;
  Status status;
  for (int tries = 0; tries <= services.limits.stale_retries_max; ++tries) {
    const auto bucket = own_bucket(services, request);
    if (!bucket) co_return std::unexpected(bucket.error());
    const object::BucketId id = (*bucket)->id;
    const object::Watch watch = services.store.objects().watch_bucket(id);
    const auto empty = co_await is_empty(services, id);
    if (!empty) co_return std::unexpected(empty.error());
    if (*empty) {
      if (auto closed = co_await close_uploads(services, request.target.bucket, id); !closed) {
        co_return std::unexpected(std::move(closed).error());
      }
    }
    const auto decide = [&](object::Engine& engine, Time, object::Effects& out) {
      const object::Bucket* now = engine.bucket(request.target.bucket);
      outcome = now && now->id == id ? engine.delete_bucket(request.target.bucket, watch, *empty, out)
                                     : object::Outcome<void>(std::unexpected(Fault::kNoSuchBucket));
    };
    // The uploads that still go on there are closed with it.
    const std::size_t uploads = services.store.objects().uploads(id);
    const commit::Cost cost{.records = 1 + uploads,
                            .bytes = kBucketRecordBytes + uploads * kClosedUploadBytes,
                            .space = storage::Space::kShrink};
    status = co_await net::await_call<Status>(
        [&](auto done) { services.store.change_objects(cost, decide, std::move(done)); });
    if (!outcome || *outcome || outcome->error() != Fault::kStale) break;
  }
  if (auto gone = result_of(outcome, status); !gone) {
    gone.error().fields.emplace_back("BucketName", request.target.bucket);
    co_return std::unexpected(std::move(gone).error());
  }
  co_return empty_response(204);
}

Answer get_bucket_location(Services& services, const Request& request) {
  HR_ASSIGN(const object::Bucket* bucket, own_bucket(services, request));
  return xml_response(wire::write_location(bucket->region));
}

Answer get_bucket_acl(Services& services, const Request& request) {
  HR_ASSIGN(const object::Bucket* bucket, own_bucket(services, request));
  return xml_response(wire::write_acl(wire::owner_of_account(bucket->account)));
}

}  // namespace hr::s3
