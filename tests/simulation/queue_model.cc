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

bool QueueModel::fifo(QueueId id) const {
  const Queue* q = find(id);
  return q != nullptr && q->fifo();
}

// Messages stand in the order of their numbers, and so do those of a group.
bool QueueModel::first_of_group(const Queue& q, const Message& m) const {
  const auto first = std::ranges::find(q.messages, m.group, &Message::group);
  return first->seq == m.seq;
}

// The number of the next message of the group, if it is visible.
std::optional<std::uint64_t> QueueModel::follower(const Queue& q, const Message& m) const {
  if (!q.fifo()) return std::nullopt;
  for (const Message& other : q.messages) {
    if (other.seq <= m.seq || other.group != m.group) continue;
    return other.visible_at <= now_ ? std::optional(other.seq) : std::nullopt;
  }
  return std::nullopt;
}

bool QueueModel::good_target(const Queue& q, const Attributes& a) {
  if (!a.redrive) return true;
  const Queue* target = find(a.redrive->dead_letter);
  return target != nullptr && target->queue.id != q.queue.id && target->fifo() == q.fifo();
}

// The one that has been visible for longest; of a FIFO queue, among the first of their groups. In a fair
// queue those of noisy tenants last, by how many of the tenant's messages are in flight.
QueueModel::Message* QueueModel::next(Queue& q) {
  Message* best = nullptr;
  const auto key = [&](const Message& m) {
    const auto tenant = q.tenants.find(m.group);
    const bool noisy = tenant != q.tenants.end() && tenant->second.noisy;
    return std::tuple(noisy, noisy ? in_flight(q, m.group) : 0, m.visible_at, m.by_command,
                      m.by_command != 0 ? 0 : m.seq);
  };
  for (Message& m : q.messages) {
    if (q.fifo() && !first_of_group(q, m)) continue;
    if (m.visible_at <= now_ && (best == nullptr || key(m) < key(*best))) best = &m;
  }
  return best;
}

// --- tenants ---

std::size_t QueueModel::in_flight(const Queue& q, GroupKey group) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(q.messages, [&](const Message& m) { return m.group == group && in_flight(m); }));
}

void QueueModel::arrive(Queue& q, const Message& m) {
  if (q.fifo() || m.group == GroupKey::kNone) return;
  q.fair = true;
  Time& last = q.tenants[m.group].last_sent;
  last = std::max(last, m.sent);
}

// Who has gone, and who is quiet because nothing of it waits.
void QueueModel::look(Queue& q) {
  std::erase_if(q.tenants, [&](const auto& tenant) {
    return std::ranges::find(q.messages, tenant.first, &Message::group) == q.messages.end();
  });
  for (auto& [group, tenant] : q.tenants) {
    const auto waits = [&, key = group](const Message& m) { return m.group == key && !in_flight(m); };
    if (!std::ranges::any_of(q.messages, waits)) tenant.noisy = false;
  }
}

Duration QueueModel::spent(const Queue& q, GroupKey group) const {
  const auto at = q.spent.find(group);
  if (at == q.spent.end()) return {};
  const auto age = now_.time_since_epoch() / Duration(5min) - at->second.window;
  return age == 0 ? at->second.latest + at->second.before : age == 1 ? at->second.latest : Duration{};
}

void QueueModel::spend(Queue& q, const Message& m) {
  if (!q.fair || !in_flight(m)) return;
  for (const GroupKey group : {m.group, GroupKey::kNone}) {
    Spent& s = q.spent[group];
    const auto window = now_.time_since_epoch() / Duration(5min);
    if (window != s.window) {
      s.before = window == s.window + 1 ? s.latest : Duration{};
      s.latest = {};
      s.window = window;
    }
    s.latest += now_ - m.received;
    if (m.group == GroupKey::kNone) break;
  }
}

void QueueModel::judge(Queue& q, const Message& m) {
  const auto at = q.tenants.find(m.group);
  if (at == q.tenants.end() || at->second.noisy || at->second.last_sent + 5min <= now_) return;
  const std::size_t own = in_flight(q, m.group);
  const bool many = own >= limits_.noisy_inflight && 10 * own > counts(q.queue.id).in_flight;
  at->second.noisy = many || 10 * spent(q, m.group) > spent(q, GroupKey::kNone);
  look(q);
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

// Whoever becomes the first of its group by this is visible since now, or from its own time on.
void QueueModel::drop(Queue& q, std::uint64_t seq) {
  const auto at = std::ranges::find(q.messages, seq, &Message::seq);
  const GroupKey group = at->group;
  const bool first = q.fifo() && first_of_group(q, *at);
  q.messages.erase(at);
  look(q);
  const auto next = std::ranges::find(q.messages, group, &Message::group);
  if (first && next != q.messages.end() && next->visible_at <= now_) place(*next, now_);
}

void QueueModel::expire(Queue& q) {
  for (;;) {
    const Message* oldest = nullptr;
    const auto key = [](const Message& m) { return std::tuple(m.sent, m.moved, m.seq); };
    for (const Message& m : q.messages) {
      if (expired(q, m) && (oldest == nullptr || key(m) < key(*oldest))) oldest = &m;
    }
    if (oldest == nullptr) return;
    drop(q, oldest->seq);
  }
}

Delivery QueueModel::delivery(const Queue& q, const Message& m) const {
  return {.receipt = {q.queue.id, Seq{m.seq}, m.count},
          .id = m.id,
          .sent = m.sent,
          .first_received = m.first,
          .receive_count = m.count,
          .moved = m.moved,
          .source = m.source,
          .content = {}};
}

std::vector<Delivery> QueueModel::take(Queue& q, std::size_t max, Duration lease,
                                       const std::optional<Fingerprint>& attempt) {
  std::vector<Delivery> out;
  std::optional<std::uint64_t> follows;  // in the group in hand
  for (auto& [group, tenant] : q.tenants) tenant.noisy = tenant.noisy && tenant.last_sent + 5min > now_;
  while (out.size() < max && counts(q.queue.id).in_flight < limits_.inflight_max) {
    const bool first = !follows;
    Message* m = follows ? find(q, Seq{*follows}) : next(q);
    if (m == nullptr) break;
    const bool again =
        std::ranges::any_of(out, [&](const Delivery& d) { return d.receipt.seq == Seq{m->seq}; });
    if (again) break;
    follows = follower(q, *m);
    const auto& redrive = q.queue.attributes.redrive;
    Queue* dead = redrive ? find(redrive->dead_letter) : nullptr;
    if (expired(q, *m)) {
      drop(q, m->seq);
      if (first) follows.reset();
    } else if (dead != nullptr && m->here >= redrive->max_receive_count) {
      Message moved = *m;
      drop(q, m->seq);
      moved.seq = dead->next_seq++;
      moved.here = 0;
      moved.moved = true;
      moved.source = q.queue.id;
      place(moved, now_);
      dead->messages.push_back(moved);
      arrive(*dead, moved);
      touched_.push_back(dead->queue.id);
      if (first) follows.reset();
    } else {
      if (m->count == 0) m->first = now_;
      ++m->count;
      ++m->here;
      m->received = now_;
      place(*m, now_ + lease);
      look(q);
      judge(q, *m);
      out.push_back(delivery(q, *m));
      if (!q.fifo() || !attempt) continue;
      const std::pair given(out.back().receipt, m->visible_at);
      const auto same = [&](const Attempt& a) { return a.queue == q.queue.id && a.id == *attempt; };
      const auto at = std::ranges::find_if(attempts_, same);
      if (at != attempts_.end() && at->at == now_) {
        at->given.push_back(given);
      } else {
        std::erase_if(attempts_, same);
        attempts_.push_back({q.queue.id, *attempt, now_, {given}});
      }
    }
  }
  return out;
}

// What the attempt was given within five minutes, if nothing of it has changed.
std::vector<Delivery> QueueModel::repeat(Queue& q, const Fingerprint& attempt, Duration lease) {
  std::vector<Delivery> out;
  for (Attempt& a : attempts_) {
    if (a.queue != q.queue.id || a.id != attempt || now_ >= a.at + 5min) continue;
    for (const auto& [receipt, until] : a.given) {
      const Message* m = find(q, receipt.seq);
      if (m == nullptr || m->count != receipt.receive || m->visible_at != until || until <= now_ ||
          expired(q, *m)) {
        return {};
      }
    }
    for (auto& [receipt, until] : a.given) {
      Message& m = *find(q, receipt.seq);
      place(m, std::min(now_ + lease, m.received + 12h));
      until = m.visible_at;
      out.push_back(delivery(q, m));
    }
  }
  return out;
}

void QueueModel::serve(Queue& q) {
  start(q, now_);
  while (!q.waiting.empty()) {
    const ReceiveRequest r = q.waiting.front().request;
    auto got = take(q, static_cast<std::size_t>(r.max_messages),
                    r.visibility.value_or(q.queue.attributes.visibility_timeout), r.attempt);
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
      expire(*q);
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
  for (Queue& q : queues_) {
    q.waiting.clear();
    q.tenants.clear();
    q.spent.clear();
    q.fair = false;
    for (const Message& m : q.messages) arrive(q, m);
  }
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
  if (!good_target(q, q.queue.attributes)) return refuse(Fault::kInvalid);
  ++next_queue_;
  queues_.push_back(q);
  return q.queue.id;
}

Outcome<void> QueueModel::set_attributes(QueueId id, const AttributeChange& change, Time now) {
  Queue* q = find(id);
  if (q == nullptr) return refuse(Fault::kNoSuchQueue);
  Attributes a = q->queue.attributes;
  apply(a, change);
  if (change.redrive && !good_target(*q, a)) return refuse(Fault::kInvalid);
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
  q->tenants.clear();
  q->spent.clear();
  q->fair = false;
  return {};
}

bool QueueModel::fits(const Queue& q, const SendEntry& entry) const {
  const bool group = entry.group != GroupKey::kNone;
  if (q.fifo()) return group && entry.deduplication && !entry.delay;
  return !entry.deduplication;
}

const QueueModel::Known* QueueModel::known(QueueId id, const Fingerprint& deduplication) const {
  for (const Known& k : known_) {
    if (k.queue == id && k.deduplication == deduplication && now_ < k.at + 5min) return &k;
  }
  return nullptr;
}

Outcome<std::vector<Sent>> QueueModel::send(QueueId id, std::span<const SendEntry> entries, Time now) {
  Queue* q = find(id);
  if (q == nullptr) return refuse(Fault::kNoSuchQueue);
  for (const SendEntry& entry : entries) {
    if (!fits(*q, entry)) return refuse(Fault::kInvalid);
  }
  start(*q, now);
  std::vector<Sent> sent;
  for (const SendEntry& entry : entries) {
    const Known* before = q->fifo() ? known(id, *entry.deduplication) : nullptr;
    if (before != nullptr) {
      sent.push_back({before->sent.seq, before->sent.id, true});
      continue;
    }
    Message m;
    m.id = entry.id;
    m.seq = q->next_seq++;
    m.sent = now_;
    m.group = entry.group;
    place(m, now_ + entry.delay.value_or(q->queue.attributes.delay));
    q->messages.push_back(m);
    arrive(*q, m);
    sent.push_back({Seq{m.seq}, m.id, false});
    if (q->fifo()) known_.push_back({id, *entry.deduplication, now_, sent.back()});
  }
  finish(*q);
  return sent;
}

Outcome<Received> QueueModel::receive(QueueId id, const ReceiveRequest& request, Time now) {
  Queue* q = find(id);
  if (q == nullptr) return refuse(Fault::kNoSuchQueue);
  start(*q, now);
  const Duration lease = request.visibility.value_or(q->queue.attributes.visibility_timeout);
  Received out;
  if (q->fifo() && request.attempt) out.deliveries = repeat(*q, *request.attempt, lease);
  if (!out.deliveries.empty()) {
    finish(*q);
    return out;
  }
  const bool may_wait = request.wait_until > now_ && waiting() < limits_.waiters_max;
  if (!may_wait && counts(id).in_flight >= limits_.inflight_max) {
    if (q->fifo()) return out;
    return refuse(Fault::kOverLimit);
  }
  serve(*q);
  out.deliveries = take(*q, static_cast<std::size_t>(request.max_messages), lease, request.attempt);
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
    if (m != nullptr && q->fifo() && m->visible_at <= now_) {
      out.push_back(refuse(Fault::kReceiptExpired));
      continue;
    }
    if (m != nullptr) {
      spend(*q, *m);
      judge(*q, *m);
      drop(*q, m->seq);
    }
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
      look(*q);
      out.emplace_back();
    }
  }
  finish(*q);
  return out;
}

}  // namespace hr::sim
