#include "queue/engine.h"

#include "base/check.h"
#include "queue/state.h"

#include <algorithm>
#include <utility>

namespace hr::queue {
namespace {

bool valid_account(std::string_view account) {
  return account.size() == 12 && std::ranges::all_of(account, [](char c) { return c >= '0' && c <= '9'; });
}

bool valid_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  if (name.size() > 80) return false;
  if (is_fifo(name)) name.remove_suffix(5);
  return !name.empty() && std::ranges::all_of(name, allowed);
}

std::uint64_t text_bytes(const std::map<std::string, std::string>& map) {
  std::uint64_t bytes = 10;
  for (const auto& [key, value] : map) bytes += key.size() + value.size() + 10;
  return bytes;
}

constexpr std::uint64_t kAttributesBytesMax = 64;  // besides the texts

}  // namespace

Attributes changed(Attributes a, const AttributeChange& change) {
  const auto take = [](auto& field, const auto& value) {
    if (value) field = *value;
  };
  take(a.delay, change.delay);
  take(a.visibility_timeout, change.visibility_timeout);
  take(a.retention, change.retention);
  take(a.receive_wait, change.receive_wait);
  take(a.maximum_message_size, change.maximum_message_size);
  if (change.redrive) {
    a.redrive = change.redrive->max_receive_count == 0 ? std::nullopt : change.redrive;
  }
  for (const auto& [name, value] : change.stored) {
    if (value.empty()) {
      a.stored.erase(name);
    } else {
      a.stored.insert_or_assign(name, value);
    }
  }
  return a;
}

// --- state ---

// A block is copied after the head that says the time of the state: of a message that became visible between
// the two it holds that, so for commands it is no earlier. Records of that time in between are still to come.
Time Engine::State::clock(Time at) { return now = std::clamp(at, std::max(now, shown), kTimeMax); }

QueueState* Engine::State::find(QueueId id) const {
  const auto it = by_id.find(static_cast<std::uint64_t>(id));
  return it == by_id.end() ? nullptr : it->second.get();
}

QueueState& Engine::State::add_queue(Queue queue) {
  const auto id = static_cast<std::uint64_t>(queue.id);
  next_queue = id + 1;
  auto owned = std::make_unique<QueueState>(std::move(queue), slab, groups);
  QueueState& q = *owned;
  by_id.emplace(id, std::move(owned));
  by_name.emplace(std::pair<std::string_view, std::string_view>(q.queue.account, q.queue.name), &q);
  return q;
}

void Engine::State::drop_queue(QueueState& q) {
  HR_CHECK(q.first == nullptr);
  empty(q);
  drop_moves(q.queue.id);
  by_name.erase(std::pair<std::string_view, std::string_view>(q.queue.account, q.queue.name));
  by_id.erase(static_cast<std::uint64_t>(q.queue.id));
}

void Engine::State::free(Slot slot) {
  leave(slab[slot].at);
  slab.give_back(slot);
}

void Engine::State::empty(QueueState& q) {
  buried.push_back({.seqs = q.backlog.clear(), .grouped = q.fifo});
  bury(limits.tick_messages_max);
  reschedule(q);
}

bool Engine::State::valid(const Attributes& attributes, QueueId own, bool fifo) const {
  if (!in_range(attributes)) return false;
  if (!attributes.redrive) return true;
  const QueueState* target = find(attributes.redrive->dead_letter);
  return target != nullptr && target->queue.id != own && target->fifo == fifo;
}

// --- questions ---

Engine::Engine(Limits limits) : state_(std::make_unique<State>(limits)) {
  HR_CHECK(limits.queues_max > 0 && limits.inflight_max > 0 && limits.waiters_max > 0 &&
           limits.tick_messages_max > 0);
}
Engine::~Engine() = default;

const Limits& Engine::limits() const { return state_->limits; }

const Queue* Engine::find(std::string_view account, std::string_view name) const {
  const auto it = state_->by_name.find(std::pair(account, name));
  return it == state_->by_name.end() ? nullptr : &it->second->queue;
}

const Queue* Engine::find(QueueId id) const {
  const QueueState* q = state_->find(id);
  return q == nullptr ? nullptr : &q->queue;
}

std::vector<const Queue*> Engine::list(std::string_view account, std::string_view prefix,
                                       std::string_view after, std::size_t max) const {
  std::vector<const Queue*> out;
  auto it = after < prefix ? state_->by_name.lower_bound(std::pair(account, prefix))
                           : state_->by_name.upper_bound(std::pair(account, after));
  for (; it != state_->by_name.end() && out.size() < max; ++it) {
    const Queue& queue = it->second->queue;
    if (queue.account != account || !queue.name.starts_with(prefix)) break;
    out.push_back(&queue);
  }
  return out;
}

std::size_t Engine::queue_count() const { return state_->by_id.size(); }

Counts Engine::counts(QueueId id) const {
  const QueueState* q = state_->find(id);
  return q == nullptr ? Counts{} : q->backlog.counts();
}

std::optional<storage::Location> Engine::location(QueueId id, Seq seq) const {
  const QueueState* q = state_->find(id);
  const Slot slot = q == nullptr ? kNoSlot : q->backlog.find(seq);
  if (slot == kNoSlot || state_->slab[slot].at.bytes == 0) return std::nullopt;
  return state_->slab[slot].at;
}

// --- bounds ---

Bound Engine::bound(const CreateQueue& request) const {
  return {1, kRecordBytesMax + kAttributesBytesMax + request.account.size() + request.name.size() +
                 text_bytes(request.attributes.stored) + text_bytes(request.tags)};
}

Bound Engine::bound(QueueId id, const AttributeChange& change) const {
  const Queue* queue = find(id);
  if (queue == nullptr) return {};
  return {1, kRecordBytesMax + kAttributesBytesMax + text_bytes(change.stored) +
                 text_bytes(queue->attributes.stored) + text_bytes(queue->tags)};
}

Bound Engine::bound(QueueId id, const TagChange& change) const {
  Bound bound = this->bound(id, AttributeChange{});
  bound.bytes += text_bytes(change.set);
  return bound;
}

Bound Engine::bound(std::size_t items) const {
  // Each unit of the step's budget is one entry and at most opens one record.
  const std::size_t entries = items + limits().tick_messages_max;
  const std::size_t records = entries + 4;
  return {records, records * kRecordBytesMax + entries * kEntryBytesMax};
}

Bound Engine::bound(std::span<const SendEntry> entries) const {
  Bound bound = this->bound(entries.size());
  for (const SendEntry& entry : entries) bound.bytes += entry.content.size();
  return bound;
}

// --- queues ---

Outcome<QueueId> Engine::create(const CreateQueue& request, Time at, Effects& out) {
  State& s = *state_;
  if (!valid_account(request.account) || !valid_name(request.name)) return std::unexpected(Fault::kInvalid);
  if (const Queue* there = find(request.account, request.name)) {
    if (changed(there->attributes, request.attributes) == there->attributes) return there->id;
    return std::unexpected(Fault::kNameExists);
  }
  if (s.by_id.size() >= s.limits.queues_max || s.next_queue > kQueueIdMax) {
    return std::unexpected(Fault::kTooManyQueues);
  }
  Step step = s.step(at, out);
  Queue queue{.id = QueueId{s.next_queue},
              .account = request.account,
              .name = request.name,
              .attributes = changed(Attributes{}, request.attributes),
              .tags = request.tags,
              .created = step.now,
              .modified = step.now};
  if (!s.valid(queue.attributes, queue.id, is_fifo(queue))) return std::unexpected(Fault::kInvalid);
  if (queue.tags.size() > kTagsMax) return std::unexpected(Fault::kTooManyTags);
  step.log(QueueCreated{queue});
  return s.add_queue(std::move(queue)).queue.id;
}

Outcome<void> Engine::set_attributes(QueueId id, const AttributeChange& change, Time at, Effects& out) {
  State& s = *state_;
  QueueState* q = s.find(id);
  if (q == nullptr) return std::unexpected(Fault::kNoSuchQueue);
  Attributes attributes = changed(q->queue.attributes, change);
  // A dead-letter queue that has gone since it was named is no reason to refuse another change.
  if (change.redrive ? !s.valid(attributes, id, q->fifo) : !in_range(attributes))
    return std::unexpected(Fault::kInvalid);
  Step step = s.step(at, out);
  q->queue.attributes = std::move(attributes);
  q->queue.modified = step.now;
  q->definition = nullptr;
  step.log(QueueChanged{id, step.now, q->queue.attributes, q->queue.tags});
  s.reschedule(*q);
  return {};
}

Outcome<void> Engine::tag(QueueId id, const TagChange& change, Time at, Effects& out) {
  QueueState* q = state_->find(id);
  if (q == nullptr) return std::unexpected(Fault::kNoSuchQueue);
  std::map<std::string, std::string> tags = q->queue.tags;
  for (const auto& [key, value] : change.set) tags.insert_or_assign(key, value);
  for (const std::string& key : change.remove) tags.erase(key);
  if (tags.size() > kTagsMax) return std::unexpected(Fault::kTooManyTags);
  if (tags == q->queue.tags) return {};
  Step step = state_->step(at, out);
  q->queue.tags = std::move(tags);
  q->queue.modified = step.now;
  q->definition = nullptr;
  step.log(QueueChanged{id, step.now, q->queue.attributes, q->queue.tags});
  return {};
}

Outcome<void> Engine::remove(QueueId id, Time at, Effects& out) {
  State& s = *state_;
  QueueState* q = s.find(id);
  if (q == nullptr) return std::unexpected(Fault::kNoSuchQueue);
  Step step = s.step(at, out);
  step.log(QueueRemoved{id, step.now});
  while (q->first != nullptr) {
    out.wakeups.push_back({q->first->id, {}});
    s.unpark(*q->first);
  }
  s.drop_queue(*q);
  return {};
}

Outcome<void> Engine::purge(QueueId id, Time at, Effects& out) {
  State& s = *state_;
  QueueState* q = s.find(id);
  if (q == nullptr) return std::unexpected(Fault::kNoSuchQueue);
  Step step = s.step(at, out);
  step.log(QueuePurged{id, step.now});
  s.empty(*q);
  return {};
}

// --- messages ---

namespace {

bool sendable(const SendEntry& entry, bool fifo) {
  if (entry.delay && (*entry.delay < 0s || *entry.delay > kDelayMax)) return false;
  const bool grouped = entry.group != GroupKey::kNone && entry.deduplication;
  return fifo ? grouped && !entry.delay : true;
}

}  // namespace

// What a record says that was sent, into its queue; at `now`, which is its time.
Slot Engine::State::admit(QueueState& q, const MessageSent& record) {
  const Slot slot = slab.take();
  Message& m = slab[slot];
  m.id = record.id;
  m.sent = record.sent;
  m.visible_at = record.sent + record.delay;
  q.backlog.add(slot, record.group, now);
  if (record.deduplication) {
    auto& known = q.fifo ? originals : retries;
    known.put(q.queue.id, *record.deduplication, now, {.seq = m.seq, .id = m.id});
    while (retries.size() > limits.retries_max) retries.drop_first();
  }
  return slot;
}

Outcome<std::vector<Sent>> Engine::send(QueueId id, std::span<const SendEntry> entries, Time at,
                                        Effects& out) {
  State& s = *state_;
  QueueState* q = s.find(id);
  if (q == nullptr) return std::unexpected(Fault::kNoSuchQueue);
  if (!std::ranges::all_of(entries, [&](const SendEntry& e) { return sendable(e, q->fifo); })) {
    return std::unexpected(Fault::kInvalid);
  }
  if (q->fifo) {
    s.originals.forget(s.clock(at), 2 * entries.size() + s.limits.tick_messages_max);
    if (s.originals.size() + entries.size() > s.limits.deduplication_max) {
      return std::unexpected(Fault::kThrottled);
    }
  }
  Step step = s.step(at, out);
  Originals& known = q->fifo ? s.originals : s.retries;
  std::vector<Sent> sent;
  for (const SendEntry& entry : entries) {
    const auto* original = entry.deduplication ? known.find(id, *entry.deduplication, step.now) : nullptr;
    if (original != nullptr) {
      sent.push_back({original->value.seq, original->value.id, true});
      continue;
    }
    const MessageSent record{.queue = id,
                             .seq = q->backlog.next_seq(),
                             .id = entry.id,
                             .sent = step.now,
                             .delay = entry.delay.value_or(q->queue.attributes.delay),
                             .group = entry.group,
                             .deduplication = entry.deduplication,
                             .content = entry.content};
    s.slab[s.admit(*q, record)].at.offset = static_cast<std::uint32_t>(out.records.size());
    out.placements.push_back({out.records.size(), id, record.seq});
    step.log(record);
    sent.push_back({record.seq, entry.id, false});
  }
  step.touch(*q);
  s.finish(step);
  return sent;
}

void Engine::place(std::span<const Placement> placements, std::span<const storage::Location> at) {
  for (const Placement& p : placements) {
    QueueState* q = state_->find(p.queue);
    const Slot slot = q == nullptr ? kNoSlot : q->backlog.find(p.seq);
    HR_CHECK(p.record < at.size());
    if (slot != kNoSlot) state_->place(slot, at[p.record]);
  }
}

void Engine::place(Effects& step, std::span<const storage::Location> at) {
  HR_CHECK(at.size() >= step.records.size());
  place(step.placements, at);
  for (Wakeup& wakeup : step.wakeups) {
    for (Delivery& d : wakeup.deliveries) {
      if (d.content.bytes == 0) d.content = at[d.content.offset];
    }
  }
}

namespace {

// Whether `receipt` is that of the latest receive.
bool is_latest(const Message& m, const Receipt& receipt) {
  return receipt.receive != 0 && receipt.receive == m.receive_count;
}

}  // namespace

Outcome<std::vector<Outcome<void>>> Engine::erase(QueueId id, std::span<const Receipt> receipts, Time at,
                                                  Effects& out) {
  State& s = *state_;
  QueueState* q = s.find(id);
  if (q == nullptr) return std::unexpected(Fault::kNoSuchQueue);
  Step step = s.step(at, out);
  if (q->backlog.has_tenants())
    q->backlog.settle(step.now, step.budget);  // who is noisy goes by what is in flight
  MessagesErased record{id, step.now, {}};
  std::vector<Outcome<void>> outcomes;
  for (const Receipt& receipt : receipts) {
    const Slot slot = receipt.queue == id ? q->backlog.find(receipt.seq) : kNoSlot;
    const bool given = receipt.queue == id && receipt.receive != 0 && receipt.seq < q->backlog.next_seq();
    if (slot == kNoSlot ? !given : !is_latest(s.slab[slot], receipt)) {
      outcomes.push_back(std::unexpected(Fault::kReceiptInvalid));
      continue;
    }
    // After its lease another may be at work on the group.
    if (q->fifo && slot != kNoSlot && s.slab[slot].visible_at <= step.now) {
      outcomes.push_back(std::unexpected(Fault::kReceiptExpired));
      continue;
    }
    outcomes.emplace_back();
    if (slot == kNoSlot) continue;
    q->backlog.processed(slot, step.now);
    q->backlog.judge(slot, s.limits.noisy_inflight, step.now);
    s.erase(*q, slot);
    record.messages.push_back(receipt.seq);
  }
  if (!record.messages.empty()) step.log(std::move(record));
  step.touch(*q);
  s.finish(step);
  return outcomes;
}

Outcome<std::vector<Outcome<void>>> Engine::change_visibility(QueueId id, std::span<const Visibility> changes,
                                                              Time at, Effects& out) {
  State& s = *state_;
  QueueState* q = s.find(id);
  if (q == nullptr) return std::unexpected(Fault::kNoSuchQueue);
  Step step = s.step(at, out);
  VisibilityChanged record{id, step.now, {}};
  const auto change = [&](const Visibility& v) -> Outcome<void> {
    const Receipt& receipt = v.receipt;
    if (receipt.queue != id || receipt.receive == 0 || receipt.seq >= q->backlog.next_seq()) {
      return std::unexpected(Fault::kReceiptInvalid);
    }
    if (v.timeout < 0s || v.timeout > kLeaseMax) return std::unexpected(Fault::kInvalid);
    const Slot slot = q->backlog.find(receipt.seq);
    if (slot == kNoSlot) return std::unexpected(Fault::kNotInflight);
    Message& m = s.slab[slot];
    if (!is_latest(m, receipt)) return std::unexpected(Fault::kReceiptInvalid);
    if (m.visible_at <= step.now || s.expired(*q, m)) return std::unexpected(Fault::kNotInflight);
    const Time received = m.visible_at - Duration(m.lease_ms);
    if (step.now + v.timeout > received + kLeaseMax) return std::unexpected(Fault::kLeaseTooLong);
    s.slab.touch(slot);
    m.lease_ms = static_cast<std::uint32_t>((step.now + v.timeout - received).count());
    q->backlog.hide(slot, step.now + v.timeout, step.now);
    record.messages.push_back({receipt.seq, v.timeout});
    return {};
  };
  std::vector<Outcome<void>> outcomes;
  for (const Visibility& v : changes) outcomes.push_back(change(v));
  if (!record.messages.empty()) step.log(std::move(record));
  step.touch(*q);
  s.finish(step);
  return outcomes;
}

Outcome<Received> Engine::receive(QueueId id, const ReceiveRequest& request, Time at, Effects& out) {
  State& s = *state_;
  QueueState* q = s.find(id);
  if (q == nullptr) return std::unexpected(Fault::kNoSuchQueue);
  const Duration length = request.visibility.value_or(q->queue.attributes.visibility_timeout);
  if (request.max_messages < 1 || request.max_messages > 1000 || length < 0s || length > kLeaseMax) {
    return std::unexpected(Fault::kInvalid);
  }
  Step step = s.step(at, out);
  q->backlog.settle(step.now, step.budget);  // for an exact count of what is in flight
  if (q->fifo && request.attempt) {
    Received again{.parked = false, .deliveries = s.repeat(*q, request, length, step)};
    if (!again.deliveries.empty()) {
      step.touch(*q);
      s.finish(step);
      return again;
    }
  }
  const bool may_wait = request.wait_until > step.now && s.waiters.size() < s.limits.waiters_max;
  if (!may_wait && q->backlog.counts().in_flight >= s.limits.inflight_max) {
    s.reschedule(*q);
    if (q->fifo) return Received{};
    return std::unexpected(Fault::kOverLimit);
  }
  s.serve(*q, step);
  Received received;
  received.deliveries =
      s.deliver(*q, static_cast<std::size_t>(request.max_messages), length, request.attempt, step);
  received.parked = received.deliveries.empty() && may_wait;
  if (received.parked) s.park(*q, request);
  step.touch(*q);
  s.finish(step);
  return received;
}

void Engine::cancel(WaiterId waiter) {
  const auto it = state_->waiters.find(static_cast<std::uint64_t>(waiter));
  if (it != state_->waiters.end()) state_->unpark(*it->second);
}

}  // namespace hr::queue
