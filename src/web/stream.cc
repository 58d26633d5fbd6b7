#include "web/stream.h"

#include "os/linux/fd.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <string>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace hr::web {
namespace {

constexpr std::size_t kFileStep = 1 << 20;

std::unexpected<Error> broken(int error) {
  return fail(Errc::kClosed, std::string("the connection ended: ") + std::strerror(error));
}

Status wait_for(int fd, short events, Duration stall) {
  pollfd waited{.fd = fd, .events = events, .revents = 0};
  const int ready = os::retried([&] { return ::poll(&waited, 1, static_cast<int>(stall.count())); });
  if (ready < 0) return broken(errno);
  if (ready == 0) return fail(Errc::kTimeout, "the other side was silent for too long");
  return {};
}

iovec part(std::string_view bytes) { return {const_cast<char*>(bytes.data()), bytes.size()}; }

// Takes `sent` bytes off the front.
void take_off(std::span<iovec> parts, std::size_t sent) {
  for (iovec& piece : parts) {
    const std::size_t n = std::min(sent, piece.iov_len);
    piece.iov_base = static_cast<char*>(piece.iov_base) + n;
    piece.iov_len -= n;
    sent -= n;
  }
}

}  // namespace

Result<std::size_t> receive_now(int fd, std::span<char> out) {
  const ssize_t n = os::retried([&] { return ::recv(fd, out.data(), out.size(), MSG_DONTWAIT); });
  if (n >= 0) return static_cast<std::size_t>(n);
  if (errno == EAGAIN) return fail(Errc::kBusy, "nothing yet");
  return broken(errno);
}

Result<std::size_t> receive(int fd, std::span<char> out, Duration stall) {
  for (;;) {
    auto got = receive_now(fd, out);
    if (got || got.error().code != Errc::kBusy) return got;
    HR_TRY(wait_for(fd, POLLIN, stall));
  }
}

Status send_all(int fd, Parts parts, Duration stall) {
  std::array<iovec, 3> pieces = {part(parts.before), part(parts.data), part(parts.after)};
  std::size_t left = parts.before.size() + parts.data.size() + parts.after.size();
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  while (left != 0) {
    const ssize_t n = os::retried([&] { return ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL); });
    if (n >= 0) {
      take_off(pieces, static_cast<std::size_t>(n));
      left -= static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      HR_TRY(wait_for(fd, POLLOUT, stall));
    } else {
      return broken(errno);
    }
  }
  return {};
}

Status send_file(int fd, int file, std::uint64_t offset, std::uint64_t count, Duration stall) {
  auto at = static_cast<off_t>(offset);
  while (count != 0) {
    const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(count, kFileStep));
    const ssize_t n = os::retried([&] { return ::sendfile(fd, file, &at, step); });
    if (n > 0) {
      count -= static_cast<std::uint64_t>(n);
    } else if (n == 0) {
      return fail(Errc::kIo, "the file is shorter than it was");
    } else if (errno == EAGAIN) {
      HR_TRY(wait_for(fd, POLLOUT, stall));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return broken(errno);
    } else {
      return fail(Errc::kIo, std::string("the file cannot be sent: ") + std::strerror(errno));
    }
  }
  return {};
}

}  // namespace hr::web
