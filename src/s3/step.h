// One piece of blocking work that runs on the pool while its coroutine goes on: start(), then wait(). The
// work owns what it touches, so that it may outlive the coroutine that started it.
#pragma once

#include "net/runtime.h"

#include <exception>
#include <functional>
#include <memory>
#include <optional>
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
    if (!state->value && !state->thrown) {
      co_await net::await_call<bool>(
          [&state](auto done) { state->resume = [back = std::move(done)]() mutable { back(true); }; });
    }
    if (state->thrown) std::rethrow_exception(state->thrown);
    co_return std::move(*state->value);
  }

 private:
  // Shared by the waiting coroutine and the one that runs the work: either may end first.
  struct State {
    std::optional<T> value;
    std::exception_ptr thrown;
    std::move_only_function<void()> resume;
  };

  template <class Work>
  static net::Task<void> run(net::Runtime& runtime, std::shared_ptr<State> state, Work work) {
    try {
      state->value.emplace(co_await runtime.on_pool(std::move(work)));
    } catch (...) {
      state->thrown = std::current_exception();
    }
    if (state->resume) std::exchange(state->resume, nullptr)();
  }

  net::Runtime& runtime_;
  net::Gate& gate_;
  std::shared_ptr<State> state_;
};

}  // namespace hr::s3
