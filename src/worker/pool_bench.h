// For the tests of this layer: one pool with one child, spoken to by hand.
#pragma once

#include "worker/pool_world.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace hr::worker::testing {

inline constexpr ByteView kReady =
    R"({"op":"ready","version":"0.1.0","tasks":[{"name":"t","retries":2,"backoff":1,"timeout":300},)"
    R"({"name":"short","timeout":30}],"triggers":[]})";

// Time moves only when it is told to.
class Bench : public ::testing::Test {
 protected:
  explicit Bench(std::uint32_t children = 1, Duration lease = 60s, ByteView ready = kReady) {
    PoolOptions options;
    options.name = "default";
    options.processes = {children, children};
    options.lease = lease;
    pool_.emplace(options, entropy_);
    pool_->start(now());
    said(next<Spawn>().child, ready);
    next<Prepare>();
    for (std::uint32_t i = 1; i < children; ++i) said(next<Spawn>().child, ready);
    pool_->prepared({"default"}, 1'000, now());
  }

  Instant now() const { return {from_ms(1'700'000'000'000) + elapsed_, Nanos(elapsed_ + 1s)}; }
  void later(Duration time) {
    elapsed_ += time;
    pool_->tick(now());
  }
  // The next action of that kind; what comes before it is dropped.
  template <class T>
  T next() {
    auto found = maybe<T>();
    EXPECT_TRUE(found.has_value());
    return found.value_or(T{});
  }
  template <class T>
  std::optional<T> maybe() {
    for (Action& action : pool_->take()) actions_.push_back(std::move(action));
    while (!actions_.empty()) {
      Action action = std::move(actions_.front());
      actions_.pop_front();
      if (auto* wanted = std::get_if<T>(&action)) return std::move(*wanted);
    }
    return std::nullopt;
  }
  static Bytes envelope(ByteView more = "") {
    return fmt::format(R"({{"headrace":1,"id":"j","task":"t","args":[1],"sent":5{}}})", more);
  }
  void receive(Bytes body, std::uint32_t count = 1) {
    const auto poll = next<Receive>();
    pool_->received(poll.op, std::vector<Message>{{"m", "r", std::move(body), count}}, now());
  }
  void receive(std::vector<Message> messages) {
    const auto poll = next<Receive>();
    pool_->received(poll.op, std::move(messages), now());
  }
  void said(ChildId child, ByteView frame) { pool_->child_said(child, {&frame, 1}, now()); }
  static Bytes mark(ByteView members) { return fmt::format(R"({{"v":1,"id":"j",{}}})", members); }
  void missing(OpId op) { pool_->finished(op, std::unexpected(Failure{Failure::Kind::kMissing, ""}), now()); }

  SeededEntropy entropy_{1};
  std::optional<Pool> pool_;
  std::deque<Action> actions_;
  Duration elapsed_{};
};

}  // namespace hr::worker::testing
