// A pool's process starts its own successor, which listens beside it, starts children, and once it can
// receive takes the name of the socket and the supervisor's eyes; then the old one drains. Nothing is
// received by nobody in between, and a successor that does not come up changes nothing.
#include "worker/worker.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/prctl.h>
#include <unistd.h>

namespace hr::worker {
namespace {

constexpr std::string_view kPredecessor = "HEADRACE_PREDECESSOR=";
constexpr Duration kLookAgain = 100ms;
constexpr Duration kAskPatience = 5s;
constexpr Duration kLeaveAtMost = 20s;  // beyond the drain: what it takes to give back and to stop

std::string next_socket(const std::string& control) { return control + ".next"; }

// Whoever starts this program watches the clock of one process: which one, the successor says itself.
std::vector<std::string> environment_for_successor() {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with(kPredecessor) && !text.starts_with("WATCHDOG_PID=")) out.emplace_back(text);
  }
  out.push_back(fmt::format("{}{}", kPredecessor, ::getpid()));
  return out;
}

}  // namespace

// ---- the old one

Status Worker::start_successor() {
  if (successor_ != 0) return fail(Errc::kBusy, fmt::format("process {} is taking over already", successor_));
  if (pool_.draining()) return fail(Errc::kBusy, "this worker is stopping");
  HR_ASSIGN(successor_, processes_.spawn({.command = setup_.again,
                                          .environment = environment_for_successor(),
                                          .death_signal = SIGTERM}));
  act(Say{Severity::kNotice,
          "successor_started",
          {{"pool", setup_.pool.name}, {"pid", std::to_string(successor_)}}});
  return {};
}

void Worker::successor_ended() {
  if (!replaced_) {
    act(Say{Severity::kError,
            "successor_failed",
            {{"pool", setup_.pool.name},
             {"pid", std::to_string(successor_)},
             {"reason", "it ended before it was ready; this worker goes on"}}});
  }
  successor_ = 0;
}

net::Task<net::Response> Worker::handed_over(std::uint32_t peer_pid) {
  net::Response response;
  response.headers.add("Content-Type", "application/json");
  if (successor_ == 0 || peer_pid != static_cast<std::uint32_t>(successor_)) {
    response.status = 403;
    response.body = "{\"error\":\"only the successor that was started here can take over\"}\n";
    co_return response;
  }
  replaced_ = true;
  hooks_.replaced(successor_);
  act(Say{
      Severity::kNotice, "handed_over", {{"pool", setup_.pool.name}, {"to", std::to_string(successor_)}}});
  pool_.drain(setup_.drain, now());
  carry_out();
  response.body = "{}\n";
  co_return response;
}

// ---- the new one

bool Worker::predecessor_lives() const {
  return setup_.predecessor != 0 && ::getppid() == setup_.predecessor;
}

// It could receive by now. If the other one is gone, there is nothing to hand over but the name.
net::Task<void> Worker::take_over() {
  if (predecessor_lives()) {
    const auto endpoint = remote::parse_endpoint("unix:" + setup_.control);
    remote::HttpClient client(runtime_, clock_, *endpoint);
    const auto answer = co_await client.call({.method = "POST",
                                              .target = "/handed-over",
                                              .headers = {{"host", "localhost"}, {"connection", "close"}},
                                              .body = {},
                                              .timeout = kAskPatience});
    if (predecessor_lives() && (!answer || answer->status != 200)) {
      const Bytes why = answer ? answer->body : answer.error().message;
      act(Exit{Exit::How::kFailed, "the worker before this one does not hand over: " + why});
      co_return;
    }
  }
  ::prctl(PR_SET_PDEATHSIG, 0);  // its end is not ours any more
  if (std::rename(next_socket(setup_.control).c_str(), setup_.control.c_str()) != 0) {
    act(Say{Severity::kError, "socket_not_renamed", {{"reason", std::strerror(errno)}}});
  }
  took_over_ = true;
  runtime_.spawn(gate_, "worker.parent", die_with_parent());
}

// Whoever inherits us when the old worker has gone is who looks after us: what ends with it ends us too.
net::Task<void> Worker::die_with_parent() {
  boost::asio::steady_timer pause(runtime_.context());
  while (predecessor_lives()) {
    pause.expires_after(kLookAgain);
    co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
}

// The store must stay for the old one's last results: this one ends after it.
net::Task<void> Worker::leave() {
  boost::asio::steady_timer pause(runtime_.context());
  const Nanos latest = clock_.boottime() + setup_.drain + kLeaveAtMost;
  while (took_over_ && predecessor_lives() && clock_.boottime() < latest) {
    pause.expires_after(kLookAgain);
    co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  runtime_.stop();
}

}  // namespace hr::worker
