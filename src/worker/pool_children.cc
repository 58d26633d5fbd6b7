// Processes: starting them, giving them jobs, and what their deaths mean.
#include "worker/pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace hr::worker {
namespace {

constexpr Duration kSpawnBackoff = 100ms;
constexpr Duration kSpawnBackoffMax = 10s;
constexpr Duration kGrowAfter = 200ms;
constexpr Duration kStopLimit = 10s;
constexpr std::uint32_t kStartFailuresMax = 3;
constexpr Duration kLeaseLeft = 10s;  // beyond the margin, for a job to begin

Bytes how_text(ChildEnd how) {
  if (how.signal == 0) return fmt::format("exit status {}", how.status);
  const char* name = sigabbrev_np(how.signal);
  return fmt::format("signal {} (SIG{})", how.signal, name != nullptr ? name : "?");
}

Severity severity_of(ByteView level) {
  if (level == "debug") return Severity::kDebug;
  if (level == "warning") return Severity::kWarning;
  if (level == "error" || level == "critical") return Severity::kError;
  return Severity::kInfo;
}

}  // namespace

std::size_t Pool::live_children() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      children_, [](const auto& entry) { return entry.second.state <= ChildState::kBusy; }));
}

void Pool::spawn(Instant now) {
  const ChildId id = next_child_++;
  children_[id] = {.id = id, .job = {}, .since = now.boot, .since_wall = now.wall};
  actions_.emplace_back(Spawn{id});
}

// Keeps as many as there should be: one until the modules were imported once, then the least number, more
// while all are busy and messages wait, fewer when one has had nothing to do.
void Pool::tick_children(Instant now) {
  for (auto& [id, child] : children_) {
    const Nanos age = now.boot - child.since;
    if (child.state == ChildState::kStarting && age >= options_.start_limit) {
      say(Severity::kError, "child_slow", {{"child", std::to_string(id)}, {"reason", "not ready in time"}});
      kill(child, now);
    }
    if (child.state == ChildState::kStopping && age >= kStopLimit) kill(child, now);
    const auto held = held_.find(child.held);
    if (held != held_.end() && held->second.step == Step::kRunning && now.boot >= held->second.time_limit &&
        child.state == ChildState::kBusy) {
      held->second.timed_out = true;
      kill(child, now);
    }
  }
  if (draining_ || left_) return;
  const std::size_t least = ever_ready_ ? options_.processes.least : 1;
  std::size_t live = live_children();
  if (now.boot >= spawn_at_) spawn_at_ = {};
  while (live < least && now.boot >= spawn_at_) {
    spawn(now);
    ++live;
  }
  Child* idle = idle_child();
  const bool starting = std::ranges::any_of(
      children_, [](const auto& entry) { return entry.second.state == ChildState::kStarting; });
  if (idle != nullptr || starting || !prepared_) {
    busy_since_ = {};
  } else if (busy_since_ == Nanos{}) {
    busy_since_ = now.boot;
  } else if (hungry_ && live < options_.processes.most && now.boot >= busy_since_ + kGrowAfter &&
             now.boot >= spawn_at_ && !suspects()) {
    spawn(now);
    busy_since_ = {};
  }
  if (idle != nullptr && live > options_.processes.least && now.boot >= idle->since + options_.idle_limit) {
    idle->state = ChildState::kStopping;
    idle->since = now.boot;
    actions_.emplace_back(WriteFrame{idle->id, write_stop()});
  }
}

// The one that has been idle longest.
Pool::Child* Pool::idle_child() {
  Child* best = nullptr;
  for (auto& [id, child] : children_) {
    if (child.state == ChildState::kIdle && (best == nullptr || child.since < best->since)) best = &child;
  }
  return best;
}

// A job runs once at a time, whatever number of messages carry it, and a run that was cut off counts until
// its process is gone.
bool Pool::may_start(const Held& held) const {
  const Bytes& job = held.job().call.id;
  const bool runs =
      std::ranges::any_of(children_, [&](const auto& entry) { return entry.second.job == job; });
  const bool ends = std::ranges::any_of(held_, [&](const auto& entry) {
    const Held& other = entry.second;
    return other.id != held.id && other.step > Step::kReady && other.at < other.jobs.size() &&
           other.job().call.id == job;
  });
  return !runs && !ends;
}

void Pool::start_ready(Instant now) {
  std::vector<HeldId> ready;
  bool busy = std::ranges::any_of(children_, [](const auto& entry) { return !entry.second.job.empty(); });
  bool suspect_runs = false;
  for (const auto& [id, held] : held_) {
    if (held.started_running() && held.suspect()) suspect_runs = true;
    if (held.step == Step::kReady) ready.push_back(id);
  }
  for (const HeldId id : ready) {
    Held& held = held_.at(id);
    Child* child = idle_child();
    if (child == nullptr) {
      // Given back rather than kept from a worker that is free. A suspect waits to be alone.
      if (!held.suspect() && now.boot >= held.ready_since + options_.queueing_limit) take_back(held, now);
      continue;
    }
    if (suspect_runs || (held.suspect() && busy)) return;
    if (held.lease_end - now.boot < options_.lease_margin + kLeaseLeft) continue;
    if (known_done(held.job())) {
      held.end = End::kDone;
      finish_job(held, now);
      continue;
    }
    if (!may_start(held)) continue;
    busy = true;
    suspect_runs = held.suspect();
    child->state = ChildState::kBusy;
    child->held = id;
    child->job = held.job().call.id;
    child->since = now.boot;
    child->since_wall = now.wall;
    held.child = child->id;
    if (!held.suspect()) {
      run(held, now);
      continue;
    }
    held.mark.state = task::MarkState::kStarted;
    held.mark.receives = held.message.receives;
    go(held, Step::kStarting, now);
  }
}

void Pool::run(Held& held, Instant now) {
  const task::Envelope& call = held.job().call;
  held.step = Step::kRunning;
  held.in_flight = false;
  held.retry_at = {};
  held.began = now.boot;
  held.started = now.wall;
  held.time_limit = now.boot + held.spec.timeout;
  say(Severity::kInfo, "job_started", held);
  actions_.emplace_back(SetLease{held.child, held.lease_end});
  actions_.emplace_back(WriteFrame{held.child, write_run({.id = call.id,
                                                          .task = held.spec.name,
                                                          .args = call.args,
                                                          .kwargs = call.kwargs,
                                                          .event = held.job().event,
                                                          .attempt = held.mark.attempts + 1,
                                                          .timeout = held.spec.timeout,
                                                          .keep_result = call.keep_result,
                                                          .queue = queues_[held.queue].name,
                                                          .request_id = call.request_id})});
}

void Pool::free_child(Child& child, Instant now) {
  child.held = 0;
  child.job.clear();
  if (child.state != ChildState::kBusy) return;
  child.state = ChildState::kIdle;
  child.since = now.boot;
  child.since_wall = now.wall;
  actions_.emplace_back(SetLease{child.id, Nanos{}});
}

void Pool::kill(Child& child, Instant now) {
  if (child.state == ChildState::kKilled) return;
  child.state = ChildState::kKilled;
  child.since = now.boot;
  actions_.emplace_back(Kill{child.id});
}

// ---- what they say

void Pool::child_said(ChildId id, ByteView frame, Instant now) {
  const auto found = children_.find(id);
  if (found == children_.end() || left_) return;
  Child& child = found->second;
  auto message = parse_child_message(frame);
  const auto held = held_.find(child.held);
  const auto about = [&](const Bytes& job) {
    return held != held_.end() && held->second.step == Step::kRunning && held->second.job().call.id == job;
  };
  if (!message) {
    if (child.state == ChildState::kStarting && !ever_ready_) {
      return start_failed(message.error().message, Exit::How::kConfiguration, now);
    }
    say(Severity::kError, "child_unclear",
        {{"child", std::to_string(id)}, {"reason", message.error().message}});
    kill(child, now);
  } else if (auto* ready = std::get_if<Ready>(&*message)) {
    if (child.state == ChildState::kStarting) child_ready(child, *ready, now);
  } else if (auto* failed = std::get_if<FailedStart>(&*message)) {
    const Bytes where = failed->file.empty() ? Bytes() : fmt::format("{}:{}: ", failed->file, failed->line);
    start_failed(where + failed->message, Exit::How::kConfiguration, now);
  } else if (auto* line = std::get_if<LogLine>(&*message)) {
    const std::vector<std::pair<std::string_view, Bytes>> fields = {{"logger", line->logger},
                                                                    {"message", line->message}};
    if (about(line->id)) {
      say(severity_of(line->level), "task_log", held->second, fields);
    } else {
      say(severity_of(line->level), "child_log", fields);
    }
  } else if (auto* done = std::get_if<Done>(&*message)) {
    if (!about(done->id)) return;  // its lease is lost, or it never was this child's
    Held& job = held->second;
    const double seconds = static_cast<double>((now.boot - job.began).count()) / 1e9;
    say(Severity::kInfo, "job_done", job, {{"seconds", fmt::format("{:.3f}", seconds)}});
    spawn_backoff_ = {};
    free_child(child, now);
    end_done(job, std::move(done->result), now);
  } else if (auto* failure = std::get_if<Failed>(&*message)) {
    if (!about(failure->id)) return;
    spawn_backoff_ = {};
    free_child(child, now);
    end_failed(held->second, std::move(failure->error), "exception", failure->retry, failure->delay, now);
  }
  settle(now);
}

void Pool::child_ready(Child& child, const Ready& ready, Instant now) {
  child.state = ChildState::kIdle;
  child.since = now.boot;
  child.since_wall = now.wall;
  say(Severity::kInfo, "child_started",
      {{"child", std::to_string(child.id)},
       {"python", ready.python},
       {"tasks", std::to_string(ready.tasks.size())}});
  learn(ready);
  start_failures_ = 0;
  if (!std::exchange(ever_ready_, true)) actions_.emplace_back(Prepare{ready});
}

// Before anything ever worked there is nothing to wait for: whoever started this must hear it.
void Pool::start_failed(const Bytes& message, Exit::How how, Instant now) {
  if (!ever_ready_) return leave(how, message);
  say(Severity::kError, "child_not_started", {{"reason", message}});
  spawn_backoff_ = std::clamp(spawn_backoff_ * 2, kSpawnBackoff, kSpawnBackoffMax);
  spawn_at_ = now.boot + spawn_backoff_;
}

// ---- how they end

void Pool::child_ended(ChildId id, ChildEnd how, Instant now) {
  const auto found = children_.find(id);
  if (found == children_.end() || left_) return;
  const Child child = found->second;
  children_.erase(found);
  const bool asked = child.state == ChildState::kStopping || draining_;
  say(asked ? Severity::kInfo : Severity::kWarning, "child_ended",
      {{"child", std::to_string(id)}, {"how", how_text(how)}});
  if (const auto held = held_.find(child.held); held != held_.end()) {
    job_ended_with_child(held->second, how, now);
  }
  if (!ever_ready_ && !draining_) {
    const Bytes text = fmt::format("the first child ended with {} before it was ready", how_text(how));
    if (how.signal == 0) {
      start_failed(text + "; is the headrace package in that interpreter? (headrace python install PATH)",
                   Exit::How::kConfiguration, now);
    } else if (++start_failures_ >= kStartFailuresMax) {
      start_failed(text, Exit::How::kFailed, now);
    }
  }
  if (!asked) {
    spawn_backoff_ = std::clamp(spawn_backoff_ * 2, kSpawnBackoff, kSpawnBackoffMax);
    spawn_at_ = now.boot + spawn_backoff_;
  }
  settle(now);
}

void Pool::job_ended_with_child(Held& held, ChildEnd how, Instant now) {
  const ChildId child = std::exchange(held.child, 0);
  if (held.step != Step::kRunning) return;  // kStarting: it never got the job
  if (now.boot >= held.lease_end - options_.lease_margin) {
    return lose(held, "its child ended itself at the end of the lease", now);
  }
  if (held.timed_out) {
    const Bytes text = fmt::format("it ran longer than {} s and was ended",
                                   static_cast<double>(held.spec.timeout.count()) / 1000);
    return end_failed(held, {.type = "TimeLimit", .message = text, .traceback = ""}, "timeout", true,
                      std::nullopt, now);
  }
  if (held.taken_back) return end_back(held, End::kRelease, 0ms, now);
  ++held.mark.crashes;
  ++counts_.crashed;
  const Bytes text = fmt::format("child {} ended with {} while it ran this job", child, how_text(how));
  end_failed(held, {.type = "Crashed", .message = text, .traceback = ""}, "crashed", true, std::nullopt, now);
}

}  // namespace hr::worker
