// One piece of blocking work that runs on the pool while its coroutine goes on: start(), then wait(). The
// work owns what it touches, so that it may outlive the coroutine that started it.
#pragma once

#include "net/runtime.h"

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

namespace hr::s3 {

template <class T>
class Step {
 public:
  Step(net::Runtime& runtime, net::Gate& gate) : runtime_(runtime), gate_(gate) {}

  bool running() const { return state_ != nullptr; }

  template <class Work>
  void start(Work work) {
    state_ = std::make_shared<State>();
    runtime_.spawn(gate_, "s3.step", run(runtime_, state_, std::move(work)));
  }

  // The work's value. Only after start(), and once for each.
  net::Task<T> wait() {
    const std::shared_ptr<State> state = std::exchange(state_, nullptr);
    if (!state->value) {
      co_await net::await_call<bool>(
          [&state](auto done) { state->resume = [back = std::move(done)]() mutable { back(true); }; });
    }
    if (!state->value) throw std::runtime_error("a step on the pool ended without a value");
    co_return std::move(*state->value);
  }

 private:
  // Shared by the waiting coroutine and the one that runs the work: either may end first.
  struct State {
    std::optional<T> value;
    std::move_only_function<void()> resume;
  };

  // The one who waits goes on, and finds no value after an exception. Not when the reactor is torn down: then
  // both coroutines are being destroyed.
  struct Ended {
    State& state;
    ~Ended() {
      const bool ended = state.value || std::uncaught_exceptions() > 0;
      if (ended && state.resume) std::exchange(state.resume, nullptr)();
    }
  };

  template <class Work>
  static net::Task<void> run(net::Runtime& runtime, std::shared_ptr<State> state, Work work) {
    const Ended ended{*state};
    state->value.emplace(co_await runtime.on_pool(std::move(work)));
  }

  net::Runtime& runtime_;
  net::Gate& gate_;
  std::shared_ptr<State> state_;
};

}  // namespace hr::s3
