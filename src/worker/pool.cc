#include "worker/pool.h"

#include "task/names.h"

#include <algorithm>
#include <array>
#include <utility>

namespace hr::worker {
namespace {

constexpr Duration kStopLimit = 3s;   // of an idle child that was told to stop
constexpr Nanos kAMoment = 200ms;     // as pool_receive.cc and pool_children.cc count it
constexpr Duration kTellLimit = 10s;  // after the drain's end, to store what is left to say
constexpr std::array<std::string_view, 5> kStateNames = {"starting", "idle", "busy", "stopping", "killed"};

// Every child answers it (python/headrace/_registry.py), and no module declares it.
TaskSpec canary_task() {
  TaskSpec out;
  out.name = task::kCanaryTask;
  out.timeout = 30s;
  return out;
}

}  // namespace

std::string_view to_string(ChildState state) { return kStateNames[static_cast<std::size_t>(state)]; }

Bytes configuration_id(const std::vector<TriggerSpec>& triggers, std::size_t index) {
  const auto before = std::count_if(triggers.begin(), triggers.begin() + static_cast<std::ptrdiff_t>(index),
                                    [&](const auto& other) { return other.task == triggers[index].task; });
  const Bytes id = "headrace-" + triggers[index].task;
  return before == 0 ? id : id + "-" + std::to_string(before + 1);
}

const Pool::TaskSpecPtr Pool::kNoSpec = std::make_shared<const TaskSpec>();

Pool::Pool(PoolOptions options, os::Entropy& entropy) : options_(std::move(options)), entropy_(entropy) {}

std::vector<Action> Pool::take() { return std::exchange(actions_, {}); }

OpId Pool::new_op(Op op) {
  ops_.emplace(next_op_, std::move(op));
  return next_op_++;
}

void Pool::say(Severity severity, Bytes event, std::vector<Field> fields) {
  fields.emplace_back("pool", options_.name);
  actions_.emplace_back(Say{severity, std::move(event), std::move(fields)});
}

void Pool::say(Severity severity, Bytes event, const Held& held, std::vector<Field> fields) {
  constexpr std::size_t kOwn = 7;  // of what is said below, and the pool
  std::vector<Field> all;
  all.reserve(kOwn + fields.size());
  if (held.at < held.jobs.size()) {
    const task::Envelope& call = held.job().call;
    all.emplace_back("job", call.id);
    if (!call.request_id.empty()) all.emplace_back("request", call.request_id);
    all.emplace_back("task", held.spec->name.empty() ? call.task : held.spec->name);
  }
  all.emplace_back("queue", queues_[held.queue].name);
  all.emplace_back("attempt", held.mark.attempts + (held.end == End::kNone ? 1 : 0));
  if (held.child != 0) all.emplace_back("child", held.child);
  std::ranges::move(fields, std::back_inserter(all));
  say(severity, std::move(event), std::move(all));
}

void Pool::start(Instant now) { settle(now); }

void Pool::prepared(std::vector<Bytes> queues, std::size_t batch_max, Instant now) {
  prepared_ = true;
  batch_max_ = batch_max;
  for (Bytes& name : queues) {
    queues_.emplace_back().name = std::move(name);
    learn_queue(queues_.back());
  }
  settle(now);
}

// What the modules declare. A later child of changed modules brings its own tasks; the queues stay.
void Pool::learn(const Ready& ready) {
  tasks_.clear();
  by_configuration_.clear();
  by_trigger_queue_.clear();
  consumers_.clear();
  for (const ConsumerSpec& consumer : ready.consumers) consumers_[consumer.queue] = consumer.task;
  for (const TaskSpec& task : ready.tasks) {
    const auto shared = std::make_shared<const TaskSpec>(task);
    tasks_[task.name] = shared;
    for (const Bytes& alias : task.aliases) tasks_.try_emplace(alias, shared);
  }
  for (std::size_t i = 0; i < ready.triggers.size(); ++i) {
    const TriggerSpec& trigger = ready.triggers[i];
    by_configuration_[configuration_id(ready.triggers, i)] = trigger.task;
    by_trigger_queue_[trigger.queue].insert(trigger.task);
    if (tasks_.contains(trigger.task)) continue;
    TaskSpec unknown;
    unknown.name = trigger.task;
    tasks_[trigger.task] = std::make_shared<const TaskSpec>(std::move(unknown));
  }
  for (Queue& queue : queues_) learn_queue(queue);
}

// More is asked for at a time where children run all of it beside each other.
void Pool::learn_queue(Queue& queue) const {
  bool any = false, all = true;
  for (const auto& [name, task] : tasks_) {
    if (task->queue != queue.name) continue;
    any = true;
    all = all && task->async;
  }
  queue.async = any && all;
}

// An event belongs to the trigger whose notification it came by; one that we did not set up, to the queue's
// only trigger.
Pool::TaskSpecPtr Pool::find_task(const Held& held) const {
  const task::Job& job = held.job();
  const Bytes* name = &job.call.task;
  if (!job.event.empty()) {
    const auto configured = by_configuration_.find(job.configuration);
    const auto queued = by_trigger_queue_.find(queues_[held.queue].name);
    if (configured != by_configuration_.end()) {
      name = &configured->second;
    } else if (queued != by_trigger_queue_.end() && queued->second.size() == 1) {
      name = &*queued->second.begin();
    }
  }
  const auto found = tasks_.find(*name);
  if (found != tasks_.end()) return found->second;
  static const TaskSpecPtr kCanary = std::make_shared<const TaskSpec>(canary_task());
  return *name == kCanary->name ? kCanary : nullptr;
}

void Pool::settle(Instant now) {
  if (left_) return;
  settled_ = now.boot;
  check_leases(now);
  renew(now);
  perform_waiting(now);
  tick_drain(now);
  tick_children(now);
  start_ready(now);
  receive_more(now);
  flush(now);
}

void Pool::tick(Instant now) { settle(now); }

void Pool::drain(Duration at_most, Instant now) {
  if (draining_) at_most = 0ms;
  Duration longest = 0ms;
  for (const auto& [id, held] : held_) {
    if (held.step == Step::kGiven) longest = std::max(longest, held.spec->timeout);
    if (held.step > Step::kGiven) longest = std::max(longest, at_most);  // what it became is being told
  }
  if (!draining_) say(Severity::kNotice, "draining", {{"held", std::to_string(held_.size())}});
  draining_ = true;
  for (auto& [id, child] : children_) recall(child);
  drain_end_ = now.boot + std::min(at_most, longest);
  settle(now);
}

void Pool::tick_drain(Instant now) {
  if (!draining_) return;
  cancel_receives(now);
  const bool over = now.boot >= drain_end_;
  std::vector<HeldId> ids;
  for (const auto& [id, held] : held_) ids.push_back(id);
  for (const HeldId id : ids) {
    const auto found = held_.find(id);
    if (found != held_.end() && (over || found->second.step != Step::kGiven)) take_back(found->second, now);
  }
  const bool receiving = std::ranges::any_of(queues_, [](const Queue& q) { return q.receiving != 0; });
  const bool given_up = over && now.boot >= drain_end_ + kTellLimit;
  if ((!held_.empty() || receiving) && !given_up) return;
  if (!stopping_) {
    stopping_ = true;
    stop_end_ = now.boot + kStopLimit;
  }
  bool left = false;
  for (auto& [id, child] : children_) {
    if (child.state == ChildState::kIdle) {
      stop(child, now);
    } else if (child.state != ChildState::kStopping || now.boot >= stop_end_) {
      kill(child, now);
    }
    left = true;
  }
  if (!left || now.boot >= stop_end_ + kStopLimit) leave(Exit::How::kDone, "");
}

void Pool::leave(Exit::How how, Bytes message) {
  if (left_) return;
  left_ = true;
  actions_.emplace_back(Exit{how, std::move(message)});
}

Nanos Pool::next_deadline() const {
  Nanos next = Nanos::max();
  const auto at = [&](Nanos when) {  // what was due at the last look waits for something else than time
    if (when > settled_) next = std::min(next, when);
  };
  if (lease_floor_ != Nanos::max()) at(lease_floor_ - options_.lease_margin);
  if (renew_floor_ != Nanos::max()) at(std::max(renew_floor_, renew_pause_));
  if (late_floor_ != Nanos::max()) at(late_floor_);
  for (const HeldId id : waiting_) {
    const Held& held = held_.at(id);
    if (!held.renewing) at(held.retry_at);
  }
  for (const Queue& queue : queues_) {
    if (queue.receiving == 0 && queue.failures > 0) at(queue.receive_at);
    for (const Outbox* box : {&queue.deletes, &queue.returns}) {
      if (!box->entries.empty() && box->in_flight < kOutboxBatches) at(box->since + linger());
    }
  }
  const std::size_t live = live_children();
  for (const auto& [id, child] : children_) {
    if (child.state == ChildState::kStarting) at(child.since + options_.start_limit);
    if (child.state == ChildState::kIdle && live > options_.processes.least)
      at(child.since + options_.idle_limit);
    if (child.state != ChildState::kBusy || child.given.empty() || child.recalling) continue;
    if (child.given.size() > child.running) at(child.since + options_.hostage_limit);
    if (child.stuck_since != Nanos{}) at(child.stuck_since + options_.stuck_limit);
    at(child.limit);
  }
  if (excess_since_ != Nanos{}) at(excess_since_ + kAMoment);
  if (busy_since_ != Nanos{} && hungry_ && live < options_.processes.most) at(busy_since_ + kAMoment);
  at(spawn_at_);
  for (const Nanos when : {drain_end_, drain_end_ + kTellLimit, stop_end_, stop_end_ + kStopLimit}) {
    if (draining_) at(when);
  }
  return next;
}

PoolStatus Pool::status() const {
  PoolStatus out;
  for (const auto& [id, child] : children_) {
    ChildStatus& status = out.children.emplace_back();
    status.id = id;
    status.state = child.state;
    status.since = child.since_wall;
    status.ahead = child.given.size() - child.running;
    status.running = child.running;
    const auto held = held_.find(child.given.empty() ? child.reserved : child.given.front().held);
    if (held == held_.end()) continue;
    status.job = held->second.job().call.id;
    status.task = held->second.spec->name;
  }
  for (const Queue& queue : queues_) {
    out.queues.push_back(queue.name);
    if (is_paused(queue)) out.paused.push_back(queue.name);
  }
  out.counts = counts_;
  out.held = held_.size();
  out.draining = draining_;
  out.resting = resting_;
  return out;
}

}  // namespace hr::worker
