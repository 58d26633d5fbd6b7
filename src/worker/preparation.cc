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

}  // namespace

net::Task<Answer<std::map<Bytes, QueueUrls>>> prepare_services(remote::Sqs& sqs, remote::S3& s3,
                                                               const Setup& setup) {
  if (const auto made = co_await s3.create_bucket(setup.bucket); !made) {
    co_return about("bucket " + setup.bucket, made.error());
  }
  std::map<Bytes, QueueUrls> urls;
  for (const Bytes& name : setup.queues) {
    auto pair = co_await ensure_pair(sqs, name);
    if (!pair) co_return std::unexpected(pair.error());
    urls[name] = std::move(*pair);
  }
  for (const TriggerSetup& trigger : setup.triggers) {
    if (const auto made = co_await s3.create_bucket(trigger.bucket); !made) {
      co_return about("bucket " + trigger.bucket, made.error());
    }
    const auto arn = co_await arn_of(sqs, urls.at(trigger.queue).url);
    if (!arn) co_return std::unexpected(arn.error());
    wire::S3QueueRule rule = trigger.rule;
    rule.queue_arn = *arn;
    if (const auto set = co_await ensure_rule(s3, trigger.bucket, std::move(rule)); !set) {
      co_return std::unexpected(set.error());
    }
  }
  co_return urls;
}

}  // namespace hr::worker
