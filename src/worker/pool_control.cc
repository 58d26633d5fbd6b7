// What people ask a pool for: to receive nothing from a queue, to end a job, to tell what it has in hand.
#include "task/names.h"
#include "worker/pool.h"

#include <algorithm>

namespace hr::worker {

// ---- pause

void Pool::pause(std::set<Bytes> queues, Instant now) {
  if (left_ || queues == paused_) return;
  paused_ = std::move(queues);
  end_receives();
  settle(now);
}

bool Pool::is_paused(const Queue& queue) const {
  return resting_ || paused_.contains("*") || paused_.contains(queue.name);
}

void Pool::end_receives() {
  for (const Queue& queue : queues_) {
    if (queue.receiving == 0 || !is_paused(queue)) continue;
    Op& op = ops_.at(queue.receiving);
    if (std::exchange(op.cancelled, true)) continue;
    actions_.emplace_back(CancelReceive{queue.receiving});
  }
}

void Pool::rest(bool on, Instant now) {
  if (left_ || draining_ || on == resting_) return;
  resting_ = on;
  say(Severity::kNotice, on ? "resting" : "resumed", {{"held", std::to_string(held_.size())}});
  if (on) {
    end_receives();
    for (auto& [id, child] : children_) recall(child);
  }
  settle(now);
}

void Pool::set_log_level(Severity least) {
  log_level_ = least;
  for (const auto& [id, child] : children_) {
    if (child.state == ChildState::kIdle || child.state == ChildState::kBusy) {
      actions_.emplace_back(WriteFrame{id, write_log_level(least)});
    }
  }
}

// ---- cancel

bool Pool::is_cancelled(const Held& held) const {
  return !cancelled_.empty() && held.at < held.jobs.size() && cancelled_.contains(held.job().call.id);
}

void Pool::cancel(std::set<Bytes> jobs, Instant now) {
  if (left_) return;
  cancelled_ = std::move(jobs);
  if (cancelled_.empty()) return;
  std::vector<HeldId> ids;
  for (const auto& [id, held] : held_) {
    if (is_cancelled(held)) ids.push_back(id);
  }
  for (const HeldId id : ids) {
    if (const auto found = held_.find(id); found != held_.end()) cancel(found->second, now);
  }
  settle(now);
}

// What waits for an answer about its past looks at the list after that; what a child has is taken back first:
// then it is known whether it runs.
void Pool::cancel(Held& held, Instant now) {
  if (held.step == Step::kReady) return end_cancelled(held, now);
  if (held.step != Step::kGiven || held.told_to_end || held.taken_back) return;
  const auto child = children_.find(held.child);
  if (child != children_.end()) recall(child->second);
}

// The handler is told so, and has a moment to leave; then its child is killed.
void Pool::end_running(Child& child, Held& held, Instant now) {
  if (std::exchange(held.told_to_end, true)) return;
  say(Severity::kNotice, "job_cancelling", held);
  actions_.emplace_back(WriteFrame{child.id, write_cancel(held.job().call.id)});
  held.time_limit = now.boot + options_.cancel_limit;
  child.limit = std::min(child.limit, held.time_limit);
}

void Pool::end_cancelled(Held& held, Instant now) {
  if (held.spec->name.empty()) {
    if (const auto spec = find_task(held)) held.spec = spec;
  }
  held.end = End::kCancelled;
  say(Severity::kNotice, "job_cancelled", held);
  go(held, Step::kResult, now);
}

// ---- telling

std::string_view Pool::state_of(const Held& held) const {
  if (held.step > Step::kGiven) return "ending";
  if (held.step != Step::kGiven) return "waiting";
  if (held.told_to_end) return "cancelling";
  const auto child = children_.find(held.child);
  if (child == children_.end()) return "running";
  const auto given = std::ranges::find(child->second.given, held.id, &Given::held);
  const auto place = static_cast<std::size_t>(given - child->second.given.begin());
  return place < child->second.running ? "running" : "given";
}

std::vector<HeldStatus> Pool::jobs() const {
  std::vector<HeldStatus> out;
  out.reserve(held_.size());
  for (const auto& [id, held] : held_) {
    if (held.at >= held.jobs.size()) continue;
    const task::Envelope& call = held.job().call;
    const Bytes task = held.spec->name.empty() ? call.task : held.spec->name;
    out.push_back({.job = call.id,
                   .task = task,
                   .queue = queues_[held.queue].name,
                   .state = state_of(held),
                   .attempt = held.mark.attempts + 1,
                   .receives = held.message.receives,
                   .child = held.child,
                   .since = held.started,
                   .sent = call.sent});
  }
  return out;
}

}  // namespace hr::worker
