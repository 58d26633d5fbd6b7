#include "headrace/up_notify.h"

#include "headrace/notify.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace hr {
namespace {

constexpr Duration kBetweenTries = 50ms;

}  // namespace

Notice read_notice(std::string_view text) {
  Notice out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    out.ready = out.ready || line == "READY=1";
    out.alive = out.alive || line == "WATCHDOG=1";
    constexpr std::string_view kMain = "MAINPID=";
    if (line.starts_with(kMain))
      std::from_chars(line.data() + kMain.size(), line.data() + line.size(), out.main_pid);
    text = end == text.npos ? std::string_view() : text.substr(end + 1);
  }
  return out;
}

Result<NotifySocket> NotifySocket::open(const std::string& path) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  if (path.size() >= sizeof where.sun_path)
    return fail(Errc::kInvalid, path + ": too long for a unix socket");
  path.copy(where.sun_path, path.size());
  os::Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::unlink(path.c_str());
  if (!fd.open() || ::setsockopt(fd.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0)
    return fail(Errc::kIo, fmt::format("{}: {}", path, std::strerror(errno)));
  return NotifySocket(std::move(fd));
}

std::optional<Notice> NotifySocket::take() {
  std::array<char, 4096> text{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
  iovec piece{.iov_base = text.data(), .iov_len = text.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t n = os::retried([&] { return ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC); });
  if (n < 0) return std::nullopt;
  Notice out = read_notice({text.data(), static_cast<std::size_t>(n)});
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_CREDENTIALS) {
    ucred sender{};
    std::memcpy(&sender, CMSG_DATA(header), sizeof sender);
    out.pid = sender.pid;
  }
  return out;
}

Probe::Probe(int listening_socket, std::string path)
    : listening_(listening_socket),
      request_(fmt::format(
          "GET {} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: headrace-up\r\nConnection: close\r\n\r\n",
          path)) {}

short Probe::events() const { return sent_ ? POLLIN : POLLOUT; }

void Probe::begin() {
  const auto [address, size] = reach_of(listening_);
  if (size == 0) return;
  fd_ = os::Fd(::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sent_ = false;
  if (fd_.open() && ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 &&
      errno != EINPROGRESS)
    fd_ = os::Fd();
}

void Probe::failed(Time now) {
  fd_ = os::Fd();
  again_at_ = now + kBetweenTries;
}

bool Probe::step(Time now) {
  if (!fd_.open()) {
    if (now < again_at_) return false;
    begin();
    if (!fd_.open()) {
      failed(now);
      return false;
    }
  }
  if (!sent_) {
    if (::send(fd_.get(), request_.data(), request_.size(), MSG_NOSIGNAL) ==
        static_cast<ssize_t>(request_.size()))
      sent_ = true;
    else if (errno != EAGAIN)
      failed(now);
    return false;
  }
  char first = 0;
  const ssize_t n = ::recv(fd_.get(), &first, 1, 0);
  if (n == 1) return true;
  if (n == 0 || errno != EAGAIN) failed(now);
  return false;
}

}  // namespace hr
