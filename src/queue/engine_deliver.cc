// Handing out messages: leases, dead-letter moves, and the waiting receivers.
#include "base/check.h"
#include "queue/state.h"

#include <algorithm>
#include <utility>

namespace hr::queue {

bool Engine::State::deliverable(const QueueState& q) const {
  return q.backlog.counts().in_flight < limits.inflight_max && q.backlog.peek(now) != kNoSlot;
}

// The queue that is to have the message instead of the receiver, if any. A dead-letter queue that has been
// deleted takes nothing: the message stays and is received as before.
QueueState* Engine::State::redrive_target(const QueueState& q, const Message& m) const {
  const auto& redrive = q.queue.attributes.redrive;
  if (!redrive || m.receives_here < redrive->max_receive_count) return nullptr;
  return find(redrive->dead_letter);
}

void Engine::State::erase(QueueState& q, Slot slot) {
  q.backlog.release(slot);
  slab.give_back(slot);
}

// Keeps id, content, time of sending and receive count; its receipts end with its number.
void Engine::State::move(QueueState& from, QueueState& to, Slot slot) {
  from.backlog.release(slot);
  Message& m = slab[slot];
  m.moved = true;
  m.receives_here = 0;
  m.lease_ms = 0;
  m.visible_at = now;
  to.backlog.add(slot, now);
}

Delivery Engine::State::lease(QueueState& q, Slot slot, Duration length) {
  Message& m = slab[slot];
  if (m.receive_count == 0) m.first_received_ms = static_cast<std::uint32_t>((now - m.sent).count());
  ++m.receive_count;
  if (m.receives_here < UINT16_MAX) ++m.receives_here;
  m.lease_ms = static_cast<std::uint32_t>(length.count());
  q.backlog.hide(slot, now + length, now);
  return {.receipt = {q.queue.id, m.seq, m.receive_count},
          .id = m.id,
          .sent = m.sent,
          .first_received = m.sent + Duration(m.first_received_ms),
          .receive_count = m.receive_count,
          .content = m.at};
}

// Up to `max` messages, and on the way what must not be received any more. The budget pays for the latter.
std::vector<Delivery> Engine::State::deliver(QueueState& q, std::size_t max, Duration length, Step& step) {
  std::vector<Delivery> deliveries;
  MessagesExpired old{q.queue.id, now, {}};
  MessagesDeadLettered dead{q.queue.id, {}, now, {}};
  MessagesReceived received{q.queue.id, now, length, {}};
  while (deliveries.size() < max && deliverable(q)) {
    const Slot slot = q.backlog.peek(now);
    const Message& m = slab[slot];
    // With a lease of 0 ms the first one comes round again once all have been handed out.
    if (!deliveries.empty() && m.seq == deliveries.front().receipt.seq) break;
    QueueState* const target = redrive_target(q, m);
    if (expired(q, m) || target != nullptr) {
      if (step.budget == 0) break;
      --step.budget;
    }
    if (expired(q, m)) {
      old.messages.push_back(m.seq);
      erase(q, slot);
    } else if (target != nullptr) {
      dead.dead_letter = target->queue.id;
      const Seq from = m.seq;
      move(q, *target, slot);
      dead.messages.push_back({from, m.seq});
      step.moved(q.queue.id, from, target->queue.id, m.seq);
      step.touch(*target);
    } else {
      deliveries.push_back(lease(q, slot, length));
      received.messages.push_back({m.seq, m.receive_count});
    }
  }
  if (!old.messages.empty()) step.log(std::move(old));
  if (!dead.messages.empty()) step.log(std::move(dead));
  if (!received.messages.empty()) step.log(std::move(received));
  return deliveries;
}

// First waiting, first served.
void Engine::State::serve(QueueState& q, Step& step) {
  q.backlog.settle(now, step.budget);
  while (q.first != nullptr && step.budget > 0 && deliverable(q)) {
    Waiter& waiter = *q.first;
    const Duration length = waiter.visibility.value_or(q.queue.attributes.visibility_timeout);
    std::vector<Delivery> deliveries = deliver(q, std::min(waiter.max_messages, step.budget), length, step);
    if (deliveries.empty()) continue;  // only what has expired or moved, and the budget is less by that
    step.budget -= std::min(step.budget, deliveries.size());
    step.out.wakeups.push_back({waiter.id, std::move(deliveries)});
    unpark(waiter);
  }
}

void Engine::State::park(QueueState& q, const ReceiveRequest& request) {
  auto owned = std::make_unique<Waiter>(Waiter{.id = request.waiter,
                                               .queue = &q,
                                               .max_messages = static_cast<std::size_t>(request.max_messages),
                                               .visibility = request.visibility,
                                               .arrival = arrivals++,
                                               .before = q.last});
  Waiter* const w = owned.get();
  const bool is_new = waiters.emplace(static_cast<std::uint64_t>(w->id), std::move(owned)).second;
  HR_CHECK(is_new);
  (q.last == nullptr ? q.first : q.last->after) = w;
  q.last = w;
  waits.push(WaiterOrder{}, request.wait_until, w);
}

void Engine::State::unpark(Waiter& w) {
  (w.before == nullptr ? w.queue->first : w.before->after) = w.after;
  (w.after == nullptr ? w.queue->last : w.after->before) = w.before;
  waits.remove(WaiterOrder{}, w.position);
  waiters.erase(static_cast<std::uint64_t>(w.id));
}

// A move serves the dead-letter queue's waiters, which may move again: `touched` grows while it is walked. It
// ends because a message that has just been moved is received, not moved, next.
void Engine::State::finish(Step& step) {
  for (std::size_t i = 0; i < step.touched.size(); ++i) {
    serve(*step.touched[i], step);
    reschedule(*step.touched[i]);
  }
  step.touched.clear();
}

}  // namespace hr::queue
