#include "net/runtime.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>

#include <csignal>

namespace hr::net {

Runtime::Runtime(std::size_t pool_threads, hr::Log diary) : pool_(pool_threads), diary_(diary) {
  // sendfile() to a peer that left raises SIGPIPE and cannot be told not to. A disposition that somebody else
  // chose stays.
  struct sigaction now{};
  if (::sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) ::signal(SIGPIPE, SIG_IGN);
}

Runtime::~Runtime() {
  stop();
  pool_.join();
}

void Runtime::report(std::string_view name, const std::exception_ptr& thrown) const {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    diary_.error("task.exception", {{"task", name}, {"what", std::string_view(e.what())}});
  } catch (...) {
    diary_.error("task.exception", {{"task", name}, {"what", "not a std::exception"}});
  }
}

bool Runtime::spawn(Gate& gate, std::string name, Task<void> task) {
  if (gate.closed_) return false;
  ++gate.inside_;
  boost::asio::co_spawn(context_, std::move(task),
                        [this, &gate, label = std::move(name)](const std::exception_ptr& thrown) {
                          if (thrown) report(label, thrown);
                          gate.left();
                        });
  return true;
}

Task<void> Runtime::finish(Gate& gate) {
  gate.close();
  if (gate.inside_ == 0) co_return;
  co_await await_call<bool>(
      [&gate](auto done) { gate.emptied_.push_back([back = std::move(done)]() mutable { back(true); }); });
}

void Gate::left() {
  if (--inside_ != 0) return;
  for (auto& call : std::exchange(emptied_, {})) call();
}

void Runtime::post(std::move_only_function<void()> work) { boost::asio::post(context_, std::move(work)); }

void Runtime::run() {
  const auto guard = boost::asio::make_work_guard(context_);
  context_.run();
}

void Runtime::stop() { context_.stop(); }

}  // namespace hr::net
