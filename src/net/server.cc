#include "net/server.h"

#include "codec/time_text.h"
#include "net/connection.h"
#include "net/server_state.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace hr::net {
namespace {

constexpr std::size_t kSpareMax = 64;
constexpr int kAcceptsPerTurn = 64;

// 0: there is no such file.
std::uint64_t inode_of(const std::string& path) {
  struct stat seen{};
  return !path.empty() && ::lstat(path.c_str(), &seen) == 0 ? seen.st_ino : 0;
}

HeadLimits head_limits(const ServerLimits& limits) {
  return {.target_bytes_max = limits.target_bytes_max,
          .header_bytes_max = limits.header_bytes_max,
          .header_line_bytes_max = limits.header_line_bytes_max,
          .headers_max = limits.headers_max};
}

// Often enough that no deadline is passed by more than a quarter, or a second.
Duration interval_for(const ServerLimits& limits) {
  const Duration shortest = std::min({limits.header_timeout, limits.idle_timeout, limits.body_stall_timeout,
                                      limits.write_stall_timeout, limits.linger_timeout});
  return std::clamp<Duration>(shortest / 4, 5ms, 1s);
}

}  // namespace

// --- listeners
// ----------------------------------------------------------------------------------------------

Listener::Listener(const std::shared_ptr<ServerState>& state, Listening listening)
    : state_(state), listening_(std::move(listening)), inode_(inode_of(listening_.unlink_on_close)) {}

Listener::~Listener() {
  pause();
  const std::string& path = listening_.unlink_on_close;
  if (inode_ != 0 && inode_of(path) == inode_) ::unlink(path.c_str());
}

Status Listener::watch() {
  const auto state = state_.lock();
  if (!state || watched_) return {};
  HR_ASSIGN(token_, state->poller.add(listening_.fd.get(), EPOLLIN, *this));
  watched_ = true;
  return {};
}

void Listener::pause() {
  if (!std::exchange(watched_, false)) return;
  if (const auto state = state_.lock()) state->poller.remove(listening_.fd.get(), token_);
}

void Listener::ready(std::uint32_t) {
  for (int i = 0; i < kAcceptsPerTurn && watched_; ++i) {
    if (!accept_one()) return;
  }
}

bool Listener::accept_one() {
  const auto state = state_.lock();
  if (!state) return false;
  if (state->connections.size() >= state->limits.connections_max) {
    state->pause_accepting();
    return false;
  }
  Fd fd(::accept4(listening_.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd.get() < 0) {
    if (errno == EINTR || errno == ECONNABORTED) return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    // Out of descriptors or memory: the next sweep tries again, when connections may have ended.
    state->diary.warning("http.accept_failed", {{"errno", errno}});
    state->pause_accepting();
    return false;
  }
  Peer peer = peer_of(fd.get());
  auto connection = std::make_shared<Connection>(state, std::move(fd), std::move(peer));
  if (const Status watched = connection->watch(); !watched) {
    state->diary.warning("http.watch_failed", {{"what", watched.error().message}});
    return false;
  }
  ++state->stats.accepted;
  boost::asio::co_spawn(state->runtime.context(), Connection::serve(std::move(connection)),
                        [diary = state->diary](const std::exception_ptr& thrown) {
                          if (thrown) diary.error("http.connection_exception");
                        });
  return true;
}

// --- shared state
// -------------------------------------------------------------------------------------------

ServerState::ServerState(Runtime& r, Handler& h, const os::Clock& c, os::Entropy& e, hr::Log d,
                         ServerLimits l)
    : runtime(r),
      handler(h),
      clock(c),
      entropy(e),
      diary(d),
      limits(l),
      parser(head_limits(l)),
      poller(r.context()),
      sweep_timer(r.context()),
      sweep_interval(interval_for(l)),
      date_(codec::http_date(c.wall())) {}

std::int64_t ServerState::now_ms() const {
  return std::chrono::duration_cast<Duration>(clock.boottime()).count();
}

std::string_view ServerState::make_request_id() {
  constexpr std::size_t kBytes = 16;
  if (random_used_ + kBytes > random_.size()) {
    entropy.fill(random_);
    random_used_ = 0;
  }
  std::array<std::uint8_t, kBytes> random{};
  std::copy_n(random_.begin() + static_cast<std::ptrdiff_t>(random_used_), kBytes, random.begin());
  random_used_ += kBytes;
  const Uuid id = Uuid::v4(random);
  std::size_t at = 0;
  for (std::size_t i = 0; i < kBytes; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) id_[at++] = '-';
    id_[at++] = "0123456789abcdef"[id.bytes[i] >> 4];
    id_[at++] = "0123456789abcdef"[id.bytes[i] & 15];
  }
  return {id_.data(), id_.size()};
}

std::unique_ptr<Scratch> ServerState::borrow() {
  if (spare.empty()) return std::make_unique<Scratch>();
  auto scratch = std::move(spare.back());
  spare.pop_back();
  return scratch;
}

void ServerState::give_back(std::unique_ptr<Scratch> scratch) {
  if (spare.size() >= kSpareMax) return;
  if (scratch->in.capacity() > Buffer::kSmall) scratch->in = Buffer();
  scratch->in.consume(scratch->in.size());
  spare.push_back(std::move(scratch));
}

void ServerState::opened(Connection& connection) {
  connection.place = connections.size();
  connections.push_back(&connection);
}

void ServerState::closed(Connection& connection) {
  connections.back()->place = connection.place;
  connections[connection.place] = connections.back();
  connections.pop_back();
  if (connections.size() + 1 == limits.connections_max) resume_accepting();
  if (connections.empty()) {
    for (auto& call : std::exchange(when_empty, {})) call();
  }
}

void ServerState::pause_accepting() {
  for (auto& listener : listeners) listener->pause();
}

void ServerState::resume_accepting() {
  for (auto& listener : listeners) {
    const Status watched = listener->watch();
    if (!watched) diary.warning("http.listen_failed", {{"what", watched.error().message}});
  }
}

void ServerState::start_sweeping() {
  sweeping = true;
  sweep_timer.expires_after(sweep_interval);
  sweep_timer.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto state = weak.lock();
    if (!state || error || state->stopped) return;
    state->sweep();
    state->start_sweeping();
  });
}

void ServerState::sweep() {
  date_ = codec::http_date(clock.wall());
  const std::int64_t now = now_ms();
  std::vector<std::shared_ptr<Connection>> late;
  for (Connection* connection : connections) {
    if (connection->expired(now)) late.push_back(connection->shared_from_this());
  }
  for (const auto& connection : late) connection->expire();
  if (connections.size() < limits.connections_max) resume_accepting();
}

void ServerState::stop() {
  stopped = true;
  listeners.clear();
  sweep_timer.cancel();
  std::vector<std::shared_ptr<Connection>> all;
  for (Connection* connection : connections) all.push_back(connection->shared_from_this());
  for (const auto& connection : all) connection->abandon();
  all.clear();
  poller.close();
}

// --- server
// -------------------------------------------------------------------------------------------------

Server::Server(Runtime& runtime, Handler& handler, const os::Clock& clock, os::Entropy& entropy,
               hr::Log diary, ServerLimits limits)
    : state_(std::make_shared<ServerState>(runtime, handler, clock, entropy, diary, limits)) {}

Server::~Server() { state_->stop(); }

Status Server::listen(const ListenAddress& address) {
  if (!state_->sweeping) {
    HR_TRY(state_->poller.open());
    state_->start_sweeping();
  }
  HR_ASSIGN(Listening listening, listen_on(address));
  auto listener = std::make_unique<Listener>(state_, std::move(listening));
  HR_TRY(listener->watch());
  state_->listeners.push_back(std::move(listener));
  return {};
}

std::uint16_t Server::port() const {
  for (const auto& listener : state_->listeners) {
    if (listener->port() != 0) return listener->port();
  }
  return 0;
}

ServerStats Server::stats() const {
  ServerStats out = state_->stats;
  out.open = state_->connections.size();
  return out;
}

Task<void> Server::drain(Duration deadline) {
  const std::shared_ptr<ServerState> state = state_;
  state->draining = true;
  state->listeners.clear();
  std::vector<std::shared_ptr<Connection>> all;
  for (Connection* connection : state->connections) all.push_back(connection->shared_from_this());
  for (const auto& connection : all) {
    if (connection->idle()) connection->cut();
  }
  all.clear();
  if (state->connections.empty()) co_return;

  const auto patience = std::make_shared<boost::asio::steady_timer>(state->runtime.context(), deadline);
  state->when_empty.emplace_back([weak = std::weak_ptr(patience)] {
    if (const auto timer = weak.lock()) timer->cancel();
  });
  co_await patience->async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  for (Connection* connection : state->connections) all.push_back(connection->shared_from_this());
  for (const auto& connection : all) connection->cut();
}

}  // namespace hr::net
