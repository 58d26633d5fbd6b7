#include "net/blocking_connection.h"

#include "net/look_up.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

namespace hr::net {
namespace {

constexpr std::size_t kReceiveBytes = 64 * 1024;
constexpr std::size_t kSealBytes = 256 * 1024;  // of plaintext that becomes ciphertext at once
constexpr auto kNextAddressAfter = std::chrono::seconds(3);

// In slices: a signal that came just before poll() was entered does not end it, but its handler must run
// soon.
constexpr std::int64_t kSliceMs = 500;

}  // namespace

BlockingConnection::~BlockingConnection() {
  if (fd_ >= 0) ::close(fd_);
}

Status BlockingConnection::wait(short events, Deadline deadline, Interrupt interrupt) const {
  using std::chrono::ceil;
  using std::chrono::milliseconds;
  for (;;) {
    const auto left = ceil<milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return fail(Errc::kTimeout, "no answer in time");
    pollfd one{.fd = fd_, .events = events, .revents = 0};
    const int ready = ::poll(&one, 1, static_cast<int>(std::min<std::int64_t>(left, kSliceMs)));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return fail(Errc::kIo, std::strerror(errno));
    if (interrupt()) return fail(Errc::kIo, "interrupted");
  }
}

Result<BlockingConnection> BlockingConnection::open_address(int family, const void* address, unsigned bytes,
                                                            Deadline deadline, Interrupt interrupt) {
  BlockingConnection made(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (made.fd_ < 0) return fail(Errc::kUnavailable, std::strerror(errno));
  const int on = 1;
  ::setsockopt(made.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(made.fd_, static_cast<const sockaddr*>(address), bytes) == 0) return made;
  if (errno != EINPROGRESS) return fail(Errc::kUnavailable, std::strerror(errno));
  HR_TRY(made.wait(POLLOUT, deadline, interrupt));
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(made.fd_, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return fail(Errc::kUnavailable, std::strerror(error));
  return made;
}

// Without O_NONBLOCK, as a full backlog would else be an error that does not tell when there is room.
Result<BlockingConnection> BlockingConnection::open_unix(const std::string& path, Deadline deadline,
                                                         Interrupt interrupt) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  BlockingConnection made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (made.fd_ < 0) return fail(Errc::kUnavailable, std::strerror(errno));
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::microseconds>(deadline - std::chrono::steady_clock::now())
            .count();
    if (left <= 0) return fail(Errc::kTimeout, "no answer in time");
    const timeval most{.tv_sec = left / 1'000'000, .tv_usec = left % 1'000'000};
    ::setsockopt(made.fd_, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
    if (::connect(made.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) break;
    if (errno == EAGAIN) return fail(Errc::kTimeout, "no answer in time");
    if (errno != EINTR) return fail(Errc::kUnavailable, std::strerror(errno));
    if (interrupt()) return fail(Errc::kIo, "interrupted");
  }
  ::fcntl(made.fd_, F_SETFL, O_NONBLOCK);
  return made;
}

// An address that says nothing for a while is left for the next one.
Result<BlockingConnection> BlockingConnection::open_tcp(const Endpoint& endpoint, Deadline deadline,
                                                        Interrupt interrupt) {
  HR_ASSIGN(const auto addresses, look_up(endpoint.host, endpoint.port));
  Result<BlockingConnection> made = fail(Errc::kUnavailable, "no address");
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const auto patience = i + 1 == addresses.size()
                              ? deadline
                              : std::min(deadline, std::chrono::steady_clock::now() + kNextAddressAfter);
    made = open_address(addresses[i].storage.ss_family, &addresses[i].storage, addresses[i].bytes, patience,
                        interrupt);
    if (made || made.error().code == Errc::kIo || std::chrono::steady_clock::now() >= deadline) break;
  }
  return made;
}

Result<BlockingConnection> BlockingConnection::open(const Endpoint& endpoint,
                                                    const std::shared_ptr<TlsContext>& tls, Deadline deadline,
                                                    Interrupt interrupt) {
  if (!endpoint.unix_path.empty()) return open_unix(endpoint.unix_path, deadline, interrupt);
  auto made = open_tcp(endpoint, deadline, interrupt);
  if (!made || !endpoint.tls) return made;
  if (!tls) return fail(Errc::kInvalid, "TLS is asked for and was not prepared");
  HR_ASSIGN(made->pipe_, TlsPipe::make(tls, endpoint.host));
  HR_TRY(made->shake_hands(deadline, interrupt));
  return made;
}

Status BlockingConnection::shake_hands(Deadline deadline, Interrupt interrupt) {
  std::array<char, kReceiveBytes> buffer;
  for (;;) {
    const auto done = pipe_->handshake();
    const Status sent = send_raw(pipe_->take_output(), {}, deadline, interrupt);  // an alert too
    if (!done) return std::unexpected(done.error());
    HR_TRY(sent);
    if (*done) return {};
    HR_ASSIGN(const std::size_t n, receive_raw(buffer, deadline, interrupt));
    if (n == 0) return fail(Errc::kUnavailable, pipe_->host() + " ended the connection before TLS began");
    pipe_->feed({buffer.data(), n});
  }
}

bool BlockingConnection::usable() {
  pollfd one{.fd = fd_, .events = POLLIN, .revents = 0};
  if (::poll(&one, 1, 0) == 0) return true;
  if (!pipe_) return false;
  // Tickets of a new session may wait there.
  std::array<char, kReceiveBytes> buffer;
  const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n <= 0) return false;
  pipe_->feed({buffer.data(), static_cast<std::size_t>(n)});
  const auto plain = pipe_->read(buffer);
  return plain && *plain == 0 && !pipe_->ended();
}

Status BlockingConnection::send(std::string_view head, std::string_view body, Deadline deadline,
                                Interrupt interrupt) {
  if (!pipe_) return send_raw(head, body, deadline, interrupt);
  HR_TRY(pipe_->write(head));
  do {
    HR_TRY(pipe_->write(body.substr(0, kSealBytes)));
    body.remove_prefix(std::min(body.size(), kSealBytes));
    HR_TRY(send_raw(pipe_->take_output(), {}, deadline, interrupt));
  } while (!body.empty());
  return {};
}

Status BlockingConnection::send_raw(std::string_view head, std::string_view body, Deadline deadline,
                                    Interrupt interrupt) {
  while (!head.empty() || !body.empty()) {
    std::array<iovec, 2> parts{
        {{const_cast<char*>(head.data()), head.size()}, {const_cast<char*>(body.data()), body.size()}}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      HR_TRY(wait(POLLOUT, deadline, interrupt));
      continue;
    }
    if (n < 0) return fail(Errc::kClosed, std::strerror(errno));
    sent_any_ = true;
    const std::size_t of_head = std::min(static_cast<std::size_t>(n), head.size());
    head.remove_prefix(of_head);
    body.remove_prefix(static_cast<std::size_t>(n) - of_head);
  }
  return {};
}

Result<std::size_t> BlockingConnection::receive_raw(std::span<char> out, Deadline deadline,
                                                    Interrupt interrupt) {
  for (;;) {
    const ssize_t n = ::recv(fd_, out.data(), out.size(), 0);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EAGAIN && errno != EINTR) return fail(Errc::kClosed, std::strerror(errno));
    HR_TRY(wait(POLLIN, deadline, interrupt));
  }
}

Result<std::size_t> BlockingConnection::receive(std::span<char> out, Deadline deadline, Interrupt interrupt) {
  if (!pipe_) return receive_raw(out, deadline, interrupt);
  std::array<char, kReceiveBytes> sealed;
  for (;;) {
    HR_ASSIGN(const std::size_t plain, pipe_->read(out));
    if (plain != 0 || pipe_->ended()) return plain;
    HR_TRY(send_raw(pipe_->take_output(), {}, deadline, interrupt));
    HR_ASSIGN(const std::size_t n, receive_raw(sealed, deadline, interrupt));
    // Without the peer's word that it has ended, somebody else may have cut the answer.
    if (n == 0) return fail(Errc::kClosed, "the connection was cut");
    pipe_->feed({sealed.data(), n});
  }
}

Result<codec::Response> BlockingConnection::exchange(std::string_view head, std::string_view body,
                                                     codec::ResponseParser parser, Deadline deadline,
                                                     Interrupt interrupt) {
  sent_any_ = answer_began_ = false;
  // A peer that refuses a request may answer and close before it has read all of it.
  const Status sent = send(head, body, deadline, interrupt);
  if (!sent && sent.error().code != Errc::kClosed) return std::unexpected(sent.error());
  std::array<char, kReceiveBytes> buffer;
  while (!parser.done()) {
    HR_ASSIGN(const std::size_t n, receive(buffer, deadline, interrupt));
    if (n == 0) {
      HR_TRY(parser.closed());
      break;
    }
    answer_began_ = true;
    HR_ASSIGN(const std::size_t used, parser.feed({buffer.data(), n}));
    if (used != n) return fail(Errc::kInvalid, "bytes after the end of the answer");
  }
  codec::Response response = parser.take();
  if (!sent) response.keep_alive = false;
  return response;
}

}  // namespace hr::net
