// The reactor: one asio context run by the calling thread, a small pool for calls that block, and the one way
// to start a coroutine. Owned by main; everything that runs on it must end before it does.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "base/time.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace hr::net {

template <class T>
using Task = boost::asio::awaitable<T>;

// Counts what runs, so that an owner can wait for its coroutines before it is destroyed.
class Gate {
 public:
  std::size_t inside() const { return inside_; }
  bool closed() const { return closed_; }
  void close() { closed_ = true; }  // nothing new enters

 private:
  friend class Runtime;
  void left();

  std::size_t inside_ = 0;
  bool closed_ = false;
  std::vector<std::move_only_function<void()>> emptied_;
};

class Runtime {
 public:
  Runtime(std::size_t pool_threads, hr::Log diary);
  ~Runtime();

  boost::asio::io_context& context() { return context_; }

  // Starts `task`; an exception that leaves it is logged with `name` (never swallowed). False: gate closed.
  bool spawn(Gate& gate, std::string name, Task<void> task);

  // Closes the gate and waits until nothing is inside.
  Task<void> finish(Gate& gate);

  // Runs `work` on the pool; resumes on the reactor with its value, or with the exception it threw.
  template <class F>
  auto on_pool(F work) -> Task<std::invoke_result_t<F>>;

  // Any thread: runs `work` on the reactor, soon.
  void post(std::move_only_function<void()> work);

  // Until stop(). Returns after the handler that runs at that moment.
  void run();
  void stop();  // any thread

 private:
  void report(std::string_view name, const std::exception_ptr& thrown) const;

  boost::asio::io_context context_{1};
  boost::asio::thread_pool pool_;
  hr::Log diary_;
};

// Waits until `start(callback)` has its callback called, on the reactor, and yields what it was called with:
//   Status s = co_await await_call<Status>([&](auto done) { store.change_queues(..., std::move(done)); });
// The callback must be called exactly once, on the reactor; dropping it ends the coroutine. It may be called
// inside start(), but not in an endless loop of waits: each such call nests on the stack.
template <class T, class Start>
Task<T> await_call(Start start) {
  co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(T)>(
      // NOLINTNEXTLINE(performance-unnecessary-value-param): calling it may change it
      [](auto handler, Start begin) {
        begin([h = std::move(handler)](T value) mutable { std::move(h)(std::move(value)); });
      },
      boost::asio::use_awaitable, std::move(start));
}

template <class F>
auto Runtime::on_pool(F work) -> Task<std::invoke_result_t<F>> {
  using T = std::invoke_result_t<F>;
  struct Outcome {
    std::optional<T> value;
    std::exception_ptr thrown;
  };
  Outcome outcome = co_await await_call<Outcome>([this, job = std::move(work)](auto done) mutable {
    boost::asio::post(pool_, [this, run = std::move(job), finish = std::move(done)]() mutable {
      Outcome out;
      try {
        out.value.emplace(run());
      } catch (...) {
        out.thrown = std::current_exception();
      }
      post([result = std::move(out), back = std::move(finish)]() mutable { back(std::move(result)); });
    });
  });
  if (outcome.thrown) std::rethrow_exception(outcome.thrown);
  co_return std::move(*outcome.value);
}

}  // namespace hr::net
