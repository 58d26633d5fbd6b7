// Leases: asking for messages, taking them in, renewing, and losing them.
#include "task/names.h"
#include "worker/pool.h"

#include <algorithm>
#include <bit>

namespace hr::worker {
namespace {

constexpr Duration kExcessLimit = 200ms;  // polls outlive the last free child this long
constexpr Duration kRenewAhead = 5s;      // what is due this soon goes along in a batch
constexpr Duration kRenewAgain = 2s;      // after a failed renewal
constexpr Duration kReceiveBackoff = 200ms;
constexpr std::uint32_t kBackoffDoublings = 5;
constexpr Nanos kSoon = std::chrono::milliseconds(50);

}  // namespace

// How many messages of this queue the children could use now, beyond those in hand. A child that has nothing
// to do can always use one; more only while tasks are short.
std::size_t Pool::room(const Queue& queue, Instant now) const {
  const auto at_once = static_cast<std::int64_t>(queue.async ? options_.concurrency : 1);
  const auto most_ahead = static_cast<std::int64_t>(std::max(options_.stock_max, options_.concurrency));
  const std::int64_t ahead =
      queue.typical >= kUnknown ? 1 : Nanos(options_.stock_limit) * at_once / queue.typical;
  const auto deep =
      static_cast<std::size_t>(std::clamp(std::max(ahead, at_once), std::int64_t{1}, most_ahead));
  std::size_t room = 0, most = 0;
  bool idle = false;
  for (const auto& [id, child] : children_) {
    if (child.state == ChildState::kIdle) idle = true;
    if (!open(child, queue.async, now)) continue;
    most += deep;
    room += deep - std::min(deep, child.given.size());
  }
  room -= std::min(room, before_run_);
  // Fewer and larger requests: half of what there is may go before the next one, where that is soon.
  return idle || room * 2 >= most || queue.typical > kSoon ? room : 0;
}

void Pool::receive_more(Instant now) {
  if (!prepared_ || draining_ || queues_.empty()) return;
  const bool full = !suspects_.empty() || held_.size() >= options_.held_max;
  const bool idle = std::ranges::any_of(
      children_, [](const auto& entry) { return entry.second.state == ChildState::kIdle; });
  bool any = false;
  for (std::size_t i = 0; i < queues_.size() && !full; ++i) {
    Queue& queue = queues_[i];
    if (is_paused(queue)) continue;
    const std::size_t wanted = room(queue, now);
    if (wanted == 0) continue;
    any = true;
    if (queue.receiving != 0 || now.boot < queue.receive_at) continue;
    const std::size_t share = std::clamp(wanted / queues_.size(), std::size_t{1}, batch_max_);
    queue.receiving = new_op({.queue = i, .sent = now.boot, .receive = true});
    actions_.emplace_back(
        Receive{queue.receiving, i, static_cast<int>(share), consumers_.contains(queue.name)});
  }
  if (any) {
    excess_since_ = {};
  } else if (full || !idle) {
    cancel_receives(now);
  }
}

// Waits that nobody could serve: ended when that has lasted a moment (short tasks end first), or at once.
void Pool::cancel_receives(Instant now) {
  if (excess_since_ == Nanos{}) excess_since_ = now.boot;
  bool any = false;
  for (Queue& queue : queues_) {
    if (queue.receiving == 0) continue;
    Op& op = ops_.at(queue.receiving);
    if (op.cancelled) continue;
    any = true;
    if (!draining_ && now.boot < excess_since_ + kExcessLimit) continue;
    op.cancelled = true;
    actions_.emplace_back(CancelReceive{queue.receiving});
  }
  if (!any) excess_since_ = {};
}

void Pool::received(OpId id, Outcome<std::vector<Message>> messages, Instant now) {
  const auto found = ops_.find(id);
  if (found == ops_.end() || left_) return;
  const Op op = found->second;
  ops_.erase(found);
  Queue& queue = queues_[op.queue];
  queue.receiving = 0;
  if (!messages && !op.cancelled) {
    const std::uint32_t doublings = std::min(queue.failures++, kBackoffDoublings);
    queue.receive_at = now.boot + kReceiveBackoff * (1U << doublings);
    if (std::has_single_bit(queue.failures)) {
      say(Severity::kWarning, "receive_failed", {{"queue", queue.name}, {"reason", messages.error().text}});
    }
  }
  if (messages) {
    queue.failures = 0;
    if (!messages->empty()) hungry_ = true;
    if (messages->empty() && !op.cancelled) hungry_ = false;
    queue.async_came = queue.plain_came = 0;
    for (Message& message : *messages) accept(std::move(message), op.queue, op.sent, now);
    if (queue.async_came + queue.plain_came != 0) queue.async = queue.plain_came == 0;
  }
  settle(now);
}

void Pool::accept(Message&& message, std::size_t queue, Nanos asked, Instant now) {
  ++counts_.received;
  const auto [place, fresh] = by_message_.try_emplace(message.id, next_held_);
  if (!fresh) return adopt(held_.at(place->second), message, asked, now);
  const HeldId id = next_held_++;
  ++before_run_;
  Held& held = held_[id];
  held.id = id;
  held.queue = queue;
  held.message = std::move(message);
  held.lease_end = asked + options_.lease;
  lease_floor_ = std::min(lease_floor_, held.lease_end);
  renew_at(held, asked + options_.lease / 3);
  held.taken_back = draining_;
  auto read = this->read(held.message, queues_[queue]);
  if (read && read->jobs.empty()) {  // s3:TestEvent
    held.end = End::kDone;
    return go(held, Step::kDelete, now);
  }
  if (read) {
    held.jobs = std::move(read->jobs);
    return begin(held, now);
  }
  task::Job& job = held.jobs.emplace_back();
  job.call.id = task::job_id_of_unreadable(held.message.body, held.message.id);
  held.mark.id = job.call.id;
  if (draining_) return end_back(held, End::kRelease, 0ms, now);
  held.mark.last_error = {.type = "InvalidMessage", .message = read.error().message, .traceback = ""};
  end_dead(held, "invalid", now);
}

// A consumer takes whatever its queue holds, but for Headrace's own question; else a message says itself what
// it asks for.
Result<task::MessageJobs> Pool::read(const Message& message, const Queue& queue) const {
  const auto consumer = consumers_.find(queue.name);
  if (consumer == consumers_.end()) return task::read_message(message.body, message.id);
  if (message.body.contains(task::kCanaryTask)) {
    auto read = task::read_message(message.body, message.id);
    if (read && read->jobs.size() == 1 && read->jobs.front().call.task == task::kCanaryTask) return read;
  }
  task::MessageJobs out;
  out.jobs.push_back(task::raw_job(
      consumer->second,
      {.id = message.id, .body = message.body, .sent = message.sent, .attributes = message.attributes}));
  return out;
}

// The same message again while it is in hand: the newer receipt is the one that counts.
void Pool::adopt(Held& held, const Message& message, Nanos asked, Instant now) {
  // While its lease holds, only its return can have made it visible. Without one somebody else may get it.
  held.again = held.step == Step::kReturn && held.in_flight && now.boot < held.lease_end;
  held.message.receipt = message.receipt;
  held.message.receives = std::max(held.message.receives, message.receives);
  renewed(held, asked);
  say(Severity::kNotice, "message_again", held);
  perform(held, now);
}

// ---- renewing

void Pool::renew_at(Held& held, Nanos when) {
  held.renew_at = when;
  renew_floor_ = std::min(renew_floor_, when);
}

void Pool::renew(Instant now) {
  if (now.boot < renew_pause_ || now.boot < renew_floor_) return;
  renew_floor_ = Nanos::max();
  for (std::size_t queue = 0; queue < queues_.size(); ++queue) {
    bool due = false;
    std::vector<Held*> with;
    for (auto& [id, held] : held_) {
      if (held.queue != queue || held.renewing || (held.in_flight && held.last_step())) continue;
      if (held.renew_at > now.boot + kRenewAhead) {
        renew_floor_ = std::min(renew_floor_, held.renew_at);
        continue;
      }
      due = due || held.renew_at <= now.boot;
      with.push_back(&held);
    }
    for (const Held* held : with) {
      if (!due) renew_floor_ = std::min(renew_floor_, held->renew_at);
    }
    for (std::size_t from = 0; due && from < with.size(); from += batch_max_) {
      renew_batch(queue, std::span(with).subspan(from, std::min(batch_max_, with.size() - from)), now);
    }
  }
}

void Pool::renew_batch(std::size_t queue, std::span<Held* const> with, Instant now) {
  ChangeVisibility call{.queue = queue, .timeout = options_.request_timeout};
  Op op{.queue = queue, .sent = now.boot, .renewal = true};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options_.lease);
  for (Held* held : with) {
    held->renewing = true;
    call.entries.push_back({held->message.receipt, static_cast<int>(seconds.count())});
    op.entries.emplace_back(held->id, held->message.receipt);
  }
  call.op = new_op(std::move(op));
  actions_.emplace_back(std::move(call));
}

void Pool::renewed(Held& held, Nanos asked) {
  held.lease_end = std::max(held.lease_end, asked + options_.lease);
  renew_at(held, asked + options_.lease / 3);
}

void Pool::visibility_changed(OpId id, Outcome<std::vector<Outcome<void>>> entries, Instant now) {
  const auto found = ops_.find(id);
  if (found == ops_.end() || left_) return;
  if (!found->second.renewal) return batch_answered(id, std::move(entries), false, now);
  const Op op = std::move(found->second);
  ops_.erase(found);
  renewal_answered(op, entries, now);
  for (auto& [child_id, child] : children_) update_lease(child);
  settle(now);
}

void Pool::renewal_answered(const Op& op, const Outcome<std::vector<Outcome<void>>>& entries, Instant now) {
  if (!entries) renew_pause_ = now.boot + kRenewAgain;
  for (std::size_t i = 0; i < op.entries.size(); ++i) {
    const auto& [held_id, receipt] = op.entries[i];
    const auto at = held_.find(held_id);
    if (at == held_.end()) continue;
    Held& held = at->second;
    held.renewing = false;
    if (held.message.receipt != receipt) continue;  // a newer receipt came meanwhile
    const Outcome<void> outcome = entries ? (*entries)[i] : std::unexpected(entries.error());
    if (outcome) {
      renewed(held, op.sent);
    } else if (outcome.error().kind == Failure::Kind::kLost ||
               outcome.error().kind == Failure::Kind::kMissing) {
      lose(held, outcome.error().text, now);
    } else {
      renew_at(held, now.boot + kRenewAgain);
    }
  }
}

// ---- losing

void Pool::check_leases(Instant now) {
  if (lease_floor_ == Nanos::max() || now.boot < lease_floor_ - options_.lease_margin) return;
  std::vector<HeldId> over;
  lease_floor_ = Nanos::max();
  for (const auto& [id, held] : held_) {
    if (now.boot >= held.lease_end - options_.lease_margin) {
      over.push_back(id);
    } else {
      lease_floor_ = std::min(lease_floor_, held.lease_end);
    }
  }
  for (const HeldId id : over) lose(held_.at(id), "it could not be renewed in time", now);
}

// Nothing of it is committed any more: whoever receives the message next owns it. A child that has begun it
// is ended; one that has not will not begin it.
void Pool::lose(Held& held, std::string_view why, Instant now) {
  ++counts_.lost;
  say(Severity::kWarning, "lease_lost", held, {{"reason", Bytes(why)}});
  const auto child = children_.find(held.child);
  if (child != children_.end() && child->second.reserved == held.id) {
    child->second.reserved = 0;
    free_child(child->second, now);
  } else if (child != children_.end()) {
    const auto given = std::ranges::find(child->second.given, held.id, &Given::held);
    if (given != child->second.given.end()) {
      given->held = 0;
      recall(child->second);
    }
  }
  forget(held.id, now);
}

}  // namespace hr::worker
