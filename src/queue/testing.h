// Helpers for the queue's tests: an engine with a log in memory beside it, short forms of its commands, and a
// clock that the test moves. For tests only.
#pragma once

#include "queue/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hr::queue::testing {

inline constexpr const char* kAccount = "000000000000";

inline std::string describe(const Engine& engine) {
  std::string all;
  engine.describe([&](std::string_view line) { all.append(line).append("\n"); });
  return all;
}

inline Uuid uuid(std::uint64_t n) {
  Uuid id;
  std::memcpy(id.bytes.data(), &n, sizeof n);
  return id;
}

// Does what the commit layer does around each command, with a log that never fails.
class Rig {
  // A command that logs at most what a step with `items` entries may.
  template <class F>
  auto run(F&& f, std::size_t items = 0) {
    Effects step;
    if constexpr (std::is_void_v<decltype(f(step))>) {
      f(step);
      commit(step, engine_->bound(items));
    } else {
      auto result = f(step);
      commit(step, engine_->bound(items));
      return result;
    }
  }

 public:
  explicit Rig(Limits limits = {}) : limits_(limits), engine_(std::make_unique<Engine>(limits)) {}

  Engine& engine() { return *engine_; }
  Time now() const { return now_; }
  void advance(Duration by) { now_ += by; }

  // Appends the step's records, places them, checks the bound, keeps the wakeups.
  void commit(Effects& step, Bound bound) {
    EXPECT_LE(step.records.size(), bound.records);
    std::uint64_t bytes = 0;
    std::vector<storage::Location> at;
    for (storage::Record& r : step.records) {
      bytes += r.payload.size();
      log_.push_back(r);
      segments_.push_back(segment_);
      at.push_back(location(log_.size() - 1));
    }
    EXPECT_LE(bytes, bound.bytes);
    engine_->place(step, at);
    for (Wakeup& w : step.wakeups) wakeups_.push_back(std::move(w));
  }

  Outcome<QueueId> try_create(const std::string& name, const AttributeChange& attributes = {}) {
    const CreateQueue request{kAccount, name, attributes, {}};
    Effects step;
    auto id = engine_->create(request, now_, step);
    commit(step, engine_->bound(request));
    return id;
  }
  QueueId create(const std::string& name, const AttributeChange& attributes = {}) {
    return try_create(name, attributes).value();
  }
  Outcome<void> set(QueueId id, const AttributeChange& change) {
    const Bound bound = engine_->bound(id, change);
    Effects step;
    auto done = engine_->set_attributes(id, change, now_, step);
    commit(step, bound);
    return done;
  }
  Outcome<void> tag(QueueId id, const TagChange& change) {
    const Bound bound = engine_->bound(id, change);
    Effects step;
    auto done = engine_->tag(id, change, now_, step);
    commit(step, bound);
    return done;
  }
  Outcome<void> remove(QueueId id) {
    return run([&](Effects& step) { return engine_->remove(id, now_, step); });
  }
  void move(const StartMove& request) {
    run([&](Effects& step) { static_cast<void>(engine_->start_move(request, now_, step)); }, 1);
  }
  Outcome<void> purge(QueueId id) {
    return run([&](Effects& step) { return engine_->purge(id, now_, step); });
  }
  Seq send(QueueId id, std::optional<Duration> delay = {}) { return send_all(id, {delay}).value()[0].seq; }
  Outcome<std::vector<Sent>> send_all(QueueId id, const std::vector<std::optional<Duration>>& delays) {
    std::vector<SendEntry> entries;
    for (const auto& delay : delays) entries.push_back({uuid(++ids_), "content", delay});
    const Bound bound = engine_->bound(std::span<const SendEntry>(entries));
    Effects step;
    auto sent = engine_->send(id, entries, now_, step);
    commit(step, bound);
    return sent;
  }
  // Into a FIFO queue: `text` is the deduplication id; a fresh one where it is empty.
  Outcome<std::vector<Sent>> try_send_to(QueueId id, std::uint64_t group, const std::string& text = "") {
    SendEntry entry{.id = uuid(++ids_), .content = "content", .group = GroupKey{group}};
    entry.deduplication = text.empty() ? print("fresh" + std::to_string(ids_)) : print(text);
    const Bound bound = engine_->bound({&entry, 1});
    Effects step;
    auto sent = engine_->send(id, {&entry, 1}, now_, step);
    commit(step, bound);
    return sent;
  }
  Sent send_to(QueueId id, std::uint64_t group, const std::string& text = "") {
    return try_send_to(id, group, text).value().front();
  }
  // Into a standard queue, of a tenant.
  Seq send_as(QueueId id, std::uint64_t tenant, std::optional<Duration> delay = {}) {
    const SendEntry entry{
        .id = uuid(++ids_), .content = "content", .delay = delay, .group = GroupKey{tenant}};
    const Bound bound = engine_->bound({&entry, 1});
    Effects step;
    const auto sent = engine_->send(id, {&entry, 1}, now_, step);
    commit(step, bound);
    return sent.value().front().seq;
  }
  static Fingerprint print(const std::string& text) {
    Fingerprint f;
    std::memcpy(f.bytes.data(), text.data(), std::min(text.size(), f.bytes.size()));
    return f;
  }
  std::vector<std::uint64_t> seqs(QueueId id, int max = 10, std::optional<Duration> visibility = {}) {
    std::vector<std::uint64_t> out;
    for (const Delivery& d : receive(id, max, visibility)) {
      out.push_back(static_cast<std::uint64_t>(d.receipt.seq));
    }
    return out;
  }
  Outcome<Received> try_receive(QueueId id, ReceiveRequest request) {
    return run([&](Effects& step) { return engine_->receive(id, request, now_, step); },
               static_cast<std::size_t>(std::max(request.max_messages, 0)));
  }
  std::vector<Delivery> receive(QueueId id, int max = 10, std::optional<Duration> visibility = {}) {
    return try_receive(id, {.max_messages = max, .visibility = visibility}).value().deliveries;
  }
  // Receives, waiting: true if it is parked as waiter `w`.
  bool wait(QueueId id, std::uint64_t w, Duration patience, int max = 1) {
    return try_receive(id, {.max_messages = max, .wait_until = now_ + patience, .waiter = WaiterId{w}})
        .value()
        .parked;
  }
  Outcome<void> erase(QueueId id, const Receipt& receipt) {
    return run([&](Effects& step) { return engine_->erase(id, {&receipt, 1}, now_, step); }, 1).value()[0];
  }
  Outcome<void> change(QueueId id, const Receipt& receipt, Duration timeout) {
    const Engine::Visibility v{receipt, timeout};
    return run([&](Effects& step) { return engine_->change_visibility(id, {&v, 1}, now_, step); }, 1)
        .value()[0];
  }
  void tick() {
    run([&](Effects& step) { engine_->tick(now_, step); });
  }
  void tick(Duration after) {
    now_ += after;
    tick();
  }
  Counts counts(QueueId id) const { return engine_->counts(id); }
  std::vector<Wakeup> wakeups() { return std::exchange(wakeups_, {}); }
  const std::vector<storage::Record>& log() const { return log_; }

  // What a restart would find.
  std::unique_ptr<Engine> restored() const {
    auto engine = std::make_unique<Engine>(limits_);
    replay(*engine, 0);
    return engine;
  }
  // The records from number `from` on.
  void replay(Engine& engine, std::size_t from) const {
    for (std::size_t i = from; i < log_.size(); ++i) {
      const Status status = engine.restore({i + 1, log_[i].kind, log_[i].payload, location(i)});
      EXPECT_TRUE(status) << status.error().message;
    }
  }
  void next_segment() { ++segment_; }
  void restart() { engine_ = restored(); }

 private:
  Limits limits_;
  std::unique_ptr<Engine> engine_;
  Time now_ = from_ms(1'700'000'000'000);
  std::uint64_t ids_ = 0;
  // Record i stands at ten times i.
  storage::Location location(std::size_t i) const {
    return {segments_[i], static_cast<std::uint32_t>(i * 10),
            static_cast<std::uint32_t>(log_[i].payload.size())};
  }

  std::vector<storage::Record> log_;
  std::vector<std::uint32_t> segments_;
  std::uint32_t segment_ = 1;
  std::vector<Wakeup> wakeups_;
};

}  // namespace hr::queue::testing
