// What a pool needs before it can receive, computed from what its modules declare: queues with their
// dead-letter queues, buckets, notifications. Pure; worker/preparation.h makes it so.
#pragma once

#include "base/bytes.h"
#include "wire/s3_requests.h"
#include "worker/child_protocol.h"

#include <optional>
#include <vector>

namespace hr::worker {

struct TriggerSetup {
  Bytes bucket;
  Bytes queue;
  wire::S3QueueRule rule;  // without its queue's ARN
};

struct Setup {
  Bytes bucket;               // the application's own
  std::vector<Bytes> polled;  // received from: the pool's queues, those of triggers, those of consumers
  std::vector<Bytes> queues;  // all that must exist, each with its dead-letter queue
  std::vector<TriggerSetup> triggers;
};

Setup plan_setup(ByteView app, const std::vector<Bytes>& pool_queues, const Ready& ready);

// The rules with `ours` among them in place of one of the same id; none: they are as they should be already.
std::optional<std::vector<wire::S3QueueRule>> merged_rules(std::vector<wire::S3QueueRule> rules,
                                                           const wire::S3QueueRule& ours);

}  // namespace hr::worker
