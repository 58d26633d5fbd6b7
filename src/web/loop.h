// The epoll loop of a server; private to it. Owns the connections that wait: for their first byte, for the
// rest of a head, for the next request, for the end. One thread.
#pragma once

#include "base/result.h"
#include "net/http_parser.h"
#include "os/linux/fd.h"
#include "web/connection.h"
#include "web/exchange.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>

namespace hr::web {

class Loop {
 public:
  Loop(std::shared_ptr<Exchange> exchange, os::Fd listening, os::Fd epoll);

  Status run();
  Nanos last_turn() const { return Nanos(last_turn_.load(std::memory_order_relaxed)); }

 private:
  using Owned = std::unique_ptr<Connection>;

  Status watch(int fd, std::uint32_t events);
  void turn(int timeout_ms);
  void accept_some();
  bool accept_one();
  void opened(Owned connection);
  // Each takes the connection, and keeps it in connections_, hands it on, or closes it.
  void readable(Owned connection);
  void linger(Owned connection);
  void refuse(Owned connection, net::Refusal refusal);
  bool hand_over(Owned& connection);
  void keep(Owned connection, Phase phase, Duration patience);
  void take_returned();
  void returned(Returned back);
  void sweep();
  void late(Owned connection);
  void begin_to_stop();
  void pause_accepting();
  bool done() const;
  void skip(Connection& connection);
  std::size_t parser_bytes_max() const;

  const std::shared_ptr<Exchange> exchange_;
  os::Fd listening_;
  os::Fd epoll_;
  net::HeadParser parser_;
  std::unordered_map<int, Owned> connections_;  // by descriptor
  Nanos now_{};
  Nanos next_sweep_{};
  std::atomic<std::int64_t> last_turn_ = 0;
  bool accepting_ = false;
  bool stopping_ = false;
};

}  // namespace hr::web
