#include "s3/tagging.h"

#include "s3/read.h"
#include "s3/versions.h"
#include "s3/write.h"
#include "wire/s3_tagging.h"

#include <utility>

namespace hr::s3 {
namespace {

using object::Fault;
using wire::S3Result;
using Outcome = object::Outcome<object::WriteDone>;

constexpr std::uint64_t kObjectBytes = 16U << 10;  // more than headers, metadata and ten tags

object::SetTags tags_of(const Request& request, wire::S3Tags tags, std::optional<object::VersionName> version,
                        std::string event_name) {
  return {.bucket = request.target.bucket,
          .key = request.target.key,
          .tags = std::move(tags),
          .version = version,
          .event_name = std::move(event_name),
          .principal = request.identity.access_key,
          .source_ip = request.head.peer.address,
          .request_id = request.head.request_id};
}

// What is not applied yet is waited for: a change that is told to read again is answered after it.
AnswerTask write_tags(Services& services, object::BucketId bucket, object::SetTags set, int status) {
  std::optional<Outcome> outcome;
  for (int tries = 0; tries <= services.limits.stale_retries_max; ++tries) {
    const object::Watch watch = watch_version(services, bucket, set.key, set.version);
    const auto known = co_await read_version(services, bucket, set.key, set.version);
    if (!known) co_return std::unexpected(known.error());
    if (*known && (*known)->delete_marker) co_return std::unexpected(is_delete_marker(**known));
    if (!*known && set.version) co_return std::unexpected(no_such_version(set.key, *set.version));
    const commit::Cost cost{.records = 2,
                            .bytes = kObjectBytes,
                            .space = storage::Space::kGrow,
                            .events = events_per_change(services, set.bucket)};
    const auto decide = [&](object::Engine& engine, Time now, object::Effects& out) {
      outcome = same_bucket(engine, set.bucket, bucket) ? engine.set_tags(set, watch, *known, now, out)
                                                        : Outcome(std::unexpected(Fault::kNoSuchBucket));
    };
    const Status written = co_await net::await_call<Status>(
        [&](auto done) { services.store.change_objects(cost, decide, std::move(done)); });
    if (!written) co_return std::unexpected(error_of(written.error()));
    if (*outcome) {
      net::Response response = empty_response(status);
      add_version(response, services.store.objects().bucket(set.bucket), **known);
      co_return response;
    }
    if (outcome->error() != Fault::kStale) break;
  }
  if (outcome->error() == Fault::kNoSuchKey) {
    co_return std::unexpected(co_await no_such_key(services, bucket, set.key));
  }
  co_return std::unexpected(error_of(outcome->error()));
}

}  // namespace

AnswerTask get_object_tagging(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const auto version = asked_version(request);
  if (!version) co_return std::unexpected(version.error());
  const auto found = co_await find_object(services, (*bucket)->id, request.target.key, Want::kHead, *version);
  if (!found) co_return std::unexpected(found.error());
  net::Response response = xml_response(wire::write_tagging(found->object.tags));
  add_version(response, services.store.objects().bucket(request.target.bucket), found->object);
  co_return response;
}

AnswerTask put_object_tagging(Services& services, Request& request) {
  const auto body = co_await read_checked_body(services, request);
  if (!body) co_return std::unexpected(body.error());
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const auto version = asked_version(request);
  if (!version) co_return std::unexpected(version.error());
  auto tags = wire::parse_tagging(*body, wire::kS3ObjectTagsMax);
  if (!tags) co_return std::unexpected(std::move(tags).error());
  co_return co_await write_tags(services, (*bucket)->id,
                                tags_of(request, std::move(*tags), *version, "ObjectTagging:Put"), 200);
}

AnswerTask delete_object_tagging(Services& services, Request& request) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const auto version = asked_version(request);
  if (!version) co_return std::unexpected(version.error());
  co_return co_await write_tags(services, (*bucket)->id,
                                tags_of(request, {}, *version, "ObjectTagging:Delete"), 204);
}

}  // namespace hr::s3
