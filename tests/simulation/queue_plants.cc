#include "queue_plants.h"

#include "queue/records.h"

#include <algorithm>
#include <map>
#include <utility>

namespace hr::sim {

using namespace hr::queue;

namespace {

// Keeps the records of one type out of the log.
template <class R>
class Unlogged : public QueueSubject {
 public:
  using QueueSubject::QueueSubject;

 protected:
  std::optional<storage::Record> written(const storage::Record& record) override {
    const auto any = decode(record.kind, record.payload);
    return any && std::holds_alternative<R>(*any) ? std::nullopt : std::optional(record);
  }
};

// Changes the records of one type on their way into the log.
template <class R, auto Change>
class Miswritten : public QueueSubject {
 public:
  using QueueSubject::QueueSubject;

 protected:
  std::optional<storage::Record> written(const storage::Record& record) override {
    auto any = decode(record.kind, record.payload);
    if (!any || !std::holds_alternative<R>(*any)) return record;
    Change(std::get<R>(*any));
    return encode(*any);
  }
};

class ReceiptNotChecked : public QueueSubject {
 public:
  using QueueSubject::QueueSubject;
  Outcomes erase(QueueId id, std::span<const Receipt> receipts, Time now, Effects& out) override {
    std::vector<Receipt> any(receipts.begin(), receipts.end());
    for (Receipt& r : any) {
      if (const auto it = latest_.find({r.queue, r.seq}); it != latest_.end()) r.receive = it->second;
    }
    return engine().erase(id, any, now, out);
  }

 protected:
  void on_step(Effects& step, Time) override {
    for (const auto& record : step.records) {
      const auto any = decode(record.kind, record.payload);
      const auto* received = std::get_if<MessagesReceived>(&*any);
      if (received == nullptr) continue;
      for (const auto& m : received->messages) latest_[{received->queue, m.seq}] = m.receive;
    }
  }

 private:
  std::map<std::pair<QueueId, Seq>, std::uint32_t> latest_;
};

class LeaseEndsEarly : public QueueSubject {
 public:
  using QueueSubject::QueueSubject;
  Outcome<Received> receive(QueueId id, const ReceiveRequest& request, Time now, Effects& out) override {
    ReceiveRequest early = request;
    if (early.visibility) early.visibility = std::max<Duration>(*early.visibility - 1ms, 0ms);
    return engine().receive(id, early, now, out);
  }
};

class DelayForgotten : public QueueSubject {
 public:
  using QueueSubject::QueueSubject;
  Outcome<std::vector<Sent>> send(QueueId id, std::span<const SendEntry> entries, Time now,
                                  Effects& out) override {
    std::vector<SendEntry> at_once(entries.begin(), entries.end());
    for (SendEntry& e : at_once) e.delay = 0ms;
    return engine().send(id, at_once, now, out);
  }
};

class DeadLetterOneLate : public QueueSubject {
 public:
  using QueueSubject::QueueSubject;
  Outcome<QueueId> create(const CreateQueue& request, Time now, Effects& out) override {
    CreateQueue late = request;
    late.attributes = one_more(request.attributes);
    return engine().create(late, now, out);
  }
  Outcome<void> set_attributes(QueueId id, const AttributeChange& change, Time now, Effects& out) override {
    return engine().set_attributes(id, one_more(change), now, out);
  }

 private:
  static AttributeChange one_more(AttributeChange change) {
    if (change.redrive && change.redrive->max_receive_count > 0) ++change.redrive->max_receive_count;
    return change;
  }
};

// What remembers the ids of the messages, to bring back some that should be gone.
class Reviving : public QueueSubject {
 public:
  using QueueSubject::QueueSubject;
  Outcome<std::vector<Sent>> send(QueueId id, std::span<const SendEntry> entries, Time now,
                                  Effects& out) override {
    auto sent = engine().send(id, entries, now, out);
    for (std::size_t i = 0; sent && i < entries.size(); ++i) ids_[{id, (*sent)[i].seq}] = entries[i].id;
    return sent;
  }

 protected:
  void revive(QueueId id, Seq seq, std::optional<Duration> delay, Time now, Effects& out) {
    const SendEntry entry{ids_[{id, seq}], "", delay};
    static_cast<void>(engine().send(id, {&entry, 1}, now, out));
  }

 private:
  std::map<std::pair<QueueId, Seq>, Uuid> ids_;
};

class DeadLetterInBoth : public Reviving {
 public:
  using Reviving::Reviving;

 protected:
  void on_step(Effects& step, Time now) override {
    const std::vector<storage::Record> records = step.records;
    for (const auto& record : records) {
      const auto any = decode(record.kind, record.payload);
      const auto* dead = std::get_if<MessagesDeadLettered>(&*any);
      if (dead == nullptr) continue;
      for (const auto& m : dead->messages) revive(dead->queue, m.from, 0ms, now, step);
    }
  }
};

class PurgeForgetsInFlight : public Reviving {
 public:
  using Reviving::Reviving;
  Outcome<void> purge(QueueId id, Time now, Effects& out) override {
    auto done = engine().purge(id, now, out);
    for (const Seq seq : std::exchange(in_flight_[id], {})) revive(id, seq, 30s, now, out);
    return done;
  }

 protected:
  void on_step(Effects& step, Time) override {
    for (const auto& record : step.records) {
      const auto any = decode(record.kind, record.payload);
      if (const auto* received = std::get_if<MessagesReceived>(&*any)) {
        for (const auto& m : received->messages) in_flight_[received->queue].push_back(m.seq);
      } else if (const auto* erased = std::get_if<MessagesErased>(&*any)) {
        for (const Seq seq : erased->messages) std::erase(in_flight_[erased->queue], seq);
      }
    }
  }

 private:
  std::map<QueueId, std::vector<Seq>> in_flight_;
};

class WokenWithoutLease : public QueueSubject {
 public:
  using QueueSubject::QueueSubject;

 protected:
  void on_step(Effects& step, Time now) override {
    for (const Wakeup& w : step.wakeups) {
      for (const Delivery& d : w.deliveries) {
        const Engine::Visibility none{d.receipt, 0ms};
        Effects unseen;
        static_cast<void>(engine().change_visibility(d.receipt.queue, {&none, 1}, now, unseen));
      }
    }
  }
};

class LastWaitingFirstServed : public QueueSubject {
 public:
  using QueueSubject::QueueSubject;

 protected:
  void on_step(Effects& step, Time) override {
    if (step.wakeups.size() > 1) std::swap(step.wakeups.front().waiter, step.wakeups.back().waiter);
  }
};

class LeaseWithoutEnd : public QueueSubject {
 public:
  using QueueSubject::QueueSubject;
  Outcomes change_visibility(QueueId id, std::span<const Engine::Visibility> changes, Time now,
                             Effects& out) override {
    auto outcomes = engine().change_visibility(id, changes, now, out);
    for (std::size_t i = 0; outcomes && i < outcomes->size(); ++i) {
      auto& o = (*outcomes)[i];
      if (!o && o.error() == Fault::kLeaseTooLong) o = {};
    }
    return outcomes;
  }
};

class UntagsFirst : public QueueSubject {
 public:
  using QueueSubject::QueueSubject;
  Outcome<void> tag(QueueId id, const TagChange& change, Time now, Effects& out) override {
    const auto removed = engine().tag(id, {.set = {}, .remove = change.remove}, now, out);
    return removed ? engine().tag(id, {.set = change.set, .remove = {}}, now, out) : removed;
  }
};

// Changes what is sent to FIFO queues.
template <auto Change>
class SentOtherwise : public QueueSubject {
 public:
  using QueueSubject::QueueSubject;
  Outcome<std::vector<Sent>> send(QueueId id, std::span<const SendEntry> entries, Time now,
                                  Effects& out) override {
    std::vector<SendEntry> changed(entries.begin(), entries.end());
    for (SendEntry& e : changed) {
      if (e.deduplication) Change(e, ++number_);
    }
    return engine().send(id, changed, now, out);
  }

 private:
  std::uint32_t number_ = 0;
};

class AttemptIgnored : public QueueSubject {
 public:
  using QueueSubject::QueueSubject;
  Outcome<Received> receive(QueueId id, const ReceiveRequest& request, Time now, Effects& out) override {
    ReceiveRequest plain = request;
    plain.attempt.reset();
    return engine().receive(id, plain, now, out);
  }
};

class ExpiredReceiptFine : public QueueSubject {
 public:
  using QueueSubject::QueueSubject;
  Outcomes erase(QueueId id, std::span<const Receipt> receipts, Time now, Effects& out) override {
    auto outcomes = engine().erase(id, receipts, now, out);
    for (std::size_t i = 0; outcomes && i < outcomes->size(); ++i) {
      auto& o = (*outcomes)[i];
      if (!o && o.error() == Fault::kReceiptExpired) o = {};
    }
    return outcomes;
  }
};

class TenantsAlike : public QueueSubject {
 public:
  using QueueSubject::QueueSubject;
  Outcome<std::vector<Sent>> send(QueueId id, std::span<const SendEntry> entries, Time now,
                                  Effects& out) override {
    std::vector<SendEntry> alike(entries.begin(), entries.end());
    for (SendEntry& e : alike) {
      if (!e.deduplication) e.group = GroupKey::kNone;
    }
    return engine().send(id, alike, now, out);
  }
};

class NoisyOneLate : public QueueSubject {
 public:
  explicit NoisyOneLate(Limits limits) : QueueSubject(one_more(limits)) {}

 private:
  static Limits one_more(Limits limits) {
    ++limits.noisy_inflight;
    return limits;
  }
};

template <class S>
QueuePlant plant(std::string name) {
  return {std::move(name), [](Limits limits) { return std::make_unique<S>(limits); }};
}

constexpr auto kNoDelay = [](MessageSent& r) { r.delay = 0ms; };
constexpr auto kNoLease = [](MessagesReceived& r) { r.lease = 0ms; };
constexpr auto kNoTags = [](QueueChanged& r) { r.tags.clear(); };
constexpr auto kOwnGroup = [](SendEntry& e, std::uint32_t n) { e.group = GroupKey{1'000 + n}; };
constexpr auto kOwnDeduplication = [](SendEntry& e, std::uint32_t n) {
  e.deduplication->bytes[1] = static_cast<std::uint8_t>(n);
  e.deduplication->bytes[2] = static_cast<std::uint8_t>(n >> 8);
};
constexpr auto kOneGroup = [](MessageSent& r) {
  if (r.deduplication) r.group = GroupKey{1};
};
constexpr auto kTenantLost = [](MessageSent& r) {
  if (!r.deduplication) r.group = GroupKey::kNone;
};
constexpr auto kOtherDeduplication = [](MessageSent& r) {
  if (r.deduplication) r.deduplication->bytes[15] ^= 1U;
};
constexpr auto kNoAttempt = [](MessagesReceived& r) { r.attempt.reset(); };
constexpr auto kNextId = [](MessageSent& r) { ++r.id.bytes[15]; };

}  // namespace

std::vector<QueuePlant> queue_plants() {
  return {
      plant<ReceiptNotChecked>("an old receipt deletes"),
      plant<LeaseEndsEarly>("a lease ends 1 ms early"),
      plant<DelayForgotten>("a delayed message is visible at once"),
      plant<DeadLetterOneLate>("dead-lettered one receive late"),
      plant<DeadLetterInBoth>("dead-lettered, and still in the source"),
      plant<PurgeForgetsInFlight>("purge forgets what is in flight"),
      plant<WokenWithoutLease>("a waiting receiver is woken without a lease"),
      plant<LastWaitingFirstServed>("the last waiting is served first"),
      plant<LeaseWithoutEnd>("a lease past 12 hours is granted"),
      plant<Unlogged<MessagesErased>>("a delete is not logged"),
      plant<Unlogged<MessagesReceived>>("a receive is not logged"),
      plant<Unlogged<VisibilityChanged>>("a changed visibility is not logged"),
      plant<Unlogged<MessagesExpired>>("an expiry is not logged"),
      plant<Unlogged<MessagesDeadLettered>>("a dead-letter move is not logged"),
      plant<Unlogged<QueuePurged>>("a purge is not logged"),
      plant<Miswritten<MessageSent, kNoDelay>>("a delay is lost at a restart"),
      plant<Miswritten<MessagesReceived, kNoLease>>("a lease is lost at a restart"),
      plant<Miswritten<QueueChanged, kNoTags>>("tags are lost at a restart"),
      plant<SentOtherwise<kOwnGroup>>("a group's messages are received side by side"),
      plant<SentOtherwise<kOwnDeduplication>>("a message sent twice is there twice"),
      plant<AttemptIgnored>("a repeated attempt is given other messages"),
      plant<ExpiredReceiptFine>("a FIFO queue takes receipts past their lease"),
      plant<Miswritten<MessageSent, kOneGroup>>("a group is lost at a restart"),
      plant<Miswritten<MessageSent, kOtherDeduplication>>("a deduplication id is lost at a restart"),
      plant<Miswritten<MessagesReceived, kNoAttempt>>("an attempt is lost at a restart"),
      plant<Unlogged<ReceiveRepeated>>("a repeated attempt is not logged"),
      plant<TenantsAlike>("a noisy tenant is served like the others"),
      plant<NoisyOneLate>("a tenant is noisy one message late"),
      plant<Miswritten<MessageSent, kTenantLost>>("a tenant is lost at a restart"),
      plant<UntagsFirst>("a tag set and removed at once stays"),
      plant<Miswritten<MessageSent, kNextId>>("a message id changes at a restart"),
  };
}

}  // namespace hr::sim
