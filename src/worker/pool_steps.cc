// The requests that one message needs, one after the other: sent, sent again, and those that travel in
// batches.
#include "task/names.h"
#include "worker/pool.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr::worker {
namespace {

constexpr Duration kRefusedDelay = 30s;
constexpr Duration kStepBackoff = 500ms;
constexpr std::uint32_t kStepDoublings = 4;
constexpr std::uint32_t kRefusalsMax = 2;  // of a result; the next one ends the job
constexpr std::size_t kSmallBatch = 10;    // Amazon's: each request costs money there
constexpr Duration kLinger = 5ms;          // of an entry, for others to come along
constexpr Duration kLingerForSmall = 100ms;

}  // namespace

// The one place where a step changes: everything that is counted by step is counted here.
void Pool::enter(Held& held, Step step) {
  const bool was_busy = held.step > Step::kReady;
  const bool is_busy = step > Step::kReady;
  if (held.step == Step::kReady) ready_.erase(held.id);
  if (step == Step::kReady) ready_.insert(held.id);
  if (was_busy != is_busy && held.at < held.jobs.size()) {
    const Bytes& job = held.job().call.id;
    if (is_busy) {
      ++busy_jobs_[job];
    } else if (const auto found = busy_jobs_.find(job); --found->second == 0) {
      busy_jobs_.erase(found);
    }
  }
  if (was_busy && !is_busy) ++before_run_;
  if (!was_busy && is_busy) --before_run_;
  held.step = step;
  suspect(held, held.unexplained);
}

void Pool::suspect(Held& held, std::uint32_t unexplained) {
  held.unexplained = unexplained;
  if (held.suspect() && held.step <= Step::kGiven) {
    suspects_.insert(held.id);
  } else {
    suspects_.erase(held.id);
  }
}

void Pool::forget(HeldId id, Instant now) {
  const auto found = held_.find(id);
  Held& held = found->second;
  enter(held, Step::kDelete);  // out of every count but that of busy jobs
  if (held.at < held.jobs.size()) {
    const auto busy = busy_jobs_.find(held.job().call.id);
    if (--busy->second == 0) busy_jobs_.erase(busy);
    let_go_of_job(held, now);
  }
  by_message_.erase(held.message.id);
  waiting_.erase(id);
  held_.erase(found);
}

void Pool::go(Held& held, Step step, Instant now) {
  enter(held, step);
  held.in_flight = false;
  held.retry_at = now.boot;
  held.tries = 0;
  perform(held, now);
}

// What is left of its lease, for a request.
Duration Pool::time_left(const Held& held, Instant now) const {
  return std::chrono::duration_cast<Duration>(held.lease_end - options_.lease_margin - now.boot);
}

// Sends the request of the step, unless it is under way, or must wait.
void Pool::perform(Held& held, Instant now) {
  waiting_.erase(held.id);
  const bool waits = held.step == Step::kBehind || held.step == Step::kReady || held.step == Step::kGiven;
  if (waits || held.in_flight) return;
  // A renewal that arrives after it would undo what the last request says.
  if (now.boot < held.retry_at || (held.renewing && held.last_step())) {
    waiting_.insert(held.id);
    return;
  }
  const Duration left = time_left(held, now);
  if (left <= 0ms) return;  // the next look at the leases ends it
  if (held.last_step()) {
    Outbox& box = held.step == Step::kDelete ? queues_[held.queue].deletes : queues_[held.queue].returns;
    if (box.entries.empty()) box.since = now.boot;
    box.entries.push_back(held.id);
    held.in_flight = true;
  } else if (requests_ >= options_.requests_max) {
    without_place_.push_back(held.id);
    held.in_flight = true;
  } else {
    request(held, std::min(options_.request_timeout, left), now);
  }
}

void Pool::request(Held& held, Duration timeout, Instant now) {
  held.in_flight = true;
  ++requests_;
  const OpId op = new_op({.held = held.id, .sent = now.boot});
  const Bytes& job = held.job().call.id;
  const Bytes& request = held.job().call.request_id;
  switch (held.step) {
    case Step::kMarkLookup:
      actions_.emplace_back(GetObject{op, task::mark_key(job), timeout});
      break;
    case Step::kResultLookup:
      actions_.emplace_back(GetObject{op, task::result_key(job), timeout});
      break;
    case Step::kBody:
      actions_.emplace_back(GetObject{op, held.job().call.body->key, timeout});
      break;
    case Step::kStarting:
    case Step::kMark:
      actions_.emplace_back(
          PutObject{op, task::mark_key(job), task::write_mark(held.mark), request, timeout});
      break;
    case Step::kLater:
      actions_.emplace_back(
          PutObject{op, task::later_key(held.later, job), later_text(held), request, timeout});
      break;
    case Step::kResult:
      actions_.emplace_back(PutObject{op, task::result_key(job), result_text(held, now), request, timeout});
      break;
    case Step::kDead: {
      const Bytes& body = held.job().dead_body.empty() ? held.message.body : held.job().dead_body;
      const auto attributes = held.bare ? codec::Pairs() : dead_attributes(held);
      // Not the job's id: a dead letter that was given back to its queue may end as one again.
      const Bytes dedup_id = fmt::format("{}#{}", held.message.id, held.at);
      actions_.emplace_back(SendDead{op, held.queue, body, attributes, job, dedup_id, request, timeout});
      break;
    }
    case Step::kBehind:
    case Step::kReady:
    case Step::kGiven:
    case Step::kDelete:
    case Step::kReturn:
      break;
  }
}

// What had to wait: for its time, for a renewal, or for others' requests to end.
void Pool::perform_waiting(Instant now) {
  const std::vector<HeldId> waiting(waiting_.begin(), waiting_.end());
  for (const HeldId id : waiting) {
    if (const auto found = held_.find(id); found != held_.end()) perform(found->second, now);
  }
  while (requests_ < options_.requests_max && !without_place_.empty()) {
    const auto found = held_.find(without_place_.front());
    without_place_.pop_front();
    if (found == held_.end()) continue;
    found->second.in_flight = false;
    perform(found->second, now);
  }
}

// ---- batches

void Pool::flush(Instant now) {
  for (std::size_t queue = 0; queue < queues_.size(); ++queue) {
    flush(queue, queues_[queue].deletes, true, now);
    flush(queue, queues_[queue].returns, false, now);
  }
}

Duration Pool::linger() const { return batch_max_ > kSmallBatch ? kLinger : kLingerForSmall; }

// The first entry leaves at once; while its batch is under way the others gather.
void Pool::flush(std::size_t queue, Outbox& box, bool deletes, Instant now) {
  while (!box.entries.empty() && box.in_flight < kOutboxBatches) {
    const bool full = box.entries.size() >= batch_max_;
    if (!full && box.in_flight > 0 && !draining_ && now.boot < box.since + linger()) return;
    ChangeVisibility change{.queue = queue, .timeout = options_.request_timeout};
    DeleteMessages remove{.queue = queue, .timeout = options_.request_timeout};
    Op op{.queue = queue, .sent = now.boot};
    Duration timeout = options_.request_timeout;
    const auto last =
        box.entries.begin() + static_cast<std::ptrdiff_t>(std::min(box.entries.size(), batch_max_));
    for (auto entry = box.entries.begin(); entry != last; ++entry) {
      const auto found = held_.find(*entry);
      if (found == held_.end()) continue;
      const Held& held = found->second;
      const Duration left = time_left(held, now);
      if (left <= 0ms) continue;  // the next look at the leases ends it
      timeout = std::min(timeout, left);
      op.entries.emplace_back(held.id, held.message.receipt);
      if (deletes) {
        remove.receipts.push_back(held.message.receipt);
      } else {
        change.entries.push_back({held.message.receipt, held.visibility_s});
      }
    }
    box.entries.erase(box.entries.begin(), last);
    box.since = now.boot;
    if (op.entries.empty()) continue;
    ++box.in_flight;
    const OpId id = new_op(std::move(op));
    remove.op = change.op = id;
    remove.timeout = change.timeout = timeout;
    if (deletes) {
      actions_.emplace_back(std::move(remove));
    } else {
      actions_.emplace_back(std::move(change));
    }
  }
}

void Pool::deleted(OpId id, Outcome<std::vector<Outcome<void>>> entries, Instant now) {
  if (!left_ && ops_.contains(id)) batch_answered(id, std::move(entries), true, now);
}

void Pool::batch_answered(OpId id, Outcome<std::vector<Outcome<void>>> entries, bool deletes, Instant now) {
  const auto found = ops_.find(id);
  const Op op = std::move(found->second);
  ops_.erase(found);
  --(deletes ? queues_[op.queue].deletes : queues_[op.queue].returns).in_flight;
  for (std::size_t i = 0; i < op.entries.size(); ++i) {
    const auto at = held_.find(op.entries[i].first);
    if (at == held_.end()) continue;
    at->second.in_flight = false;
    const Outcome<void> outcome = entries ? (*entries)[i] : std::unexpected(entries.error());
    if (outcome) {
      if (!deletes) {
        returned(at->second, op.entries[i].second, now);
        continue;
      }
      erase_spent(at->second);
      forget(at->first, now);
    } else {
      step_failed(at->second, outcome.error(), now);
    }
  }
  settle(now);
}

// It is the queue's again, unless it came back while the answer was under way: then all of it begins anew.
void Pool::returned(Held& held, const Bytes& receipt, Instant now) {
  if (!held.again || receipt == held.message.receipt) return forget(held.id, now);
  held.again = false;
  held.taken_back = draining_;
  enter(held, Step::kBehind);
  let_go_of_job(held, now);
  held.second = false;
  held.at = 0;
  begin(held, now);
}

// Nobody asks for the mark and the arguments of a job that ended well and whose message is gone. What stays,
// because this request fails, does no harm.
void Pool::erase_spent(const Held& held) {
  for (const Bytes& key : held.spent) {
    ++requests_;
    actions_.emplace_back(EraseObject{new_op({}), key, options_.request_timeout});
  }
}

// ---- answers

void Pool::finished(OpId id, Outcome<Bytes> outcome, Instant now) {
  const auto op = ops_.find(id);
  if (op == ops_.end() || left_) return;
  const auto found = held_.find(op->second.held);
  ops_.erase(op);
  --requests_;
  if (found != held_.end()) {
    Held& held = found->second;
    held.in_flight = false;
    if (outcome) {
      step_done(held, *outcome, now);
    } else {
      step_failed(held, outcome.error(), now);
    }
  }
  settle(now);
}

void Pool::step_done(Held& held, const Bytes& answer, Instant now) {
  switch (held.step) {
    case Step::kMarkLookup:
      return looked_up_mark(held, &answer, now);
    case Step::kResultLookup:
      return looked_up_result(held, &answer, now);
    case Step::kBody:
      return loaded_body(held, &answer, now);
    case Step::kStarting:
      held.marked = true;
      return start_marked(held, now);
    case Step::kResult:
      return held.end == End::kDead ? go(held, Step::kMark, now) : finish_job(held, now);
    case Step::kMark:
      if (held.later != 0) return go(held, Step::kLater, now);
      return go(held, held.end == End::kDead ? Step::kDead : Step::kReturn, now);
    case Step::kLater:
      return go(held, Step::kDelete, now);
    case Step::kDead:
      return finish_job(held, now);
    case Step::kBehind:
    case Step::kReady:
    case Step::kGiven:
    case Step::kDelete:
    case Step::kReturn:
      break;
  }
}

// The mark says "started": the child may have it, if there still is one and nobody wants it back.
void Pool::start_marked(Held& held, Instant now) {
  const auto found = children_.find(held.child);
  const bool there = found != children_.end() && found->second.reserved == held.id;
  if (there) found->second.reserved = 0;
  if (there && found->second.state == ChildState::kBusy && !held.taken_back && !resting_ &&
      !is_cancelled(held)) {
    return run(held, found->second, now);
  }
  if (there) free_child(found->second, now);
  held.child = 0;
  make_ready(held, now);
}

void Pool::step_failed(Held& held, const Failure& failure, Instant now) {
  if (failure.kind == Failure::Kind::kMissing) {
    if (held.step == Step::kMarkLookup) return looked_up_mark(held, nullptr, now);
    if (held.step == Step::kResultLookup) return looked_up_result(held, nullptr, now);
    if (held.step == Step::kBody) return loaded_body(held, nullptr, now);
  }
  if (held.last_step() && failure.kind != Failure::Kind::kTransient) return lose(held, failure.text, now);
  say(Severity::kWarning, "request_failed", held, {{"reason", failure.text}});
  const bool refused = failure.kind != Failure::Kind::kTransient;
  if (held.step == Step::kDead && refused && !held.bare) {
    held.bare = true;  // the attributes count towards the longest message
    return go(held, Step::kDead, now);
  }
  if (held.step == Step::kResult && refused && held.end == End::kDone && held.tries >= kRefusalsMax) {
    ++held.mark.attempts;
    held.mark.last_error = {.type = "ResultRefused", .message = failure.text, .traceback = ""};
    return end_dead(held, "result", now);
  }
  if (held.step == Step::kDead && failure.kind == Failure::Kind::kRefused) {
    // The dead-letter queue will not have it. The mark says dead: later receives try this step again.
    held.visibility_s =
        static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(task::kDelayMax).count());
    return go(held, Step::kReturn, now);
  }
  const std::uint32_t doublings = std::min(held.tries++, kStepDoublings);
  held.retry_at = now.boot + (refused ? kRefusedDelay : kStepBackoff * (1U << doublings));
  waiting_.insert(held.id);
  if (held.last_step()) renew_at(held, held.renew_at);  // it was left out while its request was under way
}

}  // namespace hr::worker
