// What the passing of time does: messages become visible or too old, waits end.
#include "queue/state.h"

#include <algorithm>

namespace hr::queue {

// When something is to be done for the queue, not counting what a step left for lack of budget.
Time Engine::State::due(QueueState& q) {
  const Slot oldest = q.backlog.oldest();
  const Time expiry = oldest == kNoSlot ? Time::max() : slab[oldest].sent + q.queue.attributes.retention;
  return std::min(expiry, q.backlog.next_visible());
}

void Engine::State::reschedule(QueueState& q) {
  const bool left = q.first != nullptr && deliverable(q);
  const Time at = left ? std::min(now, due(q)) : due(q);
  if (at == q.deadline) return;
  if (q.deadline == Time::max()) {
    deadlines.push(QueueOrder{}, at, &q);
  } else if (at == Time::max()) {
    deadlines.remove(QueueOrder{}, q.position);
  } else {
    deadlines.change(QueueOrder{}, q.position, at);
  }
  q.deadline = at;
}

void Engine::State::expire(QueueState& q, Step& step) {
  if (q.backlog.has_tenants()) q.backlog.settle(now, step.budget);
  MessagesExpired record{q.queue.id, now, {}};
  while (step.budget > 0) {
    const Slot oldest = q.backlog.oldest();
    if (oldest == kNoSlot || !expired(q, slab[oldest])) break;
    record.messages.push_back(slab[oldest].seq);
    erase(q, oldest);
    --step.budget;
  }
  if (!record.messages.empty()) step.log(std::move(record));
}

void Engine::State::bury(std::size_t at_most) {
  originals.forget(now, at_most);
  retries.forget(now, at_most);
  attempts.forget(now, at_most);
  while (at_most > 0 && !buried.empty()) {
    Buried& b = buried.back();
    const auto seq = b.seqs.at_or_after(b.next);
    if (!seq) {
      buried.pop_back();
      continue;
    }
    const Slot slot = b.seqs.find(*seq);
    const Message& m = slab[slot];
    if (b.grouped) {
      groups.leave(m.group);
    } else if (m.group_next != kNoTenant) {
      groups.leave(m.group_next);
    }
    free(slot);
    b.seqs.erase(*seq);
    b.next = *seq;
    --at_most;
  }
}

void Engine::tick(Time at, Effects& out) {
  State& s = *state_;
  Step step = s.step(at, out);
  s.bury(s.limits.tick_messages_max);
  s.carry_on_moves(step);
  const auto something_due = [&] {
    return step.budget > 0 && !s.deadlines.empty() && s.deadlines.top().due <= step.now;
  };
  while (something_due()) {
    while (something_due()) {
      QueueState& q = *s.deadlines.top().item;
      s.expire(q, step);
      s.serve(q, step);
      s.reschedule(q);
    }
    s.finish(step);  // the dead-letter queues; what they were given may be past their retention
  }
  // Only then: whoever still waits has met everything that is there by now.
  for (std::size_t left = s.limits.tick_messages_max; left > 0 && !s.waits.empty(); --left) {
    if (s.waits.top().due > step.now) break;
    Waiter& waiter = *s.waits.top().item;
    out.wakeups.push_back({waiter.id, {}});
    QueueState& q = *waiter.queue;
    s.unpark(waiter);
    s.reschedule(q);
  }
}

Time Engine::next_deadline() const {
  const State& s = *state_;
  if (!s.buried.empty()) return s.now;
  const Time queues = s.deadlines.empty() ? Time::max() : s.deadlines.top().due;
  const Time waits = s.waits.empty() ? Time::max() : s.waits.top().due;
  return std::min({queues, waits, s.next_move()});
}

}  // namespace hr::queue
