#include "queue_run.h"

#include "queue_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace hr::sim {

using namespace hr::queue;

namespace {

constexpr Limits kLimits{
    .queues_max = 4, .inflight_max = 12, .noisy_inflight = 3, .waiters_max = 5, .tick_messages_max = 1000};
constexpr std::array kNames = {"a", "b", "c", "d.fifo", "e.fifo", "f.fifo"};

bool same(const Delivery& a, const Delivery& b) {
  return a.receipt == b.receipt && a.id == b.id && a.sent == b.sent && a.first_received == b.first_received &&
         a.receive_count == b.receive_count && a.moved == b.moved && a.source == b.source;
}

bool same(const std::vector<Delivery>& a, const std::vector<Delivery>& b) {
  return std::ranges::equal(a, b, [](const Delivery& x, const Delivery& y) { return same(x, y); });
}

std::string show(const std::vector<Delivery>& deliveries) {
  std::string out = "[";
  for (const Delivery& d : deliveries) {
    out += fmt::format(" {}/{} receive {}", static_cast<std::uint64_t>(d.receipt.queue),
                       static_cast<std::uint64_t>(d.receipt.seq), d.receive_count);
  }
  return out + " ]";
}

std::string describe(const Engine& engine) {
  std::string all;
  engine.describe([&](std::string_view line) { all.append(line).append("\n"); });
  return all;
}

class Run {
 public:
  Run(std::uint64_t seed, const MakeSubject& make)
      : random_(seed), subject_(make(kLimits)), model_(kLimits) {}

  QueueRun run(std::uint64_t operations) {
    while (result_.operations < operations && !result_.difference) {
      ++result_.operations;
      step();
      if (result_.operations % 16 == 0) audit();
    }
    if (!result_.difference) restart();
    if (result_.difference) {
      result_.difference = fmt::format("operation {}: {}", result_.operations, *result_.difference);
    }
    return result_;
  }

  QueueSubject& subject() { return *subject_; }

 private:
  // --- choices ---
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <class T, std::size_t N>
  T pick(const std::array<T, N>& from) {
    return from[below(N)];
  }
  QueueId any_queue() {
    const auto ids = model_.queues();
    if (ids.empty() || one_in(200)) return QueueId{below(50)};  // possibly gone, possibly never there
    return ids[below(ids.size())];
  }
  std::optional<Duration> maybe(Duration d) { return one_in(2) ? std::optional(d) : std::nullopt; }
  Duration visibility() { return pick(std::array<Duration, 6>{0ms, 1ms, 10ms, 1s, 30s, 12h}); }
  Fingerprint print(std::uint64_t of) {
    Fingerprint f;
    f.bytes[0] = static_cast<std::uint8_t>(1 + below(of));
    return f;
  }
  Duration delay() { return pick(std::array<Duration, 5>{0ms, 1ms, 5s, 60s, 900s}); }

  AttributeChange attributes() {
    AttributeChange change;
    if (one_in(3)) change.delay = delay();
    if (one_in(3)) change.visibility_timeout = visibility();
    if (one_in(3)) change.retention = pick(std::array<Duration, 4>{60s, 1h, 96h, 14 * 24h});
    if (one_in(2)) change.redrive = Redrive{any_queue(), static_cast<std::uint32_t>(below(4))};
    if (one_in(4)) change.stored["Policy"] = one_in(2) ? "" : "{}";
    return change;
  }
  Receipt receipt() {
    Receipt r =
        receipts_.empty() ? Receipt{any_queue(), Seq{1 + below(9)}, 1} : receipts_[below(receipts_.size())];
    if (one_in(12)) r.receive += static_cast<std::uint32_t>(below(3)) - 1;
    if (one_in(40)) r.seq = Seq{below(200)};
    if (one_in(40)) r.queue = any_queue();
    return r;
  }

  // --- steps ---
  void step() {
    const std::uint64_t dice = below(1000);
    if (dice < 250) return send();
    if (dice < 520) return receive();
    if (dice < 660) return erase();
    if (dice < 760) return change_visibility();
    if (dice < 930) return advance();
    if (dice < 945) return cancel();
    if (dice < 970) return create();
    if (dice < 982) return set_attributes();
    if (dice < 988) return tag();
    if (dice < 992) return remove();
    if (dice < 997) return purge();
    restart();
  }

  void differ(std::string what) {
    if (!result_.difference) result_.difference = std::move(what);
  }

  template <class T>
  bool agree(const char* what, const Outcome<T>& ours, const Outcome<T>& model) {
    if (ours.has_value() == model.has_value() && (ours.has_value() || ours.error() == model.error()))
      return true;
    const auto show = [](const Outcome<T>& o) { return o ? -1 : static_cast<int>(o.error()); };
    differ(fmt::format("{}: fault {}, the model says {} (-1: none)", what, show(ours), show(model)));
    return false;
  }
  bool agree(const char* what, const QueueSubject::Outcomes& ours, const QueueSubject::Outcomes& model) {
    if (ours.has_value() != model.has_value()) return differ(what), false;
    for (std::size_t i = 0; ours && i < ours->size(); ++i) {
      if (!agree(what, (*ours)[i], (*model)[i])) return false;
    }
    return true;
  }

  void delivered(const char* what, const std::vector<Delivery>& ours, const std::vector<Delivery>& model) {
    if (!same(ours, model)) differ(fmt::format("{}: {}, the model says {}", what, show(ours), show(model)));
    for (const Delivery& d : ours) {
      const auto at = places_.find(d.id);
      if (at == places_.end() || !(at->second == d.content)) {
        differ(fmt::format("{}: message {} with another's content", what, d.id.text()));
      }
      receipts_.push_back(d.receipt);
      if (receipts_.size() > 24) receipts_.erase(receipts_.begin());
    }
  }

  // Every step ends here.
  void commit(Effects& effects, Bound bound, std::span<const SendEntry> sent = {}) {
    if (auto broken = subject_->commit(effects, now_, bound)) differ(*broken);
    for (std::size_t i = 0; i < std::min(sent.size(), effects.placements.size()); ++i) {
      const Placement& p = effects.placements[i];
      const auto at = subject_->engine().location(p.queue, p.seq);
      if (!at) return differ("a message sent has no place");
      places_[sent[i].id] = *at;
    }
    auto model = model_.take_wakeups();
    const auto by_waiter = [](const Wakeup& a, const Wakeup& b) { return a.waiter < b.waiter; };
    std::ranges::sort(effects.wakeups, by_waiter);
    std::ranges::sort(model, by_waiter);
    if (effects.wakeups.size() != model.size()) {
      return differ(
          fmt::format("{} receivers woken, the model says {}", effects.wakeups.size(), model.size()));
    }
    for (std::size_t i = 0; i < model.size(); ++i) {
      if (effects.wakeups[i].waiter != model[i].waiter) return differ("another receiver woken");
      delivered("wakeup", effects.wakeups[i].deliveries, model[i].deliveries);
    }
    const Time next = subject_->engine().next_deadline();
    if (next != model_.next_deadline()) {
      differ(fmt::format("next due in {} ms, the model says {} ms", (next - now_).count(),
                         (model_.next_deadline() - now_).count()));
    }
  }

  void send() {
    const QueueId q = any_queue();
    if (const Counts c = model_.counts(q); c.visible + c.in_flight + c.delayed > 60) return;
    std::vector<SendEntry> entries(one_in(4) ? 1 + below(10) : 1);
    for (SendEntry& e : entries) {
      const std::uint64_t n = ++result_.messages;
      std::memcpy(e.id.bytes.data(), &n, sizeof n);
      e.content = std::string(below(40), 'x');
      const bool fifo = model_.fifo(q) && !one_in(60);  // now and then one that is not for this queue
      if (fifo) {
        e.group = GroupKey{1 + below(4)};
        e.deduplication = print(one_in(3) ? 4 : 250);
      } else {
        if (one_in(2)) e.group = GroupKey{1 + below(4)};  // a tenant; 1 is the loud one
        if (one_in(3)) e.group = GroupKey{1};
        if (one_in(3)) e.delay = delay();
      }
    }
    Effects out;
    const auto ours = subject_->send(q, entries, now_, out);
    const auto model = model_.send(q, entries, now_);
    if (agree("send", ours, model) && ours) {
      for (std::size_t i = 0; i < entries.size(); ++i) {
        if ((*ours)[i].seq != (*model)[i].seq) differ("send: another number");
        if ((*ours)[i].id != (*model)[i].id) differ("send: another id");
        if ((*ours)[i].duplicate != (*model)[i].duplicate) differ("send: a duplicate, or not");
      }
    }
    std::vector<SendEntry> added;
    for (std::size_t i = 0; ours && i < entries.size(); ++i) {
      if (!(*ours)[i].duplicate) added.push_back(entries[i]);
    }
    commit(out, subject_->engine().bound(std::span<const SendEntry>(entries)), added);
  }

  void receive() {
    ReceiveRequest request{.max_messages = static_cast<int>(one_in(2) ? 1 : 1 + below(10))};
    if (one_in(2)) request.visibility = visibility();
    if (one_in(3)) request.wait_until = now_ + pick(std::array<Duration, 4>{0ms, 1ms, 10s, 20s});
    request.waiter = WaiterId{++waiters_};
    if (one_in(2)) request.attempt = print(6);
    const QueueId q = any_queue();
    Effects out;
    const auto ours = subject_->receive(q, request, now_, out);
    const auto model = model_.receive(q, request, now_);
    if (agree("receive", ours, model) && ours) {
      if (ours->parked != model->parked) differ("receive: parked");
      delivered("receive", ours->deliveries, model->deliveries);
    }
    commit(out, subject_->engine().bound(static_cast<std::size_t>(request.max_messages)));
  }

  void erase() {
    std::vector<Receipt> batch(one_in(3) ? 1 + below(5) : 1);
    for (Receipt& r : batch) r = receipt();
    const QueueId q = one_in(20) ? any_queue() : batch[0].queue;
    Effects out;
    agree("delete", subject_->erase(q, batch, now_, out), model_.erase(q, batch, now_));
    commit(out, subject_->engine().bound(batch.size()));
  }

  void change_visibility() {
    std::vector<Engine::Visibility> batch(one_in(3) ? 1 + below(5) : 1);
    for (auto& v : batch) v = {receipt(), visibility()};
    const QueueId q = one_in(20) ? any_queue() : batch[0].receipt.queue;
    Effects out;
    agree("change visibility", subject_->change_visibility(q, batch, now_, out),
          model_.change_visibility(q, batch, now_));
    commit(out, subject_->engine().bound(batch.size()));
  }

  void cancel() {
    const WaiterId w{waiters_ - std::min<std::uint64_t>(waiters_, below(8))};
    subject_->engine().cancel(w);
    model_.cancel(w);
  }

  void create() {
    CreateQueue request{"000000000000", pick(kNames), {}, {}};
    if (!one_in(3)) request.attributes = attributes();
    Effects out;
    const auto ours = subject_->create(request, now_, out);
    const auto model = model_.create(request, now_);
    if (agree("create", ours, model) && ours && *ours != *model) differ("create: another queue");
    commit(out, subject_->engine().bound(request));
  }

  void set_attributes() {
    const QueueId q = any_queue();
    const AttributeChange change = attributes();
    const Bound bound = subject_->engine().bound(q, change);
    Effects out;
    agree("set attributes", subject_->set_attributes(q, change, now_, out),
          model_.set_attributes(q, change, now_));
    commit(out, bound);
  }

  void tag() {
    const QueueId q = any_queue();
    TagChange change;
    for (std::uint64_t n = below(30); n > 0; --n)
      change.set[fmt::format("k{}", below(70))] = one_in(2) ? "" : "v";
    for (std::uint64_t n = below(20); n > 0; --n) change.remove.push_back(fmt::format("k{}", below(70)));
    const Bound bound = subject_->engine().bound(q, change);
    Effects out;
    agree("tag", subject_->tag(q, change, now_, out), model_.tag(q, change, now_));
    const queue::Queue* ours = subject_->engine().find(q);
    if (ours != nullptr && ours->tags != model_.tags(q)) differ("tag: other tags");
    commit(out, bound);
  }

  void remove() {
    const QueueId q = any_queue();
    Effects out;
    agree("remove", subject_->engine().remove(q, now_, out), model_.remove(q, now_));
    commit(out, subject_->engine().bound(0));
  }

  void purge() {
    const QueueId q = any_queue();
    Effects out;
    agree("purge", subject_->purge(q, now_, out), model_.purge(q, now_));
    commit(out, subject_->engine().bound(0));
  }

  // --- time ---
  void advance() {
    const Duration by = pick(std::array<Duration, 11>{0ms, 1ms, 1ms, 9ms, 1s, 5s, 20s, 60s, 5min, 1h, 12h});
    const Time to = now_ + by;
    switch (below(6)) {
      case 0:  // late: the next command comes before tick()
        now_ = to;
        return;
      case 1:  // at once, whatever lies between
        break;
      default:  // at every moment something is due
        for (Time next = model_.next_deadline(); next < to; next = model_.next_deadline()) {
          now_ = std::max(now_, next);
          tick();
          if (result_.difference) return;
        }
    }
    now_ = to;
    tick();
  }

  void tick() {
    Effects out;
    subject_->engine().tick(now_, out);
    model_.tick(now_);
    commit(out, subject_->engine().bound(0));
    for (const QueueId q : model_.queues()) {
      if (!(subject_->engine().counts(q) == model_.counts(q))) differ("counts");
    }
  }

  void audit() {
    if (const Status s = subject_->engine().audit(); !s) differ("audit: " + s.error().message);
  }

  // A crash with everything written: the state is the same, the waiting receivers are gone.
  void restart() {
    tick();
    ++result_.restarts;
    auto engine = subject_->restored();
    if (!engine) return differ("restart: " + engine.error().message);
    Effects none;
    (*engine)->tick(now_, none);
    if (!none.records.empty()) differ("restart: something was left to decide");
    if (describe(**engine) != describe(subject_->engine())) differ("restart: another state");
    for (const QueueId q : model_.queues()) {
      if (!((*engine)->counts(q) == model_.counts(q))) differ("restart: counts");
    }
    subject_->replace(std::move(*engine));
    model_.restart();
    audit();
  }

  std::mt19937_64 random_;
  std::unique_ptr<QueueSubject> subject_;
  QueueModel model_;
  Time now_ = from_ms(1'700'000'000'000);
  QueueRun result_;
  std::uint64_t waiters_ = 0;
  std::vector<Receipt> receipts_;  // of late
  std::map<Uuid, storage::Location> places_;
};

storage::Record damaged(std::mt19937_64& random, const storage::Record& from) {
  storage::Record r = from;
  const auto byte = [&] { return static_cast<char>(random()); };
  if (random() % 8 == 0) r.kind = static_cast<std::uint8_t>(random() % 16);
  switch (random() % 5) {
    case 0:
      r.payload.resize(random() % 40);
      for (char& c : r.payload) c = byte();
      if (!r.payload.empty()) r.payload[0] = 1;
      break;
    case 1:
      r.payload.resize(random() % (r.payload.size() + 1));
      break;
    case 2:
      r.payload.push_back(byte());
      break;
    default:
      for (std::uint64_t n = 1 + random() % 3; n > 0 && !r.payload.empty(); --n) {
        r.payload[random() % r.payload.size()] = byte();
      }
  }
  return r;
}

}  // namespace

QueueRun run_queue(std::uint64_t seed, std::uint64_t operations, const MakeSubject& make) {
  return Run(seed, make).run(operations);
}

DamageRun run_damage(std::uint64_t seed, std::uint64_t operations) {
  Run run(seed, [](Limits limits) { return std::make_unique<QueueSubject>(limits); });
  run.run(operations);
  const std::vector<storage::Record> log = run.subject().log();
  std::mt19937_64 random(seed);
  Engine engine(kLimits);
  DamageRun result;
  std::uint64_t lsn = 0;
  const auto restore = [&](const storage::Record& r) {
    return engine.restore({++lsn, r.kind, r.payload, {1, 0, static_cast<std::uint32_t>(r.payload.size())}});
  };
  for (const storage::Record& record : log) {
    if (random() % 4 == 0) {
      ++result.tried;
      result.accepted += restore(damaged(random, record)) ? 1 : 0;
      if (const Status s = engine.audit(); !s) {
        result.difference = fmt::format("after record {}: {}", lsn, s.error().message);
        return result;
      }
    }
    if (random() % 64 != 0) static_cast<void>(restore(record));
  }
  Effects out;
  for (int i = 0; i < 100; ++i)
    engine.tick(engine.next_deadline() == Time::max() ? Time{} : engine.next_deadline(), out);
  if (const Status s = engine.audit(); !s) result.difference = s.error().message;
  return result;
}

}  // namespace hr::sim
