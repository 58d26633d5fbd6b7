#include "worker/setup.h"

#include "task/names.h"
#include "worker/pool.h"

#include <algorithm>

namespace hr::worker {
namespace {

void add_once(std::vector<Bytes>& list, const Bytes& name) {
  if (std::ranges::find(list, name) == list.end()) list.push_back(name);
}

}  // namespace

Setup plan_setup(ByteView app, const std::vector<Bytes>& pool_queues, const Ready& ready) {
  Setup out{.bucket = task::system_bucket(app), .polled = {}, .queues = {}, .triggers = {}};
  for (const Bytes& queue : pool_queues) add_once(out.polled, queue);
  for (std::size_t i = 0; i < ready.triggers.size(); ++i) {
    const TriggerSpec& trigger = ready.triggers[i];
    add_once(out.polled, trigger.queue);
    wire::S3QueueRule rule{.id = configuration_id(ready.triggers, i),
                           .queue_arn = {},
                           .events = {trigger.event},
                           .prefix = trigger.prefix,
                           .suffix = trigger.suffix};
    out.triggers.push_back({trigger.bucket, trigger.queue, std::move(rule)});
  }
  for (const ConsumerSpec& consumer : ready.consumers) add_once(out.polled, consumer.queue);
  out.queues = out.polled;
  for (const TaskSpec& task : ready.tasks) add_once(out.queues, task.queue);
  return out;
}

std::optional<std::vector<wire::S3QueueRule>> merged_rules(std::vector<wire::S3QueueRule> rules,
                                                           const wire::S3QueueRule& ours) {
  const auto same = std::ranges::find(rules, ours.id, &wire::S3QueueRule::id);
  if (same == rules.end()) {
    rules.push_back(ours);
  } else if (*same == ours) {
    return std::nullopt;
  } else {
    *same = ours;
  }
  return rules;
}

}  // namespace hr::worker
