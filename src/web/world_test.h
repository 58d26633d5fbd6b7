// For the tests of this layer: a server on a unix socket whose loop runs in a thread of its own, a clock that
// can be set ahead, and a client that sends exactly the bytes it is told to.
#pragma once

#include "os/linux/linux.h"
#include "web/server.h"

#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace hr::web::testing {

// Real time and what a test adds.
class AheadClock final : public os::Clock {
 public:
  Time now() const override { return real_->now(); }
  Time wall() const override { return real_->wall(); }
  Nanos boottime() const override { return real_->boottime() + Nanos(ahead_.load()); }
  void advance(Nanos by) { ahead_ += by.count(); }

 private:
  std::unique_ptr<os::Clock> real_ = os::make_clock(Time{});
  std::atomic<std::int64_t> ahead_ = 0;
};

class Client {
 public:
  explicit Client(const sockaddr_un& where) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{.tv_sec = 20, .tv_usec = 0};  // a test that hangs fails instead
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0;
  }
  bool connected() const { return connected_; }
  bool send(std::string_view bytes) const {
    return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  void end_sending() const { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_ = os::Fd(); }
  // At least up to and with `mark`; what came until the end when it does not come.
  std::string until(std::string_view mark) {
    std::size_t at = 0;
    while ((at = kept_.find(mark)) == std::string::npos && more()) {
    }
    return std::exchange(kept_, at == std::string::npos ? "" : kept_.substr(at + mark.size()))
        .substr(0, at == std::string::npos ? at : at + mark.size());
  }
  std::string head() { return until("\r\n\r\n"); }
  std::string bytes(std::size_t n) {
    while (kept_.size() < n && more()) {
    }
    std::string out = kept_.substr(0, n);
    kept_.erase(0, n);
    return out;
  }
  std::string rest() {
    while (more()) {
    }
    return std::exchange(kept_, "");
  }

 private:
  bool more() {
    char buffer[65536];
    const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    kept_.append(buffer, static_cast<std::size_t>(n));
    return true;
  }

  os::Fd fd_;
  std::string kept_;
  bool connected_ = false;
};

class World {
 public:
  explicit World(Limits limits = {}) {
    where_.sun_family = AF_UNIX;
    static std::atomic<int> number = 0;
    // An abstract name: nothing to remove.
    const std::string name = "headrace-web-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
    std::memcpy(where_.sun_path + 1, name.data(), name.size());
    listening_ = os::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&where_), sizeof where_);
    ::listen(listening_.get(), 128);
    server = std::move(*Server::make(listening_.get(), limits, clock));
    loop_ = std::thread([this] { ran = server->run().has_value(); });
  }
  ~World() {
    stop();
    for (std::thread& thread : workers_) thread.join();
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Client client() const { return Client(where_); }
  // Stops, and waits for the loop to end; idle connections are ended at once.
  void stop() {
    server->stop();
    if (!loop_.joinable()) return;
    hurry = std::thread([this] {
      while (!ended) clock.advance(100ms), std::this_thread::yield();
    });
    loop_.join();
    ended = true;
    hurry.join();
  }
  void worker(std::function<void(Request&)> handle) {
    workers_.emplace_back([this, work = std::move(handle)] {
      while (const auto request = server->next()) work(*request);
    });
  }

  AheadClock clock;
  std::unique_ptr<Server> server;
  std::atomic<bool> ran = false;
  std::atomic<bool> ended = false;
  std::thread hurry;

 private:
  sockaddr_un where_{};
  os::Fd listening_;
  std::thread loop_;
  std::vector<std::thread> workers_;
};

// The whole body.
inline Result<std::string> read_all(Request& request) {
  std::string out;
  char buffer[8192];
  for (;;) {
    HR_ASSIGN(const std::size_t n, request.read(buffer));
    if (n == 0) return out;
    out.append(buffer, n);
  }
}

inline void answer(Request& request, std::string_view body, std::string_view status = "200 OK") {
  if (request.start(status, {})) {
    [[maybe_unused]] const auto sent = request.send(body, true);
  }
  request.finish();
}

// Answers with what was sent; a body that cannot be read with its refusal.
inline void echo(Request& request) {
  const auto body = read_all(request);
  if (body) return answer(request, *body);
  [[maybe_unused]] const auto refused =
      request.refuse(request.body_refusal().status, request.body_refusal().reason);
  request.finish();
}

}  // namespace hr::web::testing
