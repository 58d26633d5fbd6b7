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
constexpr std::uint64_t kRetireTenths = 9;  // of the memory limit

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
  children_[id] = {.id = id, .since = now.boot, .since_wall = now.wall};
  actions_.emplace_back(Spawn{id});
}

void Pool::tick_children(Instant now) {
  for (auto& [id, child] : children_) tick_child(child, now);
  if (!draining_ && !left_) grow_and_shrink(now);
}

void Pool::tick_child(Child& child, Instant now) {
  const Nanos age = now.boot - child.since;
  if (child.state == ChildState::kStarting && age >= options_.start_limit) {
    say(Severity::kError, "child_slow",
        {{"child", std::to_string(child.id)}, {"reason", "not ready in time"}});
    kill(child, now);
  }
  if (child.state == ChildState::kStopping && age >= kStopLimit) kill(child, now);
  if (child.state != ChildState::kBusy || child.given.empty()) return;
  const bool behind = child.given.size() > child.running && child.last_given > child.recalled;
  if (behind && age >= options_.hostage_limit) recall(child);
  if (child.stuck_since != Nanos{} && now.boot >= child.stuck_since + options_.stuck_limit) recall(child);
  end_late(child, now);
}

// Past the limit, the job that runs ends with its child; near it, the child ends after the job.
void Pool::child_uses(ChildId id, std::uint64_t bytes, Instant now) {
  const auto found = children_.find(id);
  if (found == children_.end() || left_ || options_.memory_bytes == 0) return;
  Child& child = found->second;
  if (bytes * 10 < options_.memory_bytes * kRetireTenths) return;
  if (child.state == ChildState::kIdle) {
    if (child.last_given == 0) return;  // that is what its modules take: another one would be no smaller
    say(Severity::kNotice, "child_retired", {{"child", std::to_string(id)}, {"reason", "memory"}});
    stop(child, now);
  } else if (child.state == ChildState::kBusy && !child.given.empty()) {
    const auto held = held_.find(child.given.front().held);
    if (bytes > options_.memory_bytes && child.running > 1) {
      kill(child, now);  // who of them it was shows when each runs alone
    } else if (bytes > options_.memory_bytes && held != held_.end()) {
      held->second.doom = Doom::kMemory;
      held->second.used_bytes = bytes;
    }
    child.retiring = true;
    recall(child);
  }
  settle(now);
}

// Keeps as many as there should be: one until the modules were imported once, then the least number, more
// while all are busy and messages wait, fewer when one has had nothing to do.
void Pool::grow_and_shrink(Instant now) {
  const std::size_t least = ever_ready_ ? options_.processes.least : 1;
  std::size_t live = live_children();
  if (now.boot >= spawn_at_) spawn_at_ = {};
  while (live < least && now.boot >= spawn_at_) {
    spawn(now);
    ++live;
  }
  Child* idle = nullptr;  // for longest
  bool starting = false;
  for (auto& [id, child] : children_) {
    starting = starting || child.state == ChildState::kStarting;
    if (child.state == ChildState::kIdle && (idle == nullptr || child.since < idle->since)) idle = &child;
  }
  if (idle != nullptr || starting || !prepared_) {
    busy_since_ = {};
  } else if (busy_since_ == Nanos{}) {
    busy_since_ = now.boot;
  } else if (hungry_ && live < options_.processes.most && now.boot >= busy_since_ + kGrowAfter &&
             now.boot >= spawn_at_ && suspects_.empty()) {
    spawn(now);
    busy_since_ = {};
  }
  if (idle != nullptr && live > options_.processes.least && now.boot >= idle->since + options_.idle_limit) {
    stop(*idle, now);
  }
}

void Pool::stop(Child& child, Instant now) {
  child.state = ChildState::kStopping;
  child.since = now.boot;
  actions_.emplace_back(WriteFrame{child.id, write_stop()});
}

void Pool::kill(Child& child, Instant now) {
  if (child.state == ChildState::kKilled) return;
  child.state = ChildState::kKilled;
  child.since = now.boot;
  actions_.emplace_back(Kill{child.id});
}

// ---- what they say

void Pool::child_said(ChildId id, std::span<const ByteView> frames, Instant now) {
  for (const ByteView frame : frames) {
    const auto found = children_.find(id);
    if (found == children_.end() || left_) return;
    child_said(found->second, frame, now);
  }
  settle(now);
}

void Pool::child_said(Child& child, ByteView frame, Instant now) {
  auto message = parse_child_message(frame);
  if (!message) {
    if (child.state == ChildState::kStarting && !ever_ready_) {
      return start_failed(message.error().message, Exit::How::kConfiguration, now);
    }
    say(Severity::kError, "child_unclear",
        {{"child", std::to_string(child.id)}, {"reason", message.error().message}});
    return kill(child, now);
  }
  if (auto* ready = std::get_if<Ready>(&*message)) {
    if (child.state == ChildState::kStarting) child_ready(child, *ready, now);
  } else if (auto* failed = std::get_if<FailedStart>(&*message)) {
    const Bytes where = failed->file.empty() ? Bytes() : fmt::format("{}:{}: ", failed->file, failed->line);
    start_failed(where + failed->message, Exit::How::kConfiguration, now);
  } else if (auto* line = std::get_if<LogLine>(&*message)) {
    const std::vector<Field> fields = {{"logger", line->logger}, {"message", line->message}};
    const auto given = std::ranges::find(child.given, line->id, &Given::job);
    const auto held = given != child.given.end() ? held_.find(given->held) : held_.end();
    if (held != held_.end()) {
      keep_line(held->second, line->level + " " + line->message);
      say(severity_of(line->level), "task_log", held->second, fields);
    } else {
      say(severity_of(line->level), "child_log", fields);
    }
  } else if (auto* done = std::get_if<Done>(&*message)) {
    job_said(child, done->id, *message, now);
  } else if (auto* failure = std::get_if<Failed>(&*message)) {
    job_said(child, failure->id, *message, now);
  }
}

// How a job ended. One whose lease is lost only makes room; one that never was this child's is not heard.
void Pool::job_said(Child& child, const Bytes& job, ChildMessage& message, Instant now) {
  const auto given = std::ranges::find(child.given, job, &Given::job);
  if (given == child.given.end()) return;
  spawn_backoff_ = {};
  child.stuck_since = {};
  const auto found = held_.find(given->held);
  if (const auto* failed = std::get_if<Failed>(&message); failed != nullptr && failed->tired) {
    child.retiring = child.tired = true;
  }
  drop(child, given, now);
  if (child.retiring) recall(child);
  if (found == held_.end()) return;
  Held& held = found->second;
  if (held.began == Nanos{}) held.began = now.boot;  // it was told before we saw it begin
  if (auto* done = std::get_if<Done>(&message)) {
    learn_time(held, done->took);
    say(Severity::kInfo, "job_done", held,
        {{"seconds", fmt::format("{:.3f}", std::chrono::duration<double>(done->took).count())}});
    return end_done(held, std::move(done->result), now);
  }
  Failed& failed = std::get<Failed>(message);
  if (held.told_to_end) return end_cancelled(held, now);
  learn_time(held, failed.took);
  end_failed(held, std::move(failed.error), failed.late ? "timeout" : "exception", failed.retry, failed.delay,
             now);
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
  if (log_level_) actions_.emplace_back(WriteFrame{child.id, write_log_level(*log_level_)});
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
  const auto ran = [&](const Given& given) { return given.ordinal <= how.begun; };
  const bool several = std::ranges::count_if(child.given, ran) > 1;
  const bool doomed = std::ranges::any_of(child.given, [&](const Given& given) {
    const auto held = held_.find(given.held);
    return ran(given) && (held == held_.end() || held->second.doom != Doom::kNone);
  });
  for (const Given& given : child.given) {
    if (const auto busy = busy_jobs_.find(given.job); --busy->second == 0) busy_jobs_.erase(busy);
    const auto held = held_.find(given.held);
    if (held == held_.end()) continue;
    held->second.child = 0;
    if (given.ordinal > how.begun) {
      make_ready(held->second, now);
    } else if (several && given.async && held->second.doom == Doom::kNone && !held->second.taken_back) {
      // Who of them it was shows when each runs alone; if we ended it, it was none of these.
      if (!doomed) suspect(held->second, std::max(held->second.unexplained, 1U));
      end_back(held->second, End::kRelease, 0ms, now);
    } else {
      job_ended_with_child(held->second, id, how, now);
    }
  }
  if (const auto held = held_.find(child.reserved); held != held_.end()) held->second.child = 0;
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

void Pool::job_ended_with_child(Held& held, ChildId child, ChildEnd how, Instant now) {
  if (now.boot >= held.lease_end - options_.lease_margin) {
    return lose(held, "its child ended itself at the end of the lease", now);
  }
  if (held.doom == Doom::kMemory) {
    ++held.mark.crashes;
    ++counts_.crashed;
    const Bytes text =
        fmt::format("its processes used {} MiB, more than the {} MiB of its pool, and were ended",
                    held.used_bytes >> 20, options_.memory_bytes >> 20);
    return end_failed(held, {.type = "MemoryLimit", .message = text, .traceback = ""}, "memory", true,
                      std::nullopt, now);
  }
  if (held.doom == Doom::kTime) {
    const Bytes text = fmt::format("it ran longer than {} s and was ended",
                                   static_cast<double>(held.spec->timeout.count()) / 1000);
    return end_failed(held, {.type = "TimeLimit", .message = text, .traceback = ""}, "timeout", true,
                      std::nullopt, now);
  }
  if (held.taken_back) return end_back(held, End::kRelease, 0ms, now);
  if (held.told_to_end) return end_cancelled(held, now);
  ++held.mark.crashes;
  ++counts_.crashed;
  const Bytes text = fmt::format("child {} ended with {} while it ran this job", child, how_text(how));
  end_failed(held, {.type = "Crashed", .message = text, .traceback = ""}, "crashed", true, std::nullopt, now);
}

}  // namespace hr::worker
