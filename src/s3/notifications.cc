// The notification configuration of a bucket: to SQS queues of the same store.
#include "object/notification.h"
#include "s3/buckets.h"
#include "s3/write.h"
#include "wire/key_rules.h"
#include "wire/s3_documents.h"
#include "wire/s3_headers.h"
#include "wire/s3_requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace hr::s3 {
namespace {

using wire::S3Code;
using wire::S3Result;

constexpr std::string_view kUnable = "Unable to validate the following destination configurations";
constexpr std::uint64_t kBucketRecordBytes = 4096;  // without its rules

struct Arn {
  std::string_view region, account, name;
};

std::optional<Arn> parse_arn(std::string_view arn) {
  constexpr std::string_view kPrefix = "arn:aws:sqs:";
  if (!arn.starts_with(kPrefix) || std::ranges::count(arn, ':') != 5) return std::nullopt;
  const auto region_end = arn.find(':', kPrefix.size());
  const auto account_end = arn.find(':', region_end + 1);
  Arn out{.region = arn.substr(kPrefix.size(), region_end - kPrefix.size()),
          .account = arn.substr(region_end + 1, account_end - region_end - 1),
          .name = arn.substr(account_end + 1)};
  if (out.region.empty() || !wire::valid_account(out.account) || out.name.empty() || out.name.size() > 80) {
    return std::nullopt;
  }
  return out;
}

S3Result<void> check_queue(const Services& services, const object::Bucket& bucket,
                           const std::string& queue_arn, bool skip_destination) {
  const auto arn = parse_arn(queue_arn);
  if (!arn) return wire::s3_bad_argument("Queue", queue_arn, "The ARN could not be parsed");
  const auto unable = [&](std::string_view why) {
    return wire::s3_fail(S3Code::kInvalidArgument, std::string(kUnable),
                         {{"ArgumentName1", queue_arn}, {"ArgumentValue1", std::string(why)}});
  };
  if (arn->name.ends_with(".fifo")) return unable("FIFO SQS queues are not supported.");
  if (arn->region != bucket.region) {
    return unable(
        "The notification destination service region is not valid for the bucket location constraint");
  }
  if (arn->account != bucket.account) return unable("The destination queue belongs to another account");
  if (!skip_destination && !services.store.queue_of_arn(queue_arn)) {
    return unable("The destination queue does not exist");
  }
  return {};
}

std::vector<object::NotificationRule> rules_of(std::vector<wire::S3QueueRule> asked,
                                               std::string_view request_id) {
  std::vector<object::NotificationRule> out;
  for (wire::S3QueueRule& rule : asked) {
    if (rule.id.empty()) rule.id = fmt::format("{}-{}", request_id, out.size() + 1);
    out.push_back({.id = std::move(rule.id),
                   .queue_arn = std::move(rule.queue_arn),
                   .events = std::move(rule.events),
                   .prefix = std::move(rule.prefix),
                   .suffix = std::move(rule.suffix)});
  }
  return out;
}

S3Result<void> check_rules(const Services& services, const object::Bucket& bucket, const Request& request,
                           const std::vector<object::NotificationRule>& rules) {
  const auto skip = wire::header(request.headers, "x-amz-skip-destination-validation");
  for (const auto& rule : rules) {
    HR_TRY(check_queue(services, bucket, rule.queue_arn, skip && codec::lower_case(*skip) == "true"));
    // Whoever makes a bucket's events go to a queue sends to it.
    const auto queue = std::string_view(rule.queue_arn).substr(rule.queue_arn.rfind(':') + 1);
    if (!wire::may(request.identity.rules, wire::Granted::kQueue, queue, wire::Access::kWrite)) {
      return wire::s3_fail(S3Code::kAccessDenied);
    }
  }
  if (auto valid = object::validate_rules(rules); !valid) {
    const auto code =
        valid.error().code == Errc::kUnsupported ? S3Code::kNotImplemented : S3Code::kInvalidArgument;
    return wire::s3_fail(code, valid.error().message);
  }
  return {};
}

std::uint64_t cost_of(const std::vector<object::NotificationRule>& rules) {
  std::uint64_t bytes = kBucketRecordBytes;
  for (const auto& rule : rules) {
    bytes += rule.id.size() + rule.queue_arn.size() + rule.prefix.size() + rule.suffix.size() + 64;
    for (const auto& event : rule.events) bytes += event.size() + 8;
  }
  return bytes;
}

}  // namespace

Answer get_notification(Services& services, const Request& request) {
  HR_ASSIGN(const object::Bucket* bucket, own_bucket(services, request));
  std::vector<wire::S3QueueRule> rules;
  for (const auto& rule : bucket->notifications) {
    rules.push_back({.id = rule.id,
                     .queue_arn = rule.queue_arn,
                     .events = rule.events,
                     .prefix = rule.prefix,
                     .suffix = rule.suffix});
  }
  return xml_response(wire::write_notification(rules));
}

AnswerTask put_notification(Services& services, Request& request) {
  const auto body = co_await read_small_body(services, request);
  if (!body) co_return std::unexpected(body.error());
  const auto bucket = own_bucket(services, request);
  if (!bucket) co_return std::unexpected(bucket.error());
  auto asked = wire::parse_notification(*body);
  if (!asked) co_return std::unexpected(std::move(asked).error());
  const auto rules = rules_of(std::move(*asked), request.head.request_id);
  if (auto valid = check_rules(services, **bucket, request, rules); !valid) {
    co_return std::unexpected(std::move(valid).error());
  }
  const commit::Cost cost{.records = 1,
                          .bytes = cost_of(rules) + bucket_cost(**bucket),
                          .space = storage::Space::kGrow,
                          .events = rules.size()};
  const std::string& name = request.target.bucket;
  co_return co_await change_bucket(
      services, name, (*bucket)->id, cost,
      [&](object::Engine& engine, Time now, object::Effects& out) {
        return engine.set_notifications(name, rules, request.head.request_id, now, out);
      },
      200);
}

}  // namespace hr::s3
