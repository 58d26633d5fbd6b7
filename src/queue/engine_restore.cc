// Taking back what was logged, and showing or recounting what is there.
#include "queue/state.h"

#include <fmt/format.h>

#include <utility>

namespace hr::queue {
namespace {

std::unexpected<Error> corrupt(std::string_view what) {
  return fail(Errc::kCorrupt, fmt::format("queue record: {}", what));
}

}  // namespace

// Keeps the deadline of a queue right, also where a record turns out to be corrupt half way.
struct Engine::State::Rescheduled {
  State& state;
  QueueState& queue;
  ~Rescheduled() { state.reschedule(queue); }
};

// The queue of a record of the time `when`, to which the clock goes.
Result<QueueState*> Engine::State::at(QueueId id, Time when) {
  QueueState* q = find(id);
  if (q == nullptr)
    return corrupt(fmt::format("of queue {}, which is not there", static_cast<std::uint64_t>(id)));
  if (when < now) return corrupt("older than the record before it");
  now = when;
  return q;
}

Status Engine::State::apply(QueueCreated& r) {
  if (static_cast<std::uint64_t>(r.queue.id) < next_queue)
    return corrupt("a queue's number for the second time");
  if (static_cast<std::uint64_t>(r.queue.id) > kQueueIdMax) return corrupt("a queue's number out of range");
  if (r.queue.created < now) return corrupt("older than the record before it");
  if (by_name.contains({r.queue.account, r.queue.name})) return corrupt("a queue's name for the second time");
  now = r.queue.created;
  add_queue(std::move(r.queue));
  return {};
}

Status Engine::State::apply(QueueChanged& r) {
  HR_ASSIGN(QueueState * q, at(r.queue, r.at));
  q->queue.attributes = std::move(r.attributes);
  q->queue.tags = std::move(r.tags);
  q->queue.modified = r.at;
  q->definition = nullptr;
  reschedule(*q);
  return {};
}

Status Engine::State::apply(QueueRemoved& r) {
  HR_ASSIGN(QueueState * q, at(r.queue, r.at));
  drop_queue(*q);
  return {};
}

Status Engine::State::apply(QueuePurged& r) {
  HR_ASSIGN(QueueState * q, at(r.queue, r.at));
  empty(*q);
  return {};
}

Status Engine::State::apply(MessageSent& r, const storage::Location& where) {
  HR_ASSIGN(QueueState * q, at(r.queue, r.sent));
  if (r.seq != q->backlog.next_seq()) return corrupt("a message out of the order of numbers");
  if (r.delay > kDelayMax) return corrupt("a delay out of range");
  if (q->fifo && (r.group == GroupKey::kNone || !r.deduplication)) {
    return corrupt("a message of another kind of queue");
  }
  originals.forget(now, 2);
  retries.forget(now, 2);
  place(admit(*q, r), where);
  reschedule(*q);
  return {};
}

Status Engine::State::apply(MessagesReceived& r) {
  HR_ASSIGN(QueueState * q, at(r.queue, r.at));
  const Rescheduled after{*this, *q};
  if (r.lease > kLeaseMax) return corrupt("a lease out of range");
  for (const auto& entry : r.messages) {
    const Slot slot = q->backlog.find(entry.seq);
    if (slot == kNoSlot) return corrupt("a receive of a message that is not there");
    const Message& m = slab[slot];
    if (m.visible_at > now || expired(*q, m)) return corrupt("a receive of a message that was not visible");
    if (entry.receive != m.receive_count + 1) return corrupt("a receive out of order");
    lease(*q, slot, r.lease);
    if (q->fifo && r.attempt) note(*q, *r.attempt, slot);
  }
  return {};
}

Status Engine::State::apply(MessagesErased& r) {
  HR_ASSIGN(QueueState * q, at(r.queue, r.at));
  const Rescheduled after{*this, *q};
  for (const Seq seq : r.messages) {
    const Slot slot = q->backlog.find(seq);
    if (slot == kNoSlot) return corrupt("a delete of a message that is not there");
    erase(*q, slot);
  }
  return {};
}

Status Engine::State::apply(VisibilityChanged& r) {
  HR_ASSIGN(QueueState * q, at(r.queue, r.at));
  const Rescheduled after{*this, *q};
  for (const auto& entry : r.messages) {
    const Slot slot = q->backlog.find(entry.seq);
    if (slot == kNoSlot) return corrupt("a lease changed of a message that is not there");
    Message& m = slab[slot];
    if (m.receive_count == 0 || m.visible_at <= now) return corrupt("a lease changed that there is not");
    const Time received = m.visible_at - Duration(m.lease_ms);
    if (now + entry.timeout > received + kLeaseMax) return corrupt("a lease out of range");
    slab.touch(slot);
    m.lease_ms = static_cast<std::uint32_t>((now + entry.timeout - received).count());
    q->backlog.hide(slot, now + entry.timeout, now);
  }
  return {};
}

Status Engine::State::apply(MessagesExpired& r) {
  HR_ASSIGN(QueueState * q, at(r.queue, r.at));
  const Rescheduled after{*this, *q};
  for (const Seq seq : r.messages) {
    const Slot slot = q->backlog.find(seq);
    if (slot == kNoSlot) return corrupt("an expiry of a message that is not there");
    if (!expired(*q, slab[slot])) return corrupt("an expiry before its time");
    erase(*q, slot);
  }
  return {};
}

Status Engine::State::apply(MessagesDeadLettered& r) {
  HR_ASSIGN(QueueState * q, at(r.queue, r.at));
  QueueState* const to = find(r.dead_letter);
  if (to == nullptr || to == q || to->fifo != q->fifo) {
    return corrupt("a move to a queue that is not there, or of another kind");
  }
  const Rescheduled after{*this, *q}, after_too{*this, *to};
  for (const auto& entry : r.messages) {
    const Slot slot = q->backlog.find(entry.from);
    if (slot == kNoSlot) return corrupt("a move of a message that is not there");
    if (entry.to != to->backlog.next_seq()) return corrupt("a message out of the order of numbers");
    if (slab[slot].visible_at > now) return corrupt("a move of a message that was not visible");
    move(*q, *to, slot);
  }
  return {};
}

Status Engine::State::apply(ReceiveRepeated& r) {
  HR_ASSIGN(QueueState * q, at(r.queue, r.at));
  const Rescheduled after{*this, *q};
  if (r.lease > kLeaseMax) return corrupt("a lease out of range");
  auto* entry = attempts.find(q->queue.id, r.attempt, now);
  for (const Seq seq : r.messages) {
    const Slot slot = q->backlog.find(seq);
    if (slot == kNoSlot) return corrupt("a receive repeated of a message that is not there");
    if (slab[slot].receive_count == 0 || slab[slot].visible_at <= now) {
      return corrupt("a receive repeated that is over");
    }
    extend(*q, slot, r.lease);
    if (entry == nullptr) continue;  // forgotten early, when there were too many
    for (Handed& h : entry->value) {
      if (h.seq == seq) h.visible_at = slab[slot].visible_at;
    }
  }
  return {};
}

// What it says of the message besides its place was so when it was sent.
Status Engine::State::apply(MessageCopied& r, const storage::Location& where) {
  const MessageSent& sent = r.sent;
  QueueState* const q = find(sent.queue);
  const Slot slot = q == nullptr ? kNoSlot : q->backlog.find(sent.seq);
  if (slot == kNoSlot) return corrupt("a copy of a message that is not there");
  if (slab[slot].id != sent.id && !slab[slot].renamed) return corrupt("a copy of another message");
  place(slot, where);
  return {};
}

Status Engine::State::apply(MoveStarted& r) {
  HR_ASSIGN(const QueueState* q, at(r.asked.source, r.at));
  if (r.asked.per_second == 0 || r.asked.per_second > kMoveRateMax)
    return corrupt("a move's rate out of range");
  if (r.to_move != q->backlog.size()) return corrupt("a move of other messages than there are");
  if (find_move(r.asked.id) != nullptr) return corrupt("a move that was started before");
  add_move({.asked = r.asked, .started = r.at, .to_move = r.to_move});
  return {};
}

Status Engine::State::apply(MessagesRedriven& r) {
  MoveTask* const task = find_move(r.task);
  if (task == nullptr || task->status != MoveStatus::kRunning)
    return corrupt("of a move that is not going on");
  HR_ASSIGN(QueueState * q, at(task->asked.source, r.at));
  QueueState* const to = find(r.destination);
  if (to == nullptr || to == q || to->fifo != q->fifo) {
    return corrupt("a move to a queue that is not there, or of another kind");
  }
  const Rescheduled after{*this, *q}, after_too{*this, *to};
  for (const auto& entry : r.messages) {
    const Slot slot = q->backlog.find(entry.from);
    if (slot == kNoSlot) return corrupt("a move of a message that is not there");
    if (entry.to != to->backlog.next_seq()) return corrupt("a message out of the order of numbers");
    if (slab[slot].visible_at > now) return corrupt("a move of a message that was not visible");
    redrive(*q, *to, slot, *task);
  }
  return {};
}

Status Engine::State::apply(MoveEnded& r) {
  MoveTask* const task = find_move(r.task);
  if (task == nullptr || task->status != MoveStatus::kRunning)
    return corrupt("the end of a move that is not going on");
  if (r.at < now) return corrupt("older than the record before it");
  now = r.at;
  task->status = r.status;
  task->failure = std::move(r.failure);
  return {};
}

Status Engine::restore(const storage::RecoveredRecord& record) {
  HR_ASSIGN(AnyRecord any, decode(record.kind, record.payload));
  return std::visit(
      [&]<class R>(R& r) -> Status {
        if constexpr (std::is_same_v<R, MessageSent> || std::is_same_v<R, MessageCopied>) {
          return state_->apply(r, record.at);
        } else {
          return state_->apply(r);
        }
      },
      any);
}

// --- audit and describe ---

Status Engine::audit() const {
  State& s = *state_;
  std::uint64_t messages = 0, waiting = 0, scheduled = 0, groups = 0;
  for (const auto& [name, q] : s.by_name) {
    const auto wrong = [&](std::string_view what) {
      return fail(Errc::kInvalid, fmt::format("queue {} of {}: {}", name.second, name.first, what));
    };
    if (s.find(q->queue.id) != q) return wrong("not found by its number");
    if (const char* what = q->backlog.audit()) return wrong(what);
    messages += q->backlog.size();
    groups += q->backlog.groups();
    for (const Waiter* w = q->first; w != nullptr; w = w->after) {
      if (w->queue != q || (w->after == nullptr && q->last != w)) return wrong("its waiting receivers");
      ++waiting;
    }
    const Time due = s.due(*q);
    const bool left = q->first != nullptr && s.deliverable(*q);
    if (left ? q->deadline > s.now : q->deadline != due) return wrong("its deadline");
    if (q->deadline == Time::max()) continue;
    ++scheduled;
    const auto& entry = s.deadlines.entries()[q->position];
    if (entry.item != q || entry.due != q->deadline) return wrong("its place among the deadlines");
  }
  for (const auto& b : s.buried) messages += b.seqs.size();
  if (const char* what = s.audit_places()) return fail(Errc::kInvalid, what);
  if (s.buried.empty() && groups != s.groups.used()) return fail(Errc::kInvalid, "groups in use");
  if (s.by_id.size() != s.by_name.size()) return fail(Errc::kInvalid, "queues by number and by name differ");
  if (messages != s.slab.used()) return fail(Errc::kInvalid, "slots in use and messages differ");
  if (waiting != s.waiters.size() || waiting != s.waits.size()) {
    return fail(Errc::kInvalid, "waiting receivers of all queues");
  }
  if (scheduled != s.deadlines.size()) return fail(Errc::kInvalid, "deadlines of all queues");
  return {};
}

namespace {

std::string describe(const Queue& q, std::uint64_t next_seq) {
  const Attributes& a = q.attributes;
  return fmt::format(
      "queue {} {} {} created={} modified={} next={} delay={} visibility={} retention={} wait={} size={}",
      static_cast<std::uint64_t>(q.id), q.account, q.name, to_ms(q.created), to_ms(q.modified), next_seq,
      a.delay.count(), a.visibility_timeout.count(), a.retention.count(), a.receive_wait.count(),
      a.maximum_message_size);
}

std::string describe(const Message& m, GroupKey group) {
  return fmt::format(
      "  message {} {} sent={} visible={} receives={} here={} first={} lease={} moved={} from={} group={:x} "
      "at={}:{}+{}",
      static_cast<std::uint64_t>(m.seq), m.id.text(), to_ms(m.sent), to_ms(m.visible_at), m.receive_count,
      m.receives_here, m.first_received_ms, m.where == Where::kReady ? 0 : m.lease_ms, m.moved ? 1 : 0,
      m.source, static_cast<std::uint64_t>(group), m.at.segment, m.at.offset, m.at.bytes);
}

}  // namespace

void Engine::describe(const std::function<void(std::string_view line)>& line) const {
  State& s = *state_;
  line(fmt::format("next queue {}", s.next_queue));
  for (const auto& [name, q] : s.by_name) {
    line(queue::describe(q->queue, static_cast<std::uint64_t>(q->backlog.next_seq())));
    if (const auto& redrive = q->queue.attributes.redrive) {
      line(fmt::format("  redrive to {} after {}", static_cast<std::uint64_t>(redrive->dead_letter),
                       redrive->max_receive_count));
    }
    for (const auto& [key, value] : q->queue.attributes.stored)
      line(fmt::format("  attribute {}={}", key, value));
    for (const auto& [key, value] : q->queue.tags) line(fmt::format("  tag {}={}", key, value));
    for (const Slot slot : q->backlog.in_order()) {
      line(queue::describe(s.slab[slot], q->backlog.group_of(slot)));
    }
  }
  for (const MoveTask& task : s.moves) {
    line(fmt::format("move {} from={} to={} rate={} at={} moved={}/{} status={} {}", task.asked.id.text(),
                     static_cast<std::uint64_t>(task.asked.source),
                     static_cast<std::uint64_t>(task.asked.destination), task.asked.per_second,
                     to_ms(task.started), task.moved, task.to_move, static_cast<int>(task.status),
                     task.failure));
  }
  const auto sent = [&](QueueId queue, const Fingerprint& print, const auto& entry) {
    line(fmt::format("sent queue={} {} at={} message {} {}", static_cast<std::uint64_t>(queue),
                     to_hex(print.view()), to_ms(entry.at), static_cast<std::uint64_t>(entry.value.seq),
                     entry.value.id.text()));
  };
  s.originals.each(s.now, sent);
  s.retries.each(s.now, sent);
  s.attempts.each(s.now, [&](QueueId queue, const Fingerprint& print, const auto& entry) {
    std::string messages;
    for (const Handed& h : entry.value) {
      messages +=
          fmt::format(" {}/{} until {}", static_cast<std::uint64_t>(h.seq), h.receive, to_ms(h.visible_at));
    }
    line(fmt::format("attempt queue={} {} at={}{}", static_cast<std::uint64_t>(queue), to_hex(print.view()),
                     to_ms(entry.at), messages));
  });
}

}  // namespace hr::queue
