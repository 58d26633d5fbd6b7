#include "queue_model.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace hr::sim {

using namespace hr::queue;

namespace {

constexpr std::unexpected<Fault> refuse(Fault fault) { return std::unexpected(fault); }

void apply(Attributes& a, const AttributeChange& change) {
  if (change.delay) a.delay = *change.delay;
  if (change.visibility_timeout) a.visibility_timeout = *change.visibility_timeout;
  if (change.retention) a.retention = *change.retention;
  if (change.receive_wait) a.receive_wait = *change.receive_wait;
  if (change.maximum_message_size) a.maximum_message_size = *change.maximum_message_size;
  if (change.redrive) a.redrive = change.redrive;
  if (a.redrive && a.redrive->max_receive_count == 0) a.redrive.reset();
  for (const auto& [key, value] : change.stored) {
    a.stored[key] = value;
    if (value.empty()) a.stored.erase(key);
  }
}

}  // namespace

QueueModel::Queue* QueueModel::find(QueueId id) {
  for (Queue& q : queues_) {
    if (q.queue.id == id) return &q;
  }
  return nullptr;
}

QueueModel::Message* QueueModel::find(Queue& q, Seq seq) {
  for (Message& m : q.messages) {
    if (Seq{m.seq} == seq) return &m;
  }
  return nullptr;
}

bool QueueModel::expired(const Queue& q, const Message& m) const {
  return now_ >= m.sent + q.queue.attributes.retention;
}

// The one that has been visible for longest.
QueueModel::Message* QueueModel::next(Queue& q) {
  Message* best = nullptr;
  const auto key = [](const Message& m) {
    return std::tuple(m.visible_at, m.by_command, m.by_command != 0 ? 0 : m.seq);
  };
  for (Message& m : q.messages) {
    if (m.visible_at <= now_ && (best == nullptr || key(m) < key(*best))) best = &m;
  }
  return best;
}

Counts QueueModel::counts(QueueId id) const {
  Counts counts;
  const Queue* q = find(id);
  if (q == nullptr) return counts;
  for (const Message& m : q->messages) {
    ++(m.visible_at <= now_ ? counts.visible : m.count > 0 ? counts.in_flight : counts.delayed);
  }
  return counts;
}

std::size_t QueueModel::waiting() const {
  std::size_t n = 0;
  for (const Queue& q : queues_) n += q.waiting.size();
  return n;
}

Time QueueModel::due(const Queue& q) const {
  Time due = Time::max();
  for (const Message& m : q.messages) {
    due = std::min(due, m.sent + q.queue.attributes.retention);
    if (m.by_command == 0 && !m.noticed) due = std::min(due, m.visible_at);
  }
  return due;
}

Time QueueModel::next_deadline() const {
  Time next = Time::max();
  for (const Queue& q : queues_) {
    next = std::min(next, due(q));
    for (const Waiting& w : q.waiting) next = std::min(next, w.request.wait_until);
  }
  return next;
}

std::vector<QueueId> QueueModel::queues() const {
  std::vector<QueueId> ids;
  for (const Queue& q : queues_) ids.push_back(q.queue.id);
  return ids;
}

std::vector<Wakeup> QueueModel::take_wakeups() { return std::exchange(wakeups_, {}); }

void QueueModel::place(Message& m, Time visible_at) {
  m.visible_at = visible_at;
  m.by_command = visible_at <= now_ ? ++commands_ : 0;
  m.noticed = false;
}

void QueueModel::drop(Queue& q, const Message& m) {
  std::erase_if(q.messages, [seq = m.seq](const Message& other) { return other.seq == seq; });
}

std::vector<Delivery> QueueModel::take(Queue& q, std::size_t max, Duration lease) {
  std::vector<Delivery> out;
  while (out.size() < max && counts(q.queue.id).in_flight < limits_.inflight_max) {
    Message* m = next(q);
    if (m == nullptr) break;
    const bool again =
        std::ranges::any_of(out, [&](const Delivery& d) { return d.receipt.seq == Seq{m->seq}; });
    if (again) break;
    const auto& redrive = q.queue.attributes.redrive;
    Queue* dead = redrive ? find(redrive->dead_letter) : nullptr;
    if (expired(q, *m)) {
      drop(q, *m);
    } else if (dead != nullptr && m->here >= redrive->max_receive_count) {
      Message moved = *m;
      drop(q, *m);
      moved.seq = dead->next_seq++;
      moved.here = 0;
      place(moved, now_);
      dead->messages.push_back(moved);
      touched_.push_back(dead->queue.id);
    } else {
      if (m->count == 0) m->first = now_;
      ++m->count;
      ++m->here;
      m->received = now_;
      place(*m, now_ + lease);
      out.push_back({{q.queue.id, Seq{m->seq}, m->count}, m->id, m->sent, m->first, m->count, {}});
    }
  }
  return out;
}

void QueueModel::serve(Queue& q) {
  start(q, now_);
  while (!q.waiting.empty()) {
    const ReceiveRequest r = q.waiting.front().request;
    auto got = take(q, static_cast<std::size_t>(r.max_messages),
                    r.visibility.value_or(q.queue.attributes.visibility_timeout));
    if (got.empty()) return;
    wakeups_.push_back({r.waiter, std::move(got)});
    q.waiting.erase(q.waiting.begin());
  }
}

void QueueModel::start(Queue& q, Time now) {
  now_ = now;
  for (Message& m : q.messages) m.noticed = m.noticed || m.visible_at <= now_;
}

void QueueModel::finish(Queue& q) {
  touched_.push_back(q.queue.id);
  finish();
}

void QueueModel::finish() {
  for (std::size_t i = 0; i < touched_.size(); ++i) serve(*find(touched_[i]));
  touched_.clear();
}

QueueModel::Queue* QueueModel::first_due() {
  Queue* first = nullptr;
  for (Queue& q : queues_) {
    if (due(q) <= now_ && (first == nullptr || due(q) < due(*first))) first = &q;
  }
  return first;
}

void QueueModel::tick(Time now) {
  now_ = now;
  while (first_due() != nullptr) {
    while (Queue* q = first_due()) {
      std::erase_if(q->messages, [&](const Message& m) { return expired(*q, m); });
      serve(*q);
    }
    finish();
  }
  for (Queue& q : queues_) {
    for (const Waiting& w : q.waiting) {
      if (w.request.wait_until <= now_) wakeups_.push_back({w.request.waiter, {}});
    }
    std::erase_if(q.waiting, [&](const Waiting& w) { return w.request.wait_until <= now_; });
  }
}

void QueueModel::restart() {
  for (Queue& q : queues_) q.waiting.clear();
}

void QueueModel::cancel(WaiterId waiter) {
  for (Queue& q : queues_) {
    std::erase_if(q.waiting, [&](const Waiting& w) { return w.request.waiter == waiter; });
  }
}

Outcome<QueueId> QueueModel::create(const CreateQueue& request, Time now) {
  now_ = now;
  for (const Queue& q : queues_) {
    if (q.queue.account != request.account || q.queue.name != request.name) continue;
    Attributes asked = q.queue.attributes;
    apply(asked, request.attributes);
    if (asked == q.queue.attributes) return q.queue.id;
    return refuse(Fault::kNameExists);
  }
  if (queues_.size() >= limits_.queues_max) return refuse(Fault::kTooManyQueues);
  Queue q;
  q.queue.id = QueueId{next_queue_};
  q.queue.account = request.account;
  q.queue.name = request.name;
  apply(q.queue.attributes, request.attributes);
  if (q.queue.attributes.redrive && find(q.queue.attributes.redrive->dead_letter) == nullptr) {
    return refuse(Fault::kInvalid);
  }
  ++next_queue_;
  queues_.push_back(q);
  return q.queue.id;
}

Outcome<void> QueueModel::set_attributes(QueueId id, const AttributeChange& change, Time now) {
  Queue* q = find(id);
  if (q == nullptr) return refuse(Fault::kNoSuchQueue);
  Attributes a = q->queue.attributes;
  apply(a, change);
  if (change.redrive && a.redrive &&
      (find(a.redrive->dead_letter) == nullptr || a.redrive->dead_letter == id)) {
    return refuse(Fault::kInvalid);
  }
  now_ = now;
  q->queue.attributes = a;
  return {};
}

Outcome<void> QueueModel::tag(QueueId id, const TagChange& change, Time now) {
  Queue* q = find(id);
  if (q == nullptr) return refuse(Fault::kNoSuchQueue);
  auto tags = q->queue.tags;
  for (const auto& [key, value] : change.set) tags[key] = value;
  for (const auto& key : change.remove) tags.erase(key);
  if (tags.size() > 50) return refuse(Fault::kTooManyTags);
  now_ = now;
  q->queue.tags = tags;
  return {};
}

std::map<std::string, std::string> QueueModel::tags(QueueId id) const {
  const Queue* q = find(id);
  return q == nullptr ? std::map<std::string, std::string>{} : q->queue.tags;
}

Outcome<void> QueueModel::remove(QueueId id, Time now) {
  Queue* q = find(id);
  if (q == nullptr) return refuse(Fault::kNoSuchQueue);
  now_ = now;
  for (const Waiting& w : q->waiting) wakeups_.push_back({w.request.waiter, {}});
  std::erase_if(queues_, [&](const Queue& other) { return other.queue.id == id; });
  return {};
}

Outcome<void> QueueModel::purge(QueueId id, Time now) {
  Queue* q = find(id);
  if (q == nullptr) return refuse(Fault::kNoSuchQueue);
  now_ = now;
  q->messages.clear();
  return {};
}

Outcome<std::vector<Sent>> QueueModel::send(QueueId id, std::span<const SendEntry> entries, Time now) {
  Queue* q = find(id);
  if (q == nullptr) return refuse(Fault::kNoSuchQueue);
  start(*q, now);
  std::vector<Sent> sent;
  for (const SendEntry& entry : entries) {
    Message m;
    m.id = entry.id;
    m.seq = q->next_seq++;
    m.sent = now_;
    place(m, now_ + entry.delay.value_or(q->queue.attributes.delay));
    q->messages.push_back(m);
    sent.push_back({Seq{m.seq}});
  }
  finish(*q);
  return sent;
}

Outcome<Received> QueueModel::receive(QueueId id, const ReceiveRequest& request, Time now) {
  Queue* q = find(id);
  if (q == nullptr) return refuse(Fault::kNoSuchQueue);
  start(*q, now);
  const bool may_wait = request.wait_until > now_ && waiting() < limits_.waiters_max;
  if (!may_wait && counts(id).in_flight >= limits_.inflight_max) return refuse(Fault::kOverLimit);
  serve(*q);
  Received out;
  out.deliveries = take(*q, static_cast<std::size_t>(request.max_messages),
                        request.visibility.value_or(q->queue.attributes.visibility_timeout));
  out.parked = out.deliveries.empty() && may_wait;
  if (out.parked) q->waiting.push_back({request});
  finish(*q);
  return out;
}

Outcome<std::vector<Outcome<void>>> QueueModel::erase(QueueId id, std::span<const Receipt> receipts,
                                                      Time now) {
  Queue* q = find(id);
  if (q == nullptr) return refuse(Fault::kNoSuchQueue);
  start(*q, now);
  std::vector<Outcome<void>> out;
  for (const Receipt& r : receipts) {
    const bool ours = r.queue == id && r.receive > 0 && r.seq < Seq{q->next_seq};
    const Message* m = find(*q, r.seq);
    if (!ours || (m != nullptr && m->count != r.receive)) {
      out.push_back(refuse(Fault::kReceiptInvalid));
      continue;
    }
    if (m != nullptr) drop(*q, *m);
    out.emplace_back();
  }
  finish(*q);
  return out;
}

Outcome<std::vector<Outcome<void>>> QueueModel::change_visibility(QueueId id,
                                                                  std::span<const Engine::Visibility> changes,
                                                                  Time now) {
  Queue* q = find(id);
  if (q == nullptr) return refuse(Fault::kNoSuchQueue);
  start(*q, now);
  std::vector<Outcome<void>> out;
  for (const auto& [receipt, timeout] : changes) {
    const bool ours = receipt.queue == id && receipt.receive > 0 && receipt.seq < Seq{q->next_seq};
    Message* m = find(*q, receipt.seq);
    if (!ours || (m != nullptr && m->count != receipt.receive)) {
      out.push_back(refuse(Fault::kReceiptInvalid));
    } else if (m == nullptr || m->visible_at <= now_ || expired(*q, *m)) {
      out.push_back(refuse(Fault::kNotInflight));
    } else if (now_ + timeout - m->received > 12h) {
      out.push_back(refuse(Fault::kLeaseTooLong));
    } else {
      place(*m, now_ + timeout);
      out.emplace_back();
    }
  }
  finish(*q);
  return out;
}

}  // namespace hr::sim
