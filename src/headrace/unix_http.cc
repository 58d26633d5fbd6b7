#include "headrace/unix_http.h"

#include "os/linux/fd.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

namespace hr {
namespace {

constexpr std::size_t kAnswerMax = 1U << 20;

// Everything until the other side closes; it was asked to.
std::string read_all(int fd) {
  std::string answer;
  char piece[4096];
  for (;;) {
    const ssize_t got = ::recv(fd, piece, sizeof piece, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || answer.size() > kAnswerMax) return answer;
    answer.append(piece, static_cast<std::size_t>(got));
  }
}

}  // namespace

Result<UnixAnswer> ask(const Reach& where, const std::string& name, std::string_view method,
                       std::string_view target, Duration patience) {
  const os::Fd fd(::socket(where.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.open()) return fail(Errc::kIo, fmt::format("socket: {}", std::strerror(errno)));
  const timeval limit{.tv_sec = patience.count() / 1000, .tv_usec = patience.count() % 1000 * 1000};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const std::string request = fmt::format(
      "{} {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method, target);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&where.address), where.size) != 0 ||
      ::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return fail(Errc::kUnavailable, fmt::format("{}: does not answer: {}", name, std::strerror(errno)));
  errno = 0;
  const std::string answer = read_all(fd.get());
  constexpr std::string_view kVersion11 = "HTTP/1.1 ";
  UnixAnswer out;
  if (!answer.starts_with(kVersion11) || answer.size() < kVersion11.size() + 3)
    return fail(Errc::kUnavailable, fmt::format("{}: does not answer: {}", name, std::strerror(errno)));
  std::from_chars(answer.data() + kVersion11.size(), answer.data() + kVersion11.size() + 3, out.status);
  const std::size_t head = answer.find("\r\n\r\n");
  if (head != answer.npos) out.body = answer.substr(head + 4);
  return out;
}

Result<UnixAnswer> ask(const std::string& socket, std::string_view method, std::string_view target,
                       Duration patience) {
  Reach where;
  auto& local = reinterpret_cast<sockaddr_un&>(where.address);
  if (socket.size() >= sizeof local.sun_path)
    return fail(Errc::kInvalid, socket + ": too long for a unix socket");
  local.sun_family = AF_UNIX;
  socket.copy(local.sun_path, socket.size());
  where.size = sizeof local;
  return ask(where, socket, method, target, patience);
}

}  // namespace hr
