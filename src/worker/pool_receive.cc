// Leases: asking for messages, taking them in, renewing, and losing them.
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
constexpr int kReceiveMax = 10;
constexpr std::size_t kBatchMax = 10;

}  // namespace

// Without those that messages in hand are about to take. Never negative in effect: callers compare with 0.
std::ptrdiff_t Pool::free_children() const {
  const auto idle = std::ranges::count_if(
      children_, [](const auto& entry) { return entry.second.state == ChildState::kIdle; });
  const auto waiting =
      std::ranges::count_if(held_, [](const auto& entry) { return entry.second.step <= Step::kReady; });
  return idle - waiting;
}

// While one waits or runs, nothing else may start, and so nothing else is received.
bool Pool::suspects() const {
  return std::ranges::any_of(
      held_, [](const auto& entry) { return entry.second.suspect() && entry.second.step <= Step::kRunning; });
}

void Pool::receive_more(Instant now) {
  if (!prepared_ || draining_ || queues_.empty()) return;
  const std::ptrdiff_t free = free_children();
  if (free <= 0 || suspects() || held_.size() >= options_.held_max) return cancel_receives(false, now);
  excess_since_ = {};
  const auto share = free / static_cast<std::ptrdiff_t>(queues_.size());
  const int max = static_cast<int>(std::clamp<std::ptrdiff_t>(share, 1, kReceiveMax));
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    Queue& queue = queues_[i];
    if (queue.receiving != 0 || now.boot < queue.receive_at) continue;
    queue.receiving = new_op({.queue = i, .sent = now.boot, .receive = true});
    actions_.emplace_back(Receive{queue.receiving, i, max});
  }
}

// Waits that nobody could serve: ended at once, or when that has lasted a moment (short tasks end first).
void Pool::cancel_receives(bool at_once, Instant now) {
  if (excess_since_ == Nanos{}) excess_since_ = now.boot;
  bool any = false;
  for (Queue& queue : queues_) {
    if (queue.receiving == 0) continue;
    Op& op = ops_.at(queue.receiving);
    if (op.cancelled) continue;
    any = true;
    if (!at_once && now.boot < excess_since_ + kExcessLimit) continue;
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
    for (const Message& message : *messages) accept(message, op.queue, op.sent, now);
  }
  settle(now);
}

void Pool::accept(const Message& message, std::size_t queue, Nanos asked, Instant now) {
  ++counts_.received;
  if (adopt(message, asked, now)) return;
  const HeldId id = next_held_++;
  Held& held = held_[id];
  held.id = id;
  held.queue = queue;
  held.message = message;
  held.lease_end = asked + options_.lease;
  held.renew_at = asked + options_.lease / 3;
  held.taken_back = draining_;
  auto read = task::read_message(message.body, message.id);
  if (read && read->jobs.empty()) {  // s3:TestEvent
    held.end = End::kDone;
    return go(held, Step::kDelete, now);
  }
  if (read) {
    held.jobs = std::move(read->jobs);
    return begin(held, now);
  }
  task::Job& job = held.jobs.emplace_back();
  job.call.id = task::job_id_of_unreadable(message.body, message.id);
  held.mark.id = job.call.id;
  if (draining_) return end_back(held, End::kRelease, 0ms, now);
  held.mark.last_error = {.type = "InvalidMessage", .message = read.error().message, .traceback = ""};
  end_dead(held, "invalid", now);
}

// The same message again while it is in hand: the newer receipt is the one that counts.
bool Pool::adopt(const Message& message, Nanos asked, Instant now) {
  const auto same = [&](const auto& entry) { return entry.second.message.id == message.id; };
  const auto found = std::ranges::find_if(held_, same);
  if (found == held_.end()) return false;
  Held& held = found->second;
  held.message.receipt = message.receipt;
  held.message.receives = std::max(held.message.receives, message.receives);
  renewed(held, asked);
  say(Severity::kNotice, "message_again", held);
  perform(held, now);
  return true;
}

// ---- renewing

void Pool::renew(Instant now) {
  if (now.boot < renew_pause_) return;
  for (std::size_t queue = 0; queue < queues_.size(); ++queue) {
    bool due = false;
    std::vector<Held*> with;
    for (auto& [id, held] : held_) {
      const bool ending = held.in_flight && (held.step == Step::kDelete || held.step == Step::kReturn);
      if (held.queue != queue || held.renewing || ending || held.renew_at > now.boot + kRenewAhead) continue;
      due = due || held.renew_at <= now.boot;
      with.push_back(&held);
    }
    if (!due) continue;
    for (std::size_t from = 0; from < with.size(); from += kBatchMax) {
      ChangeVisibility call{.queue = queue, .timeout = options_.request_timeout};
      Op op{.sent = now.boot};
      for (Held* held : std::span(with).subspan(from, std::min(kBatchMax, with.size() - from))) {
        held->renewing = true;
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options_.lease);
        call.entries.push_back({held->message.receipt, static_cast<int>(seconds.count())});
        op.renewed.emplace_back(held->id, held->message.receipt);
      }
      call.op = new_op(std::move(op));
      actions_.emplace_back(std::move(call));
    }
  }
}

void Pool::renewed(Held& held, Nanos asked) {
  held.lease_end = std::max(held.lease_end, asked + options_.lease);
  held.renew_at = asked + options_.lease / 3;
  if (held.step == Step::kRunning) actions_.emplace_back(SetLease{held.child, held.lease_end});
}

void Pool::visibility_changed(OpId id, Outcome<std::vector<Outcome<void>>> entries, Instant now) {
  const auto found = ops_.find(id);
  if (found == ops_.end() || left_) return;
  const Op op = std::move(found->second);
  if (op.held != 0) {  // one message handed back
    if (!entries) return finished(id, std::unexpected(entries.error()), now);
    if (!entries->front()) return finished(id, std::unexpected(entries->front().error()), now);
    return finished(id, Bytes(), now);
  }
  ops_.erase(found);
  if (!entries) renew_pause_ = now.boot + kRenewAgain;
  for (std::size_t i = 0; i < op.renewed.size(); ++i) {
    const auto& [held_id, receipt] = op.renewed[i];
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
      held.renew_at = now.boot + kRenewAgain;
    }
  }
  settle(now);
}

// ---- losing

void Pool::check_leases(Instant now) {
  std::vector<HeldId> over;
  for (const auto& [id, held] : held_) {
    if (now.boot >= held.lease_end - options_.lease_margin) over.push_back(id);
  }
  for (const HeldId id : over) lose(held_.at(id), "it could not be renewed in time", now);
}

// Nothing of it is committed any more: whoever receives the message next owns it.
void Pool::lose(Held& held, std::string_view why, Instant now) {
  ++counts_.lost;
  say(Severity::kWarning, "lease_lost", held, {{"reason", Bytes(why)}});
  const auto child = children_.find(held.child);
  if (child != children_.end() && child->second.held == held.id) {
    child->second.held = 0;
    if (held.step == Step::kRunning) {
      kill(child->second, now);
    } else {
      free_child(child->second, now);
    }
  }
  forget(held.id);
}

}  // namespace hr::worker
