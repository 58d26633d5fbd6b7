// Which child gets which job, in which order, and getting back what it has not begun. A child that works on
// short tasks has the next ones in front of it; one that turns out long lets them go.
#include "worker/pool.h"

#include <algorithm>

namespace hr::worker {
namespace {

constexpr Duration kLeaseLeft = 10s;  // beyond the margin, for a job to begin; of a short lease a third
constexpr Nanos kAround = std::chrono::microseconds(20);  // what a job costs a child beyond its handler
constexpr std::size_t kPlenty = 64;                       // jobs that a child has before it, and their work
constexpr Nanos kPlentyOfWork = std::chrono::milliseconds(5);
constexpr int kWeight = 16;  // of the past against one more run

Nanos average(Nanos known, Nanos unknown, Nanos took) {
  return known >= unknown ? took : known + (took - known) / kWeight;
}

}  // namespace

// ---- how long jobs take

void Pool::learn_time(const Held& held, Nanos took) {
  took = std::clamp(took, Nanos{}, kUnknown - kAround - Nanos(1)) + kAround;
  Nanos& task = took_.try_emplace(held.spec->name, kUnknown).first->second;
  Nanos& typical = queues_[held.queue].typical;
  task = average(task, kUnknown, took);
  typical = average(typical, kUnknown, took);
}

Nanos Pool::expected(const Held& held) const {
  const auto found = took_.find(held.spec->name);
  return found != took_.end() ? found->second : kUnknown;
}

bool Pool::has_plenty(ChildId id) const {
  const auto found = children_.find(id);
  if (found == children_.end() || found->second.state != ChildState::kBusy) return false;
  const Child& child = found->second;
  return child.given.size() >= child.running + kPlenty && child.load >= kPlentyOfWork &&
         child.load < kUnknown;
}

// ---- giving

// Whether it may be given a job: it is free, or it would begin it at once beside others, or what it has is
// short and still moves.
bool Pool::open(const Child& child, bool async, Instant now) const {
  if (child.state == ChildState::kIdle) return true;
  if (options_.recycle != 0 && child.last_given >= options_.recycle) return false;
  if (child.state != ChildState::kBusy || child.reserved != 0 || child.recalling || child.retiring ||
      child.stuck_since != Nanos{}) {
    return false;
  }
  const bool beside = async && child.plain == 0;
  if (beside && child.given.size() < options_.concurrency) return true;
  const auto at_once = static_cast<std::int64_t>(beside ? options_.concurrency : 1);
  return child.load / at_once <= options_.ahead_limit && child.given.size() < options_.ahead_max &&
         now.boot < child.since + options_.hostage_limit;
}

// A suspect starts when nothing else runs, and nothing starts beside it.
void Pool::start_ready(Instant now) {
  const bool alone =
      std::ranges::any_of(suspects_, [this](HeldId id) { return held_.at(id).step > Step::kReady; });
  if (!alone && !ready_.empty() && !resting_) fill_children(now);
  give_back_late(now);
}

void Pool::fill_children(Instant now) {
  std::vector<Child*> fillable;
  bool busy = false;
  for (auto& [id, child] : children_) {
    busy = busy || child.reserved != 0 || !child.given.empty();
    const bool half = child.load * 2 <= options_.ahead_limit && child.given.size() * 2 <= options_.ahead_max;
    const bool async = !child.given.empty() && child.plain == 0;
    if ((half || async) && open(child, async, now)) fillable.push_back(&child);
  }
  if (fillable.empty()) return;
  const std::vector<HeldId> ready(ready_.begin(), ready_.end());
  for (const HeldId id : ready) {
    Held& held = held_.at(id);
    if (held.suspect() && busy) continue;  // nothing new is received: its turn comes
    std::erase_if(fillable, [&](const Child* child) { return !open(*child, child->plain == 0, now); });
    if (fillable.empty()) return;
    // Those without a job first, the one that has had none for longest; then who will be free first.
    Child& child = **std::ranges::min_element(
        fillable, {}, [](const Child* one) { return std::pair(one->load, one->since); });
    if (!open(child, held.spec->async, now) || !start(held, child, now)) continue;
    busy = true;
    if (held.suspect()) return;
  }
}

// False: not now.
bool Pool::start(Held& held, Child& child, Instant now) {
  const Duration enough = std::min<Duration>(kLeaseLeft, options_.lease / 3);
  if (held.lease_end - now.boot < options_.lease_margin + enough) return false;
  if (known_done(held.job())) {
    held.end = End::kDone;
    finish_job(held, now);
    return false;
  }
  // A job runs once at a time, whatever number of messages carry it; a run that was cut off counts until its
  // process is gone.
  if (busy_jobs_.contains(held.job().call.id)) return false;
  child.state = ChildState::kBusy;
  held.child = child.id;
  if (!held.suspect()) {
    run(held, child, now);
    return true;
  }
  child.reserved = held.id;
  child.since = now.boot;
  child.since_wall = now.wall;
  held.mark.state = task::MarkState::kStarted;
  held.mark.receives = held.message.receives;
  go(held, Step::kStarting, now);
  return true;
}

void Pool::run(Held& held, Child& child, Instant now) {
  const task::Envelope& call = held.job().call;
  enter(held, Step::kGiven);
  held.in_flight = false;
  held.time_limit = Nanos::max();
  held.lines.clear();
  child.given.push_back({++child.last_given, held.id, call.id, expected(held), held.spec->async});
  child.load += child.given.back().expected;
  if (!held.spec->async) ++child.plain;
  ++busy_jobs_[call.id];
  if (child.given.size() == 1 || held.lease_end < child.lease) {
    child.lease = held.lease_end;
    actions_.emplace_back(SetLease{child.id, child.lease});
  }
  advance(child, now);
  actions_.emplace_back(WriteFrame{child.id, write_run({.ordinal = child.last_given,
                                                        .id = call.id,
                                                        .task = held.spec->name,
                                                        .args = call.args,
                                                        .kwargs = call.kwargs,
                                                        .event = held.job().event,
                                                        .attempt = held.mark.attempts + 1,
                                                        .timeout = held.spec->timeout,
                                                        .keep_result = call.keep_result,
                                                        .queue = queues_[held.queue].name,
                                                        .request_id = call.request_id,
                                                        .traceparent = call.traceparent})});
}

// What is next runs from now on, as far as can be told from here: one job, or async ones beside each other.
void Pool::advance(Child& child, Instant now) {
  while (child.running < child.given.size()) {
    const Given& next = child.given[child.running];
    const bool beside = next.async && child.given.front().async && child.running < options_.concurrency;
    if (child.running > 0 && !beside) break;
    ++child.running;
    child.since = now.boot;
    child.since_wall = now.wall;
    const auto found = held_.find(next.held);
    if (found == held_.end()) continue;
    Held& held = found->second;
    held.began = now.boot;
    held.started = now.wall;
    held.time_limit = now.boot + held.spec->timeout;
    if (next.async) held.time_limit += options_.cancel_limit;
    child.limit = std::min(child.limit, held.time_limit);
    if (held.lease_end != child.lease) update_lease(child);
    say(Severity::kInfo, "job_started", held);
  }
}

// Takes one out of those given, whatever became of it; the next comes to the front.
void Pool::drop(Child& child, const std::deque<Given>::const_iterator& given, Instant now) {
  const bool ran = static_cast<std::size_t>(given - child.given.begin()) < child.running;
  child.load -= given->expected;
  if (!given->async) --child.plain;
  if (const auto busy = busy_jobs_.find(given->job); --busy->second == 0) busy_jobs_.erase(busy);
  child.given.erase(given);
  if (ran) {
    --child.running;
    child.since = now.boot;
  }
  if (child.given.empty()) return free_child(child, now);
  if (ran && child.state == ChildState::kBusy) advance(child, now);
}

// Whoever ran past its time limit is to be ended, once it is sure that it still runs.
void Pool::end_late(Child& child, Instant now) {
  if (now.boot < child.limit) return;
  child.limit = Nanos::max();
  for (std::size_t i = 0; i < child.running; ++i) {
    const auto found = held_.find(child.given[i].held);
    if (found == held_.end()) continue;
    if (now.boot >= found->second.time_limit) {
      found->second.doom = found->second.told_to_end ? Doom::kCancel : Doom::kTime;
      recall(child);
    } else {
      child.limit = std::min(child.limit, found->second.time_limit);
    }
  }
}

void Pool::free_child(Child& child, Instant now) {
  if (child.state != ChildState::kBusy) return;
  child.state = ChildState::kIdle;
  child.since = now.boot;
  child.since_wall = now.wall;
  child.lease = {};
  child.limit = Nanos::max();
  actions_.emplace_back(SetLease{child.id, Nanos{}});
  const bool used_up = options_.recycle != 0 && child.last_given >= options_.recycle;
  if (!used_up && !child.retiring) return;
  say(Severity::kNotice, "child_retired",
      {{"child", std::to_string(child.id)},
       {"reason", used_up       ? "recycle"
                  : child.tired ? "descriptors"
                                : "memory"}});
  stop(child, now);
}

// It ends before the first lease of what it was given does. What is lost is no longer waited for.
void Pool::update_lease(Child& child) {
  Nanos first = Nanos::max();
  for (const Given& given : child.given) {
    const auto found = held_.find(given.held);
    if (found != held_.end()) first = std::min(first, found->second.lease_end);
  }
  if (first == Nanos::max() || first == child.lease) return;
  child.lease = first;
  actions_.emplace_back(SetLease{child.id, first});
}

// ---- getting back

void Pool::recall(Child& child) {
  if (child.recalling || child.state != ChildState::kBusy || child.given.empty()) return;
  child.recalling = true;
  child.recalled = child.last_given;
  actions_.emplace_back(Recall{child.id, child.last_given});
}

// From here on it begins nothing of what it has: what it has not begun is free for others, and what it runs
// can be ended without harm to anything else. (`begun` may be what an earlier recall closed.)
void Pool::recalled(ChildId id, std::uint64_t begun, Instant now) {
  const auto found = children_.find(id);
  if (found == children_.end() || left_) return;
  Child& child = found->second;
  child.recalling = false;
  const bool moves = child.given.empty() || begun >= child.given.front().ordinal;
  if (moves) {
    child.stuck_since = {};
  } else if (child.stuck_since == Nanos{}) {
    child.stuck_since = child.since;
  }
  while (!child.given.empty() && child.given.back().ordinal > begun) {
    const auto held = held_.find(child.given.back().held);
    drop(child, std::prev(child.given.end()), now);
    if (held == held_.end()) continue;
    held->second.child = 0;
    make_ready(held->second, now);
  }
  for (const Given& given : child.given) {
    const auto held = held_.find(given.held);
    const bool unwanted = held == held_.end() || held->second.doom != Doom::kNone;
    // Of plain jobs it is the last that runs, those before it have ended; async ones may all still run.
    const bool runs = given.async || &given == &child.given.back();
    if (unwanted && runs) {
      kill(child, now);
    } else if (held != held_.end()) {
      held->second.doom = Doom::kNone;  // if it had one: it has ended in time, and says so any moment
      if (runs && is_cancelled(held->second)) end_running(child, held->second, now);
    }
  }
  if (!moves && now.boot >= child.stuck_since + options_.stuck_limit) {
    say(Severity::kError, "child_stuck", {{"child", std::to_string(id)}});
    kill(child, now);
  }
  update_lease(child);
  settle(now);
}

// Given back rather than kept from a worker that is free. A suspect waits to be alone, and the others not for
// it.
void Pool::give_back_late(Instant now) {
  if (now.boot < late_floor_ && !resting_) return;
  late_floor_ = Nanos::max();
  const bool idle = std::ranges::any_of(
      children_, [](const auto& entry) { return entry.second.state == ChildState::kIdle; });
  const std::vector<HeldId> ready(ready_.begin(), ready_.end());
  for (const HeldId id : ready) {
    Held& held = held_.at(id);
    if (resting_) {
      take_back(held, now);
      continue;
    }
    if (held.suspect()) continue;
    const Nanos late = held.ready_since + options_.queueing_limit;
    if (now.boot < late) {
      late_floor_ = std::min(late_floor_, late);
    } else if (idle && suspects_.empty()) {
      late_floor_ = std::min(late_floor_, now.boot + Nanos(options_.queueing_limit));
    } else {
      take_back(held, now);
    }
  }
}

}  // namespace hr::worker
