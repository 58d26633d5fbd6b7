#include "s3/settings.h"

#include "s3/write.h"
#include "wire/s3_cors.h"
#include "wire/s3_tagging.h"

#include <utility>

namespace hr::s3 {
namespace {

using object::Setting;
using wire::S3Code;

}  // namespace

AnswerTask write_setting(Services& services, const Request& request, object::BucketId bucket, Setting setting,
                         std::optional<std::string> text, int status) {
  std::optional<object::Outcome<void>> outcome;
  const auto decide = [&](object::Engine& engine, Time, object::Effects& out) {
    outcome = same_bucket(engine, request.target.bucket, bucket)
                  ? engine.set(request.target.bucket, setting, std::move(text), out)
                  : object::Outcome<void>(std::unexpected(object::Fault::kNoSuchBucket));
  };
  const object::Bucket* now = services.store.objects().bucket(request.target.bucket);
  const commit::Cost cost{.records = 1,
                          .bytes = (now ? bucket_cost(*now) : 0) + text.value_or("").size(),
                          .space = text ? storage::Space::kGrow : storage::Space::kShrink};
  const Status written = co_await net::await_call<Status>(
      [&](auto done) { services.store.change_objects(cost, decide, std::move(done)); });
  if (outcome && !*outcome) co_return std::unexpected(error_of(outcome->error()));
  if (!written) co_return std::unexpected(error_of(written.error()));
  co_return empty_response(status);
}

Answer get_setting(Services& services, const Request& request, Setting setting, S3Code none) {
  HR_ASSIGN(const object::Bucket* bucket, own_bucket(services, request));
  const auto found = bucket->settings.find(setting);
  if (found == bucket->settings.end()) return wire::s3_fail(none, {}, {{"BucketName", bucket->name}});
  return xml_response(found->second);
}

AnswerTask delete_setting(Services& services, Request& request, Setting setting) {
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  co_return co_await write_setting(services, request, (*bucket)->id, setting, std::nullopt, 204);
}

AnswerTask get_bucket_tagging(Services& services, Request& request) {
  co_return get_setting(services, request, Setting::kTagging, S3Code::kNoSuchTagSet);
}

AnswerTask put_bucket_tagging(Services& services, Request& request) {
  const auto body = co_await read_checked_body(services, request);
  if (!body) co_return std::unexpected(body.error());
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const auto tags = wire::parse_tagging(*body, wire::kS3BucketTagsMax);
  if (!tags) co_return std::unexpected(tags.error());
  co_return co_await write_setting(services, request, (*bucket)->id, Setting::kTagging,
                                   wire::write_tagging(*tags), 204);
}

AnswerTask get_bucket_cors(Services& services, Request& request) {
  co_return get_setting(services, request, Setting::kCors, S3Code::kNoSuchCors);
}

AnswerTask put_bucket_cors(Services& services, Request& request) {
  const auto body = co_await read_checked_body(services, request);
  if (!body) co_return std::unexpected(body.error());
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  const auto rules = wire::parse_cors(*body);
  if (!rules) co_return std::unexpected(rules.error());
  co_return co_await write_setting(services, request, (*bucket)->id, Setting::kCors, wire::write_cors(*rules),
                                   200);
}

}  // namespace hr::s3
