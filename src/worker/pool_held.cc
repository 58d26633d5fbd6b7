// What is known about a message's job before it runs, and how it ends.
#include "task/json_slices.h"
#include "task/names.h"
#include "worker/pool.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace hr::worker {
namespace {

constexpr Duration kNotBeforeSlack = 1s;
constexpr Duration kUnknownTaskDelay = 300s;
// A message stays with whoever received it for 12 h at most; of that the attempt has used a part.
constexpr Duration kVisibilityMax = 12h - 1h;
constexpr std::size_t kLinesKept = 20, kLineBytesMax = 500;
constexpr std::size_t kDoneKept = 4'096;

bool keeps_result(const task::Job& job) { return job.call.keep_result; }

}  // namespace

// ---- before it runs

void Pool::begin(Held& held, Instant now) {
  held.mark = task::Mark{.id = held.job().call.id, .last_error = {}, .reason = {}};
  suspect(held, 0);
  held.marked = false;
  held.end = End::kNone;
  held.doom = Doom::kNone;
  held.later = 0;
  held.told_to_end = false;
  held.child = 0;
  held.spec = kNoSpec;
  held.started = now.wall;
  const auto holder = by_job_.try_emplace(held.job().call.id, held.id).first;
  if (holder->second != held.id) {
    held.second = true;
    behind_.emplace(holder->first, held.id);
    enter(held, Step::kBehind);
    if (held.taken_back) return_unlooked(held, now);
    return;
  }
  if (known_done(held.job())) {  // deleted already, or so we thought
    held.end = End::kDone;
    return finish_job(held, now);
  }
  if (held.message.receives > 1 || held.second || held.job().call.attempt > 0) {
    return go(held, Step::kMarkLookup, now);
  }
  judge(held, now);
}

// The next message of the same job begins: what became of the job by this one is in the mark.
void Pool::let_go_of_job(const Held& held, Instant now) {
  const Bytes& job = held.job().call.id;
  const auto holder = by_job_.find(job);
  if (holder == by_job_.end() || holder->second != held.id) {
    const auto [from, to] = behind_.equal_range(job);
    const auto own = std::find_if(from, to, [&](const auto& entry) { return entry.second == held.id; });
    if (own != to) behind_.erase(own);
    return;
  }
  by_job_.erase(holder);
  const auto next = behind_.find(job);
  if (next == behind_.end()) return;
  Held& other = held_.at(next->second);
  behind_.erase(next);
  begin(other, now);
}

// Of a job that is another message's: its mark is not this one's to write.
void Pool::return_unlooked(Held& held, Instant now) {
  held.end = End::kRelease;
  held.visibility_s = 0;
  ++counts_.released;
  go(held, Step::kReturn, now);
}

void Pool::looked_up_mark(Held& held, const Bytes* text, Instant now) {
  held.marked = text != nullptr;
  if (text != nullptr) {
    auto mark = task::parse_mark(*text);
    if (mark) {
      held.mark = std::move(*mark);
      held.mark.id = held.job().call.id;
    } else {
      say(Severity::kWarning, "mark_unreadable", held, {{"reason", mark.error().message}});
    }
  }
  held.mark.attempts = std::max(held.mark.attempts, held.job().call.attempt);
  if (held.mark.state == task::MarkState::kDead) {  // only the rest of that ending is missing
    if (const auto spec = find_task(held)) held.spec = spec;
    held.end = End::kDead;
    return go(held, Step::kDead, now);
  }
  const std::uint32_t before = held.message.receives - 1;
  suspect(held, before > held.mark.receives ? before - held.mark.receives : 0);
  if (held.mark.state == task::MarkState::kStarted) {
    ++held.mark.attempts;
    ++held.mark.crashes;
    held.mark.last_error = {.type = "Crashed",
                            .message = "an attempt began and its worker was not heard of again",
                            .traceback = ""};
    suspect(held, std::max(held.unexplained, 1U));
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
  if (is_cancelled(held)) return end_cancelled(held, now);
  const auto spec = find_task(held);
  if (spec == nullptr) {
    const Bytes name = held.job().event.empty() ? held.job().call.task : held.job().configuration;
    held.mark.last_error = {.type = "UnknownTask",
                            .message = fmt::format("no module of this pool has the task {}", name),
                            .traceback = ""};
    ++counts_.parked;
    say(Severity::kWarning, "job_parked", held, {{"reason", "unknown-task"}, {"retry_in", "300"}});
    return end_back(held, End::kPark, kUnknownTaskDelay, now);
  }
  held.spec = spec;
  ++(spec->async ? queues_[held.queue].async_came : queues_[held.queue].plain_came);
  if (!held.job().event.empty()) held.jobs[held.at].call.keep_result = spec->keep_result;
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
  if (is_cancelled(held)) return end_cancelled(held, now);
  enter(held, Step::kReady);
  held.in_flight = false;
  held.ready_since = now.boot;
  late_floor_ = std::min(late_floor_, now.boot + Nanos(options_.queueing_limit));
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
  held.mark.last_error.log = fmt::format("{}", fmt::join(held.lines, "\n"));
  const task::RetryPolicy& policy = held.spec->retry;
  if (!retry || held.mark.attempts > policy.retries || held.mark.crashes >= task::kCrashesMax) {
    return end_dead(held, std::move(reason), now);
  }
  Duration wait = delay ? *delay : task::retry_delay(policy, held.mark.attempts, entropy_.u64());
  const bool sent_again = wait > task::kDelayMax && held.job().event.empty();
  if (wait > kVisibilityMax && !sent_again) {
    say(Severity::kWarning, "delay_shortened", held,
        {{"asked_s", std::to_string(wait / 1s)}, {"to_s", std::to_string(kVisibilityMax / 1s)}});
    wait = kVisibilityMax;
  }
  held.end = End::kRetry;
  if (sent_again) held.later = to_ms(now.wall + wait);
  say(Severity::kWarning, "job_failed", held,
      {{"reason", reason},
       {"error", task::error_text(held.mark.last_error)},
       {"retry_in", fmt::format("{:.1f}", static_cast<double>(wait.count()) / 1000)}});
  end_back(held, End::kRetry, wait, now);
}

void Pool::end_dead(Held& held, Bytes reason, Instant now) {
  if (held.spec->name.empty()) {
    if (const auto spec = find_task(held)) held.spec = spec;
  }
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
  if (held.later != 0) held.mark.receives = 0;  // of the message that will be
  held.visibility_s =
      static_cast<int>(std::chrono::ceil<std::chrono::seconds>(std::max(delay, Duration(0))).count());
  go(held, Step::kMark, now);
}

// What has not started goes back now; what a child has is ended and goes back after it.
void Pool::take_back(Held& held, Instant now) {
  if (held.taken_back || held.step > Step::kGiven) return;
  held.taken_back = true;
  if (held.step == Step::kBehind) return return_unlooked(held, now);
  if (held.step == Step::kReady) return end_back(held, End::kRelease, 0ms, now);
  const auto child = children_.find(held.child);
  if (held.step == Step::kGiven && child != children_.end()) kill(child->second, now);
}

void Pool::finish_job(Held& held, Instant now) {
  if (held.end == End::kDone || held.end == End::kCancelled) {
    ++(held.end == End::kDone ? counts_.done : counts_.cancelled);
    remember_done(held.job());
    if (held.marked) held.spent.push_back(task::mark_key(held.job().call.id));
    if (held.job().call.body) held.spent.push_back(held.job().call.body->key);
    if (is_cancelled(held)) held.spent.push_back(task::cancel_key(held.job().call.id));
  } else {
    ++counts_.dead;
  }
  if (held.at + 1 < held.jobs.size()) {
    enter(held, Step::kMarkLookup);
    let_go_of_job(held, now);
    held.second = false;
    ++held.at;
    return begin(held, now);
  }
  go(held, Step::kDelete, now);
}

void Pool::keep_line(Held& held, const Bytes& line) {
  if (held.lines.size() == kLinesKept) held.lines.erase(held.lines.begin());
  held.lines.push_back(line.substr(0, kLineBytesMax));
}

// The message once more, for then.
Bytes Pool::later_text(const Held& held) const {
  task::Envelope call = held.job().call;
  call.not_before = held.later;
  call.attempt = held.mark.attempts;
  return task::write_later(
      {.queue = queues_[held.queue].name, .message = task::write_envelope(call), .due = held.later});
}

Bytes Pool::result_text(const Held& held, Instant now) const {
  const task::Envelope& call = held.job().call;
  const bool done = held.end == End::kDone;
  const bool dead = held.end == End::kDead;
  return task::write_result({.id = call.id,
                             .task = held.spec->name.empty() ? call.task : held.spec->name,
                             .queue = queues_[held.queue].name,
                             .state = done   ? task::JobState::kDone
                                      : dead ? task::JobState::kDead
                                             : task::JobState::kCancelled,
                             .result = done ? held.result : "null",
                             .error = dead ? held.mark.last_error : task::TaskError{},
                             .attempts = held.mark.attempts + (done ? 1 : 0),
                             .sent = call.sent,
                             .started = to_ms(held.started),
                             .ended = to_ms(now.wall),
                             .request_id = call.request_id,
                             .host = options_.host,
                             .worker = options_.name});
}

codec::Pairs Pool::dead_attributes(const Held& held) const {
  const Bytes name = held.spec->name.empty() ? held.job().call.task : held.spec->name;
  codec::Pairs out = {{"headrace-attempts", std::to_string(held.mark.attempts)},
                      {"headrace-error", task::error_text(held.mark.last_error)},
                      {"headrace-job", held.job().call.id},
                      {"headrace-reason", held.mark.reason}};
  if (!name.empty()) out.emplace_back("headrace-task", name);
  return out;
}

// A copy of a message whose job ended well here is deleted without a run.
bool Pool::known_done(const task::Job& job) const { return done_.contains(job.call); }

void Pool::remember_done(const task::Job& job) {
  const auto [place, added] = done_.insert({job.call.id, job.call.sent});
  if (!added) return;
  done_order_.push_back(&*place);
  if (done_order_.size() <= kDoneKept) return;
  done_.erase(*done_order_.front());
  done_order_.pop_front();
}

}  // namespace hr::worker
