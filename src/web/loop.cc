#include "web/loop.h"

#include "codec/time_text.h"
#include "web/answer.h"
#include "web/request.h"
#include "web/stream.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utility>
#include <vector>

namespace hr::web {
namespace {

constexpr int kAcceptsAtOnce = 64;
constexpr std::size_t kEventsAtOnce = 128;
constexpr Duration kBusySweep = 250ms;
constexpr Duration kIdleSweep = 1s;
constexpr std::size_t kDropBuffer = 16'384;

Peer peer_of(const sockaddr_storage& from) {
  Peer out;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (from.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    out.port = ntohs(v4.sin_port);
  } else if (from.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    out.port = ntohs(v6.sin6_port);
  } else {
    out.local = true;
  }
  out.address = text.data();
  return out;
}

}  // namespace

Loop::Loop(std::shared_ptr<Exchange> exchange, os::Fd listening, os::Fd epoll)
    : exchange_(std::move(exchange)),
      listening_(std::move(listening)),
      epoll_(std::move(epoll)),
      parser_(exchange_->limits.head) {}

Status Loop::watch(int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return fail(Errc::kIo, std::string("epoll: ") + std::strerror(errno));
}

Status Loop::run() {
  now_ = exchange_->clock.boottime();
  HR_TRY(watch(exchange_->wake_fd(), EPOLLIN));
  HR_TRY(watch(listening_.get(), EPOLLIN));
  accepting_ = true;
  while (!done()) {
    const bool waited_for = !connections_.empty() || stopping_ || !accepting_;
    turn(static_cast<int>((waited_for ? kBusySweep : kIdleSweep).count()));
  }
  exchange_->end();
  return {};
}

bool Loop::done() const { return stopping_ && connections_.empty() && exchange_->idle(); }

void Loop::turn(int timeout_ms) {
  std::array<epoll_event, kEventsAtOnce> events{};
  const int count = ::epoll_wait(epoll_.get(), events.data(), kEventsAtOnce, timeout_ms);
  now_ = exchange_->clock.boottime();
  last_turn_.store(now_.count(), std::memory_order_relaxed);
  take_returned();
  // After the wake descriptor was emptied: a stop that comes later wakes again.
  if (exchange_->stopping() && !stopping_) begin_to_stop();
  for (int i = 0; i < count; ++i) {
    const int fd = events[static_cast<std::size_t>(i)].data.fd;
    if (fd == exchange_->wake_fd()) continue;
    if (fd == listening_.get()) {
      accept_some();
      continue;
    }
    // A connection that is being worked on is not here: it is read when it comes back.
    auto node = connections_.extract(fd);
    if (!node.empty()) readable(std::move(node.mapped()));
  }
  if (now_ >= next_sweep_) sweep();
}

// --- accepting

void Loop::accept_some() {
  for (int i = 0; i < kAcceptsAtOnce && accepting_; ++i) {
    if (connections_.size() + exchange_->outstanding() >= exchange_->limits.connections_max) {
      pause_accepting();
    } else if (!accept_one()) {
      return;
    }
  }
}

bool Loop::accept_one() {
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  os::Fd fd(
      ::accept4(listening_.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.open()) {
    // Descriptors or memory ran out: tried again after the next sweep.
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) pause_accepting();
    return errno == ECONNABORTED || errno == EINTR;
  }
  auto connection = std::make_unique<Connection>();
  connection->fd = std::move(fd);
  connection->peer = peer_of(from);
  opened(std::move(connection));
  return true;
}

void Loop::opened(Owned connection) {
  const int fd = connection->fd.get();
  const int on = 1;
  if (!connection->peer.local) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!watch(fd, EPOLLIN | EPOLLRDHUP | EPOLLET)) return;
  keep(std::move(connection), Phase::kIdle, exchange_->limits.header_timeout);
}

void Loop::pause_accepting() {
  if (!std::exchange(accepting_, false)) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listening_.get(), nullptr);
}

// --- reading

void Loop::keep(Owned connection, Phase phase, Duration patience) {
  connection->phase = phase;
  connection->deadline = now_ + patience;
  const int fd = connection->fd.get();
  connections_[fd] = std::move(connection);
}

// Edge-triggered: reads until nothing is there, or until a head is complete.
void Loop::readable(Owned connection) {
  if (connection->phase == Phase::kLinger) return linger(std::move(connection));
  for (;;) {
    skip(*connection);
    if (!connection->in.empty()) {
      if (hand_over(connection)) return;
      if (connection->phase == Phase::kIdle) {
        connection->phase = Phase::kHead;
        connection->deadline = now_ + exchange_->limits.header_timeout;
      }
    }
    // Room beyond the longest head: the parser refuses what goes on.
    const auto got = receive_now(connection->fd.get(), connection->in.room(parser_bytes_max()));
    if (!got && got.error().code == Errc::kBusy) break;
    if (!got || *got == 0) return;
    connection->in.added(*got);
  }
  const int fd = connection->fd.get();
  connections_[fd] = std::move(connection);
}

// Drops the rest of a body that nobody read.
void Loop::skip(Connection& connection) {
  if (connection.skip == 0) return;
  const std::size_t n = std::min<std::uint64_t>(connection.skip, connection.in.size());
  connection.in.consume(n);
  connection.skip -= n;
  if (connection.skip == 0) connection.deadline = now_ + exchange_->limits.idle_timeout;
}

std::size_t Loop::parser_bytes_max() const { return exchange_->limits.head.header_bytes_max + 4'096; }

// True: `connection` is gone, as a request or refused.
bool Loop::hand_over(Owned& connection) {
  const net::HeadState state = parser_.parse(connection->in.bytes(), connection->scanned);
  if (state == net::HeadState::kMore) return false;
  if (state == net::HeadState::kRefused) {
    refuse(std::move(connection), parser_.refusal());
    return true;
  }
  const net::ParsedHead& head = parser_.head();
  Environ environ = make_environ(head, connection->peer);
  if (head.body == net::BodyKind::kLength && head.content_length > exchange_->limits.body_bytes_max) {
    environ.refusal = {413, "request body too large"};
  }
  if (environ.refusal.status != 0) {
    refuse(std::move(connection), environ.refusal);
    return true;
  }
  exchange_->put(std::make_unique<Request>(exchange_, std::move(connection), head, std::move(environ)));
  return true;
}

void Loop::refuse(Owned connection, net::Refusal refusal) {
  exchange_->note({refusal.status, refusal.reason});
  const std::string text =
      plain_answer(refusal.status, refusal.reason, codec::http_date(exchange_->clock.wall()));
  // A fresh answer fits into the socket's buffer, or the peer reads nothing anyway.
  const ssize_t sent = ::send(connection->fd.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(text.size())) return;
  connection->phase = Phase::kLinger;
  ::shutdown(connection->fd.get(), SHUT_WR);
  connection->deadline = now_ + exchange_->limits.linger_timeout;
  linger(std::move(connection));
}

// Closing with unread bytes would reset the connection, and the answer could be lost with it.
void Loop::linger(Owned connection) {
  std::array<char, kDropBuffer> dropped{};
  connection->in = net::Buffer();
  for (;;) {
    const auto got = receive_now(connection->fd.get(), dropped);
    if (!got && got.error().code == Errc::kBusy) break;
    if (!got || *got == 0) return;
  }
  const int fd = connection->fd.get();
  connections_[fd] = std::move(connection);
}

// --- connections on their way back

void Loop::take_returned() {
  for (Returned& back : exchange_->take_returned()) returned(std::move(back));
}

void Loop::returned(Returned back) {
  const Limits& limits = exchange_->limits;
  Owned connection = std::move(back.connection);
  if (back.after == After::kLinger) {
    ::shutdown(connection->fd.get(), SHUT_WR);
    connection->phase = Phase::kLinger;
    connection->deadline = now_ + limits.linger_timeout;
    return linger(std::move(connection));
  }
  connection->phase = Phase::kIdle;
  connection->deadline = now_ + (stopping_               ? limits.drain_idle
                                 : connection->skip != 0 ? limits.body_stall_timeout
                                                         : limits.idle_timeout);
  readable(std::move(connection));
}

// --- deadlines

void Loop::sweep() {
  next_sweep_ = now_ + kBusySweep;
  std::vector<int> over;
  for (const auto& [fd, connection] : connections_) {
    if (connection->deadline <= now_) over.push_back(fd);
  }
  for (const int fd : over) late(std::move(connections_.extract(fd).mapped()));
  const std::size_t open = connections_.size() + exchange_->outstanding();
  if (!accepting_ && !stopping_ && open < exchange_->limits.connections_max) {
    accepting_ = watch(listening_.get(), EPOLLIN).has_value();
  }
}

void Loop::late(Owned connection) {
  if (connection->phase == Phase::kHead) {
    refuse(std::move(connection), {408, "the request headers came too slowly"});
  } else if (connection->phase == Phase::kIdle) {
    // What the kernel took from the peer until now is still answered, what it would take later is not taken:
    // on a unix socket no request falls in between.
    ::shutdown(connection->fd.get(), SHUT_RD);
    readable(std::move(connection));
  }
}

void Loop::begin_to_stop() {
  stopping_ = true;
  pause_accepting();
  listening_ = os::Fd();
  const Nanos soon = now_ + exchange_->limits.drain_idle;
  for (auto& [fd, connection] : connections_) {
    if (connection->phase == Phase::kIdle) connection->deadline = std::min(connection->deadline, soon);
  }
}

}  // namespace hr::web
