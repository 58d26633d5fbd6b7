// Readiness of many sockets through one edge-triggered epoll set, itself watched by the reactor. A socket
// costs one system call when it is added and one when it is removed, none per wait: waiting through asio's
// own sockets costs an epoll_ctl or a failing read each time (docs/http.md has the measurement).
// Used on the reactor only.
#pragma once

#include "base/result.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <sys/epoll.h>
#include <utility>
#include <vector>

namespace hr::net {

class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void ready(std::uint32_t events) = 0;  // EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR
};

class Poller {
 public:
  // The token of one descriptor; never reused for another one.
  using Token = std::uint64_t;

  explicit Poller(boost::asio::io_context& context) : epoll_(context) {}
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  Status open();
  void close();  // no watcher is called any more

  // `watcher` is called until remove(), never inside add(). `events` are epoll's, EPOLLET included.
  Result<Token> add(int fd, std::uint32_t events, Watcher& watcher);
  Status change(int fd, Token token, std::uint32_t events);
  void remove(int fd, Token token);

  // Within a watcher's call: others are ready too and come after it.
  bool has_more() const { return more_; }
  // Called after those, or when kPutOffMax calls were put off. Sending an answer wakes its reader, which
  // costs more than the rest of sending: who reads the answers of many connections is woken once for several.
  void put_off(std::move_only_function<void()> call) { put_off_.push_back(std::move(call)); }

 private:
  struct Slot {
    Watcher* watcher = nullptr;
    std::uint32_t generation = 0;
  };

  static constexpr std::size_t kPutOffMax = 16;

  void wait();
  void dispatch();
  void run_put_off();

  boost::asio::posix::stream_descriptor epoll_;
  // The pending wait outlives a destroyed poller; it looks here first.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::array<epoll_event, 256> events_{};
  std::vector<std::move_only_function<void()>> put_off_;
  bool more_ = false;
};

}  // namespace hr::net
