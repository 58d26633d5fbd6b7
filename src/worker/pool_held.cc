// One message, step by step: what is known about its job, and how it ends.
#include "task/json_slices.h"
#include "task/names.h"
#include "worker/pool.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr::worker {
namespace {

constexpr Duration kNotBeforeSlack = 1s;
constexpr Duration kUnknownTaskDelay = 300s;
constexpr Duration kRefusedDelay = 30s;
constexpr Duration kStepBackoff = 500ms;
constexpr std::uint32_t kStepDoublings = 4;
constexpr std::size_t kDoneKept = 4'096;

Bytes done_key(const task::Job& job) { return fmt::format("{}:{}", job.call.id, job.call.sent); }

bool keeps_result(const task::Job& job) { return job.call.keep_result || !job.event.empty(); }

}  // namespace

// ---- before it runs

void Pool::begin(Held& held, Instant now) {
  held.mark = task::Mark{.id = held.job().call.id, .last_error = {}, .reason = {}};
  held.unexplained = 0;
  held.end = End::kNone;
  held.timed_out = false;
  held.child = 0;
  held.spec = {};
  held.started = now.wall;
  if (known_done(held.job())) {  // deleted already, or so we thought
    held.end = End::kDone;
    return finish_job(held, now);
  }
  if (held.message.receives > 1) return go(held, Step::kMarkLookup, now);
  judge(held, now);
}

void Pool::looked_up_mark(Held& held, const Bytes* text, Instant now) {
  if (text != nullptr) {
    auto mark = task::parse_mark(*text);
    if (mark) {
      held.mark = std::move(*mark);
      held.mark.id = held.job().call.id;
    } else {
      say(Severity::kWarning, "mark_unreadable", held, {{"reason", mark.error().message}});
    }
  }
  if (held.mark.state == task::MarkState::kDead) {  // only the rest of that ending is missing
    if (const TaskSpec* spec = find_task(held)) held.spec = *spec;
    held.end = End::kDead;
    return go(held, Step::kDead, now);
  }
  const std::uint32_t before = held.message.receives - 1;
  held.unexplained = before > held.mark.receives ? before - held.mark.receives : 0;
  if (held.mark.state == task::MarkState::kStarted) {
    ++held.mark.attempts;
    ++held.mark.crashes;
    held.mark.last_error = {.type = "Crashed",
                            .message = "an attempt began and its worker was not heard of again",
                            .traceback = ""};
    held.unexplained = std::max(held.unexplained, 1U);
  }
  const bool stored = keeps_result(held.job()) && (held.suspect() || held.jobs.size() > 1);
  if (stored) return go(held, Step::kResultLookup, now);
  judge(held, now);
}

void Pool::looked_up_result(Held& held, const Bytes* text, Instant now) {
  if (text != nullptr) {
    const auto result = task::JsonSlices::read(*text);
    const auto sent = result ? result->integer("sent") : std::optional<std::int64_t>();
    const auto state = result ? result->text("state") : std::optional<Bytes>();
    if (sent && state && *sent == held.job().call.sent && *state == "done") {
      held.end = End::kDone;
      return finish_job(held, now);
    }
  }
  judge(held, now);
}

// Everything that keeps a job from running now.
void Pool::judge(Held& held, Instant now) {
  const bool vanished = held.mark.state == task::MarkState::kStarted;
  held.mark.state = task::MarkState::kRetrying;
  if (held.taken_back) return end_back(held, End::kRelease, 0ms, now);
  const TaskSpec* spec = find_task(held);
  if (spec == nullptr) {
    const Bytes name = held.job().event.empty() ? held.job().call.task : held.job().configuration;
    held.mark.last_error = {.type = "UnknownTask",
                            .message = fmt::format("no module of this pool has the task {}", name),
                            .traceback = ""};
    ++counts_.parked;
    say(Severity::kWarning, "job_parked", held, {{"reason", "unknown-task"}, {"retry_in", "300"}});
    return end_back(held, End::kPark, kUnknownTaskDelay, now);
  }
  held.spec = *spec;
  if (held.mark.crashes >= task::kCrashesMax || (vanished && held.mark.attempts > spec->retry.retries)) {
    return end_dead(held, "crashed", now);
  }
  const task::Envelope& call = held.job().call;
  if (call.expires != 0 && to_ms(now.wall) > call.expires) {
    held.mark.last_error = {.type = "Expired", .message = "it was not started in time", .traceback = ""};
    return end_dead(held, "expired", now);
  }
  const Time due = from_ms(std::max(held.mark.not_before, call.not_before));
  if (due > now.wall + kNotBeforeSlack) {
    return end_back(held, End::kPark, std::min<Duration>(due - now.wall, task::kDelayMax), now);
  }
  if (call.body) return go(held, Step::kBody, now);
  make_ready(held, now);
}

void Pool::loaded_body(Held& held, const Bytes* text, Instant now) {
  task::Envelope& call = held.jobs[held.at].call;
  auto arguments = text != nullptr ? task::parse_body(*text, *call.body)
                                   : fail(Errc::kNotFound, call.body->key + " is not there");
  if (!arguments) {
    held.mark.last_error = {.type = "InvalidMessage", .message = arguments.error().message, .traceback = ""};
    return end_dead(held, "invalid", now);
  }
  call.args = std::move(arguments->args);
  call.kwargs = std::move(arguments->kwargs);
  make_ready(held, now);
}

void Pool::make_ready(Held& held, Instant now) {
  if (held.taken_back) return end_back(held, End::kRelease, 0ms, now);
  held.step = Step::kReady;
  held.in_flight = false;
  held.retry_at = {};
  held.ready_since = now.boot;
}

// ---- steps

void Pool::go(Held& held, Step step, Instant now) {
  held.step = step;
  held.in_flight = false;
  held.retry_at = now.boot;
  held.tries = 0;
  perform(held, now);
}

// Sends the request of the step, unless it is under way, or must wait.
void Pool::perform(Held& held, Instant now) {
  if (held.step == Step::kReady || held.step == Step::kRunning || held.in_flight ||
      now.boot < held.retry_at) {
    return;
  }
  // A renewal that arrives after it would undo what the last request says.
  if (held.renewing && (held.step == Step::kDelete || held.step == Step::kReturn)) return;
  const auto left = std::chrono::duration_cast<Duration>(held.lease_end - options_.lease_margin - now.boot);
  if (left <= 0ms) return;  // the next look at the leases ends it
  const Duration timeout = std::min(options_.request_timeout, left);
  held.in_flight = true;
  const OpId op = new_op({.held = held.id, .sent = now.boot});
  const Bytes job = held.at < held.jobs.size() ? held.job().call.id : Bytes();
  const Bytes request = held.at < held.jobs.size() ? held.job().call.request_id : Bytes();
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
    case Step::kResult:
      actions_.emplace_back(PutObject{op, task::result_key(job), result_text(held, now), request, timeout});
      break;
    case Step::kDead: {
      const Bytes& body = held.job().dead_body.empty() ? held.message.body : held.job().dead_body;
      actions_.emplace_back(SendDead{op, held.queue, body, dead_attributes(held), job, request, timeout});
      break;
    }
    case Step::kDelete:
      actions_.emplace_back(DeleteMessage{op, held.queue, held.message.receipt, timeout});
      break;
    case Step::kReturn:
      actions_.emplace_back(
          ChangeVisibility{op, held.queue, {{held.message.receipt, held.visibility_s}}, timeout});
      break;
    case Step::kReady:
    case Step::kRunning:
      break;
  }
}

void Pool::finished(OpId id, Outcome<Bytes> outcome, Instant now) {
  const auto op = ops_.find(id);
  if (op == ops_.end() || left_) return;
  const auto found = held_.find(op->second.held);
  ops_.erase(op);
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
      return start_marked(held, now);
    case Step::kResult:
      return held.end == End::kDone ? finish_job(held, now) : go(held, Step::kMark, now);
    case Step::kMark:
      return go(held, held.end == End::kDead ? Step::kDead : Step::kReturn, now);
    case Step::kDead:
      return finish_job(held, now);
    case Step::kDelete:
    case Step::kReturn:
      return forget(held.id);
    case Step::kReady:
    case Step::kRunning:
      break;
  }
}

// The mark says "started": the child may have it, if there still is one and nobody wants it back.
void Pool::start_marked(Held& held, Instant now) {
  const auto child = children_.find(held.child);
  const bool there = child != children_.end() && child->second.held == held.id;
  if (there && child->second.state == ChildState::kBusy && !held.taken_back) return run(held, now);
  if (there) free_child(child->second, now);
  held.child = 0;
  make_ready(held, now);
}

void Pool::step_failed(Held& held, const Failure& failure, Instant now) {
  const bool last = held.step == Step::kDelete || held.step == Step::kReturn;
  if (failure.kind == Failure::Kind::kMissing) {
    if (held.step == Step::kMarkLookup) return looked_up_mark(held, nullptr, now);
    if (held.step == Step::kResultLookup) return looked_up_result(held, nullptr, now);
    if (held.step == Step::kBody) return loaded_body(held, nullptr, now);
  }
  if (last && failure.kind != Failure::Kind::kTransient) return lose(held, failure.text, now);
  say(Severity::kWarning, "request_failed", held, {{"reason", failure.text}});
  if (held.step == Step::kDead && failure.kind == Failure::Kind::kRefused) {
    // The dead-letter queue will not have it. The mark says dead: later receives try this step again.
    held.visibility_s =
        static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(task::kDelayMax).count());
    return go(held, Step::kReturn, now);
  }
  const std::uint32_t doublings = std::min(held.tries++, kStepDoublings);
  const bool refused = failure.kind != Failure::Kind::kTransient;
  held.retry_at = now.boot + (refused ? kRefusedDelay : kStepBackoff * (1U << doublings));
}

// ---- endings

void Pool::end_done(Held& held, Bytes result, Instant now) {
  held.end = End::kDone;
  held.result = std::move(result);
  if (keeps_result(held.job())) return go(held, Step::kResult, now);
  finish_job(held, now);
}

void Pool::end_failed(Held& held, task::TaskError error, Bytes reason, bool retry,
                      std::optional<Duration> delay, Instant now) {
  ++held.mark.attempts;
  ++counts_.failed;
  held.mark.last_error = std::move(error);
  const task::RetryPolicy& policy = held.spec.retry;
  if (!retry || held.mark.attempts > policy.retries || held.mark.crashes >= task::kCrashesMax) {
    return end_dead(held, std::move(reason), now);
  }
  Duration wait = delay ? *delay : task::retry_delay(policy, held.mark.attempts, entropy_.u64());
  if (wait > task::kDelayMax) {
    say(Severity::kWarning, "delay_shortened", held,
        {{"asked_s", std::to_string(wait / 1s)}, {"to_s", std::to_string(task::kDelayMax / 1s)}});
    wait = task::kDelayMax;
  }
  held.end = End::kRetry;
  say(Severity::kWarning, "job_failed", held,
      {{"reason", reason},
       {"error", task::error_text(held.mark.last_error)},
       {"retry_in", fmt::format("{:.1f}", static_cast<double>(wait.count()) / 1000)}});
  end_back(held, End::kRetry, wait, now);
}

void Pool::end_dead(Held& held, Bytes reason, Instant now) {
  if (held.spec.name.empty() && find_task(held) != nullptr) held.spec = *find_task(held);
  held.end = End::kDead;
  held.mark.state = task::MarkState::kDead;
  held.mark.receives = held.message.receives;
  held.mark.reason = reason;
  say(Severity::kError, "job_dead", held,
      {{"reason", std::move(reason)}, {"error", task::error_text(held.mark.last_error)}});
  go(held, Step::kResult, now);
}

// The mark first: a receive that it does not explain makes a suspect of the job.
void Pool::end_back(Held& held, End how, Duration delay, Instant now) {
  held.end = how;
  held.mark.state = task::MarkState::kRetrying;
  held.mark.receives = held.message.receives;
  if (how == End::kRetry) {
    held.mark.not_before = to_ms(now.wall + delay);
  } else {
    held.mark.receives -= std::min(held.unexplained, held.mark.receives);  // it stays as suspect as it was
  }
  if (how == End::kRelease) {
    ++held.mark.releases;
    ++counts_.released;
    say(Severity::kNotice, "job_released", held);
  }
  held.visibility_s =
      static_cast<int>(std::chrono::ceil<std::chrono::seconds>(std::max(delay, Duration(0))).count());
  go(held, Step::kMark, now);
}

// What has not started goes back now; what runs is ended and goes back after it.
void Pool::take_back(Held& held, Instant now) {
  if (held.taken_back || held.step > Step::kRunning) return;
  held.taken_back = true;
  if (held.step == Step::kReady) return end_back(held, End::kRelease, 0ms, now);
  const auto child = children_.find(held.child);
  if (held.step == Step::kRunning && child != children_.end()) kill(child->second, now);
}

void Pool::finish_job(Held& held, Instant now) {
  if (held.end == End::kDone) {
    ++counts_.done;
    remember_done(held.job());
  } else {
    ++counts_.dead;
  }
  if (held.at + 1 < held.jobs.size()) {
    ++held.at;
    return begin(held, now);
  }
  go(held, Step::kDelete, now);
}

void Pool::forget(HeldId id) { held_.erase(id); }

Bytes Pool::result_text(const Held& held, Instant now) const {
  const task::Envelope& call = held.job().call;
  const bool dead = held.end == End::kDead;
  return task::write_result({.id = call.id,
                             .task = held.spec.name.empty() ? call.task : held.spec.name,
                             .queue = queues_[held.queue].name,
                             .dead = dead,
                             .result = dead ? "null" : held.result,
                             .error = dead ? held.mark.last_error : task::TaskError{},
                             .attempts = held.mark.attempts + (dead ? 0 : 1),
                             .sent = call.sent,
                             .started = to_ms(held.started),
                             .ended = to_ms(now.wall),
                             .request_id = call.request_id,
                             .host = options_.host,
                             .worker = options_.name});
}

codec::Pairs Pool::dead_attributes(const Held& held) const {
  const Bytes name = held.spec.name.empty() ? held.job().call.task : held.spec.name;
  codec::Pairs out = {{"headrace-attempts", std::to_string(held.mark.attempts)},
                      {"headrace-error", task::error_text(held.mark.last_error)},
                      {"headrace-job", held.job().call.id},
                      {"headrace-reason", held.mark.reason}};
  if (!name.empty()) out.emplace_back("headrace-task", name);
  return out;
}

// A copy of a message whose job ended well here is deleted without a run.
bool Pool::known_done(const task::Job& job) const { return done_.contains(done_key(job)); }

void Pool::remember_done(const task::Job& job) {
  if (!done_.insert(done_key(job)).second) return;
  done_order_.push_back(done_key(job));
  if (done_order_.size() <= kDoneKept) return;
  done_.erase(done_order_.front());
  done_order_.pop_front();
}

}  // namespace hr::worker
