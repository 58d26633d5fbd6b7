#include "worker/preparation.h"

#include "task/names.h"

#include <fmt/format.h>

namespace hr::worker {
namespace {

using remote::Answer;
using remote::Fault;
using remote::FaultKind;

constexpr int kMergesMax = 5;  // of one bucket's notifications, when others change them too

std::unexpected<Fault> about(ByteView what, Fault fault) {
  fault.message = fmt::format("{}: {}", what, fault.message);
  return std::unexpected(std::move(fault));
}

net::Task<Answer<Bytes>> ensure_queue(remote::Sqs& sqs, Bytes name, codec::Pairs attributes) {
  auto url = co_await sqs.queue_url(name);
  if (!url && url.error().kind == FaultKind::kMissing) url = co_await sqs.create_queue(name, attributes);
  if (!url) co_return about("queue " + name, url.error());
  co_return url;
}

net::Task<Answer<Bytes>> arn_of(remote::Sqs& sqs, Bytes url) {
  const auto attributes = co_await sqs.attributes(url, {"QueueArn"});
  if (!attributes) co_return about(url, attributes.error());
  const Bytes* arn = codec::find(*attributes, "QueueArn");
  if (arn == nullptr) co_return std::unexpected(Fault{FaultKind::kServer, 200, "", url + " has no ARN"});
  co_return *arn;
}

net::Task<Answer<QueueUrls>> ensure_pair(remote::Sqs& sqs, Bytes name) {
  const auto dead =
      co_await ensure_queue(sqs, task::dead_queue(name), {{"MessageRetentionPeriod", "1209600"}});
  if (!dead) co_return std::unexpected(dead.error());
  const auto arn = co_await arn_of(sqs, *dead);
  if (!arn) co_return std::unexpected(arn.error());
  // We dead-letter ourselves, with a reason; the service's own count is the backstop.
  const Bytes redrive = fmt::format(R"({{"deadLetterTargetArn":"{}","maxReceiveCount":1000}})", *arn);
  const auto url =
      co_await ensure_queue(sqs, name, {{"RedrivePolicy", redrive}, {"VisibilityTimeout", "60"}});
  if (!url) co_return std::unexpected(url.error());
  co_return QueueUrls{*url, *dead};
}

// Reads, adds, writes, and looks again: another worker may have written between.
net::Task<Answer<void>> ensure_rule(remote::S3& s3, Bytes bucket, wire::S3QueueRule rule) {
  for (int i = 0; i < kMergesMax; ++i) {
    auto rules = co_await s3.notifications(bucket);
    if (!rules) co_return about("notifications of " + bucket, rules.error());
    auto merged = merged_rules(std::move(*rules), rule);
    if (!merged) co_return Answer<void>();
    const auto set = co_await s3.set_notifications(bucket, std::move(*merged));
    if (!set) co_return about(fmt::format("notification {} of {}", rule.id, bucket), set.error());
  }
  co_return std::unexpected(
      Fault{FaultKind::kServer, 0, "", fmt::format("notification {} of {} does not stay", rule.id, bucket)});
}

// A queue's URL, or its name among what is missing.
net::Task<Answer<Bytes>> known_queue(remote::Sqs& sqs, Bytes name, std::vector<Bytes>& missing) {
  auto url = co_await sqs.queue_url(name);
  if (url) co_return url;
  if (url.error().kind != FaultKind::kMissing) co_return about("queue " + name, url.error());
  missing.push_back("queue " + name);
  co_return Bytes();
}

net::Task<Answer<void>> need_bucket(remote::S3& s3, Bytes name, bool create, std::vector<Bytes>& missing) {
  if (create) {
    const auto made = co_await s3.create_bucket(name);
    if (!made) co_return about("bucket " + name, made.error());
    co_return Answer<void>();
  }
  const auto found = co_await s3.list(name, "control/");  // not HEAD, whose refusals have no reason
  if (found) co_return Answer<void>();
  if (found.error().kind != FaultKind::kMissing) co_return about("bucket " + name, found.error());
  missing.push_back("bucket " + name);
  co_return Answer<void>();
}

net::Task<Answer<QueueUrls>> need_queue(remote::Sqs& sqs, Bytes name, bool create,
                                        std::vector<Bytes>& missing) {
  if (create) co_return co_await ensure_pair(sqs, name);
  auto dead = co_await known_queue(sqs, task::dead_queue(name), missing);
  if (!dead) co_return std::unexpected(dead.error());
  auto url = co_await known_queue(sqs, name, missing);
  if (!url) co_return std::unexpected(url.error());
  co_return QueueUrls{std::move(*url), std::move(*dead)};
}

net::Task<Answer<void>> look_for_rule(remote::S3& s3, TriggerSetup trigger, std::vector<Bytes>& missing) {
  auto rules = co_await s3.notifications(trigger.bucket);
  if (!rules && rules.error().kind == FaultKind::kMissing) co_return Answer<void>();  // its bucket is
  if (!rules) co_return about("notifications of " + trigger.bucket, rules.error());
  for (const wire::S3QueueRule& rule : *rules) {
    const bool same = rule.events == trigger.rule.events && rule.prefix == trigger.rule.prefix &&
                      rule.suffix == trigger.rule.suffix && rule.queue_arn.ends_with(":" + trigger.queue);
    if (same) co_return Answer<void>();
  }
  missing.push_back(fmt::format("notification of bucket {} to queue {}", trigger.bucket, trigger.queue));
  co_return Answer<void>();
}

net::Task<Answer<void>> need_rule(remote::Sqs& sqs, remote::S3& s3, TriggerSetup trigger, Bytes queue_url,
                                  bool create, std::vector<Bytes>& missing) {
  if (!create) co_return co_await look_for_rule(s3, std::move(trigger), missing);
  const auto arn = co_await arn_of(sqs, std::move(queue_url));
  if (!arn) co_return std::unexpected(arn.error());
  wire::S3QueueRule rule = std::move(trigger.rule);
  rule.queue_arn = *arn;
  co_return co_await ensure_rule(s3, std::move(trigger.bucket), std::move(rule));
}

}  // namespace

net::Task<Answer<std::map<Bytes, QueueUrls>>> prepare_services(remote::Sqs& sqs, remote::S3& s3,
                                                               const Setup& setup, Create create) {
  if (!setup.triggers.empty() && create.queues != create.buckets) {
    co_return std::unexpected(Fault{
        FaultKind::kRefused, 0, "",
        fmt::format("{} is declared for events of bucket {}, which reach a queue only where services.sqs "
                    "and services.s3 are the same",
                    setup.triggers.front().queue, setup.triggers.front().bucket)});
  }
  std::vector<Bytes> missing;
  if (const auto there = co_await need_bucket(s3, setup.bucket, create.buckets, missing); !there) {
    co_return std::unexpected(there.error());
  }
  std::map<Bytes, QueueUrls> urls;
  for (const Bytes& name : setup.queues) {
    auto pair = co_await need_queue(sqs, name, create.queues, missing);
    if (!pair) co_return std::unexpected(pair.error());
    urls[name] = std::move(*pair);
  }
  for (const TriggerSetup& trigger : setup.triggers) {
    auto there = co_await need_bucket(s3, trigger.bucket, create.buckets, missing);
    if (there) {
      there = co_await need_rule(sqs, s3, trigger, urls.at(trigger.queue).url, create.buckets, missing);
    }
    if (!there) co_return std::unexpected(there.error());
  }
  if (missing.empty()) co_return urls;
  co_return std::unexpected(Fault{
      FaultKind::kMissing, 0, "",
      fmt::format("on Amazon a worker creates nothing, and these are missing: {}; docs/aws.md says how to "
                  "make them",
                  fmt::join(missing, ", "))});
}

net::Task<Answer<bool>> honours_conditions(remote::S3& s3, Bytes bucket) {
  for (int i = 0; i < 2; ++i) {
    const auto put = co_await s3.put({.bucket = bucket,
                                      .key = "control/if-none-match",
                                      .body = "{}",
                                      .content_type = "application/json",
                                      .if_none_match = true});
    if (!put && put.error().kind == FaultKind::kConflict) co_return true;
    if (!put) co_return std::unexpected(put.error());
  }
  co_return false;
}

}  // namespace hr::worker
