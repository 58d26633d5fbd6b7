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
  q.backlog.release(slot, now);
  free(slot);
}

// Keeps id, content, group, time of sending and receive count; its receipts end with its number.
void Engine::State::move(QueueState& from, QueueState& to, Slot slot) {
  const GroupKey group = from.backlog.group_of(slot);
  from.backlog.release(slot, now);
  const auto source = static_cast<std::uint64_t>(from.queue.id);
  Message& m = slab[slot];
  m.moved = true;
  m.source = source <= UINT32_MAX ? static_cast<std::uint32_t>(source) : 0;
  m.receives_here = 0;
  m.lease_ms = 0;
  m.visible_at = now;
  to.backlog.add(slot, group, now);
}

namespace {

Delivery delivery_of(const Queue& queue, const Message& m) {
  return {.receipt = {queue.id, m.seq, m.receive_count},
          .id = m.id,
          .sent = m.sent,
          .first_received = m.sent + Duration(m.first_received_ms),
          .receive_count = m.receive_count,
          .moved = m.moved,
          .source = QueueId{m.source},
          .content = m.at};
}

}  // namespace

std::vector<Delivery> Engine::browse(QueueId id, Seq after, std::size_t max, bool leased,
                                     bool delayed) const {
  const State& s = *state_;
  const QueueState* const q = s.find(id);
  std::vector<Delivery> out;
  auto seq = q == nullptr ? std::nullopt : q->backlog.after(after);
  for (; seq && out.size() < max; seq = q->backlog.after(*seq)) {
    const Message& m = s.slab[q->backlog.find(*seq)];
    const bool hidden = m.visible_at > s.now;
    const bool is_leased = hidden && (m.where == Where::kLeased || m.where == Where::kBehindLeased);
    if (s.expired(*q, m) || (hidden && !(is_leased ? leased : delayed))) continue;
    out.push_back(delivery_of(q->queue, m));
    out.back().receipt.receive = 0;
  }
  return out;
}

Delivery Engine::State::lease(QueueState& q, Slot slot, Duration length) {
  slab.touch(slot);
  Message& m = slab[slot];
  if (m.receive_count == 0) m.first_received_ms = static_cast<std::uint32_t>((now - m.sent).count());
  ++m.receive_count;
  if (m.receives_here < UINT16_MAX) ++m.receives_here;
  m.lease_ms = static_cast<std::uint32_t>(length.count());
  q.backlog.hide(slot, now + length, now);
  return delivery_of(q.queue, m);
}

namespace {

// What one delivery logs: records in the order of what happened, neighbours of one kind as one.
struct Handing {
  QueueId queue{};
  Time now;
  Duration lease;
  std::optional<Fingerprint> attempt;
  Step& step;
  MessagesExpired old{queue, now, {}};
  MessagesDeadLettered dead{queue, {}, now, {}};
  MessagesReceived received{queue, now, lease, attempt, {}};

  template <class R, class Entry>
  void add(R& record, Entry entry) {
    const bool opens = record.messages.empty();
    if (opens) flush();
    record.messages.push_back(entry);
  }
  void flush() {
    const auto write = [&](auto& record) {
      if (record.messages.empty()) return;
      step.log(record);
      record.messages.clear();
    };
    write(old);
    write(dead);
    write(received);
  }
};

}  // namespace

// Up to `max` messages, and on the way what must not be received any more. The budget pays for the latter. A
// group's messages are handed out together, as many as follow each other.
std::vector<Delivery> Engine::State::deliver(QueueState& q, std::size_t max, Duration length,
                                             const std::optional<Fingerprint>& attempt, Step& step) {
  std::vector<Delivery> deliveries;
  Handing handing{.queue = q.queue.id, .now = now, .lease = length, .attempt = attempt, .step = step};
  Slot next = kNoSlot;  // of the group in hand
  q.backlog.hush(now);
  while (deliveries.size() < max && q.backlog.counts().in_flight < limits.inflight_max) {
    const bool first = next == kNoSlot;
    const Slot slot = first ? q.backlog.peek(now) : next;
    if (slot == kNoSlot) break;
    const Message& m = slab[slot];
    // With a lease of 0 ms one comes round again once all have been handed out.
    const auto given = [&](const Delivery& d) { return d.receipt.seq == m.seq; };
    if (length == 0ms && std::ranges::any_of(deliveries, given)) break;
    QueueState* const target = redrive_target(q, m);
    if (expired(q, m) || target != nullptr) {
      if (step.budget == 0) break;
      --step.budget;
    }
    next = q.backlog.follower(slot, now);
    if (expired(q, m)) {
      handing.add(handing.old, m.seq);
      erase(q, slot);
      if (first) next = kNoSlot;  // the one behind it is the first now, and comes in its turn
    } else if (target != nullptr) {
      handing.dead.dead_letter = target->queue.id;
      const Seq from = m.seq;
      move(q, *target, slot);
      handing.add(handing.dead, MessagesDeadLettered::Entry{from, m.seq});
      step.moved(q.queue.id, from, target->queue.id, m.seq);
      step.touch(*target);
      if (first) next = kNoSlot;
    } else {
      deliveries.push_back(lease(q, slot, length));
      q.backlog.judge(slot, limits.noisy_inflight, now);
      handing.add(handing.received, MessagesReceived::Entry{m.seq, m.receive_count});
      if (q.fifo && attempt) note(q, *attempt, slot);
    }
  }
  handing.flush();
  return deliveries;
}

// --- receive attempts ---

void Engine::State::note(QueueState& q, const Fingerprint& attempt, Slot slot) {
  const Message& m = slab[slot];
  const Handed handed{.seq = m.seq, .receive = m.receive_count, .visible_at = m.visible_at};
  auto* entry = attempts.find(q.queue.id, attempt, now);
  if (entry != nullptr && entry->at == now) {
    // Loaded from a capture that was going on at this very moment, it may hold what is logged after it.
    const auto known = std::ranges::find_if(
        entry->value, [&](const Handed& h) { return h.seq == handed.seq && h.receive == handed.receive; });
    if (known == entry->value.end()) {
      entry->value.push_back(handed);
    } else {
      *known = handed;
    }
    return;
  }
  attempts.forget(now, 2);
  if (attempts.size() >= limits.attempts_max) attempts.drop_first();
  attempts.put(q.queue.id, attempt, now, {handed});
}

// Another lease for the same receive; it ends 12 hours after that at the latest.
void Engine::State::extend(QueueState& q, Slot slot, Duration length) {
  slab.touch(slot);
  Message& m = slab[slot];
  const Time received = m.visible_at - Duration(m.lease_ms);
  const Time end = std::min(now + length, received + kLeaseMax);
  m.lease_ms = static_cast<std::uint32_t>((end - received).count());
  q.backlog.hide(slot, end, now);
}

// What this attempt was given before, if it still has all of it.
std::vector<Delivery> Engine::State::repeat(QueueState& q, const ReceiveRequest& request, Duration length,
                                            Step& step) {
  auto* entry = attempts.find(q.queue.id, *request.attempt, now);
  if (entry == nullptr) return {};
  const auto unchanged = [&](const Handed& h) {
    const Slot slot = q.backlog.find(h.seq);
    return slot != kNoSlot && slab[slot].receive_count == h.receive &&
           slab[slot].visible_at == h.visible_at && h.visible_at > now && !expired(q, slab[slot]);
  };
  if (!std::ranges::all_of(entry->value, unchanged)) return {};
  ReceiveRepeated record{q.queue.id, now, length, *request.attempt, {}};
  std::vector<Delivery> deliveries;
  for (Handed& h : entry->value) {
    const Slot slot = q.backlog.find(h.seq);
    extend(q, slot, length);
    h.visible_at = slab[slot].visible_at;
    record.messages.push_back(h.seq);
    deliveries.push_back(delivery_of(q.queue, slab[slot]));
  }
  step.log(std::move(record));
  return deliveries;
}

// First waiting, first served.
void Engine::State::serve(QueueState& q, Step& step) {
  q.backlog.settle(now, step.budget);
  while (q.first != nullptr && step.budget > 0 && deliverable(q)) {
    Waiter& waiter = *q.first;
    const Duration length = waiter.visibility.value_or(q.queue.attributes.visibility_timeout);
    std::vector<Delivery> deliveries =
        deliver(q, std::min(waiter.max_messages, step.budget), length, waiter.attempt, step);
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
                                               .attempt = request.attempt,
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
