#include "net/poller.h"

#include <cerrno>
#include <cstring>

namespace hr::net {
namespace {

std::unexpected<Error> failed(const char* call) {
  return fail(errno == EMFILE || errno == ENFILE ? Errc::kLimit : Errc::kIo,
              std::string(call) + ": " + std::strerror(errno));
}

constexpr std::uint32_t slot_of(Poller::Token token) { return static_cast<std::uint32_t>(token); }
constexpr std::uint32_t generation_of(Poller::Token token) { return static_cast<std::uint32_t>(token >> 32); }

}  // namespace

Status Poller::open() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) return failed("epoll_create1");
  boost::system::error_code error;
  static_cast<void>(epoll_.assign(fd, error));
  if (error) {
    ::close(fd);
    return fail(Errc::kIo, "watching the epoll set: " + error.message());
  }
  wait();
  return {};
}

void Poller::close() {
  *alive_ = false;
  more_ = false;
  run_put_off();
  boost::system::error_code ignored;
  static_cast<void>(epoll_.close(ignored));
}

Result<Poller::Token> Poller::add(int fd, std::uint32_t events, Watcher& watcher) {
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t index = free_.back();
  const Token token = static_cast<Token>(slots_[index].generation) << 32 | index;
  epoll_event event{.events = events, .data = {.u64 = token}};
  if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, fd, &event) != 0) return failed("epoll_ctl");
  free_.pop_back();
  slots_[index].watcher = &watcher;
  return token;
}

Status Poller::change(int fd, Token token, std::uint32_t events) {
  epoll_event event{.events = events, .data = {.u64 = token}};
  if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_MOD, fd, &event) != 0) return failed("epoll_ctl");
  return {};
}

void Poller::remove(int fd, Token token) {
  Slot& slot = slots_[slot_of(token)];
  if (slot.generation != generation_of(token) || slot.watcher == nullptr) return;
  slot.watcher = nullptr;
  ++slot.generation;
  free_.push_back(slot_of(token));
  if (epoll_.is_open()) ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, fd, nullptr);
}

void Poller::wait() {
  epoll_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [this, alive = alive_](const boost::system::error_code& error) {
                      if (error || !*alive) return;
                      dispatch();
                      if (*alive) wait();
                    });
}

void Poller::dispatch() {
  const std::shared_ptr<bool> alive = alive_;
  const int count = ::epoll_wait(epoll_.native_handle(), events_.data(), static_cast<int>(events_.size()), 0);
  for (int i = 0; i < count && *alive; ++i) {
    const epoll_event event = events_[static_cast<std::size_t>(i)];
    const Slot slot = slots_[slot_of(event.data.u64)];
    more_ = i + 1 < count;
    if (slot.watcher != nullptr && slot.generation == generation_of(event.data.u64))
      slot.watcher->ready(event.events);
    if (*alive && (!more_ || put_off_.size() >= kPutOffMax)) run_put_off();
  }
}

// What is called may put off again, and may end the poller.
void Poller::run_put_off() {
  for (auto& call : std::exchange(put_off_, {})) call();
}

}  // namespace hr::net
