#include "connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace hr::python {
namespace {

constexpr std::size_t kReceiveBytes = 64 * 1024;

std::unexpected<Error> bad_endpoint(std::string_view text, std::string_view what) {
  return fail(Errc::kInvalid, fmt::format("the endpoint '{}' {}; write http://HOST:PORT or unix:/PATH, as "
                                          "HEADRACE_ENDPOINT or configure(endpoint=) have it",
                                          text, what));
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  Endpoint endpoint{.text = std::string(text), .host = {}, .port = "80", .path = {}, .host_header = {}};
  if (text.starts_with("unix:")) {
    endpoint.path = text.substr(5);
    endpoint.host_header = "localhost";
    if (!endpoint.path.starts_with('/') || endpoint.path.size() >= sizeof(sockaddr_un::sun_path)) {
      return bad_endpoint(text, "is no absolute path of at most 107 bytes");
    }
    return endpoint;
  }
  if (text.starts_with("https://")) return bad_endpoint(text, "needs TLS, which this version does not do");
  if (!text.starts_with("http://")) return bad_endpoint(text, "has no known scheme");
  std::string_view rest = text.substr(7);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.empty() || rest.find_first_of("/?#@ \t\r\n") != rest.npos)
    return bad_endpoint(text, "is not a host and port");
  endpoint.host_header = rest;
  const std::size_t bracket = rest.starts_with('[') ? rest.find(']') : 0;
  if (bracket == rest.npos) return bad_endpoint(text, "has an address without its ]");
  const std::size_t colon = rest.find(':', bracket);
  endpoint.host = bracket != 0 ? rest.substr(1, bracket - 1) : rest.substr(0, colon);
  if (colon != rest.npos) endpoint.port = rest.substr(colon + 1);
  if (endpoint.host.empty() || !is_port(endpoint.port)) return bad_endpoint(text, "is not a host and port");
  return endpoint;
}

Connection::~Connection() {
  if (fd_ >= 0) ::close(fd_);
}

// In slices: a signal that came just before poll() was entered does not end it, but its handler must run
// soon.
constexpr std::int64_t kSliceMs = 500;

Status Connection::wait(short events, Deadline deadline, Interrupt interrupt) const {
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

Result<Connection> Connection::open_address(int family, const void* address, unsigned bytes,
                                            Deadline deadline, Interrupt interrupt) {
  Connection made(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
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
Result<Connection> Connection::open_unix(const std::string& path, Deadline deadline, Interrupt interrupt) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  Connection made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
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

Result<Connection> Connection::open(const Endpoint& endpoint, Deadline deadline, Interrupt interrupt) {
  if (!endpoint.path.empty()) return open_unix(endpoint.path, deadline, interrupt);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(endpoint.host.c_str(), endpoint.port.c_str(), &hints, &found);
      error != 0) {
    return fail(Errc::kUnavailable, ::gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, ::freeaddrinfo);
  Result<Connection> made = fail(Errc::kUnavailable, "no address");
  for (const addrinfo* one = found; one != nullptr && !made; one = one->ai_next) {
    made = open_address(one->ai_family, one->ai_addr, one->ai_addrlen, deadline, interrupt);
    if (!made && made.error().code != Errc::kUnavailable) break;
  }
  return made;
}

bool Connection::usable() const {
  pollfd one{.fd = fd_, .events = POLLIN, .revents = 0};
  return ::poll(&one, 1, 0) == 0;
}

Status Connection::send(std::string_view head, std::string_view body, Deadline deadline,
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

Result<codec::Response> Connection::exchange(std::string_view head, std::string_view body,
                                             codec::ResponseParser parser, Deadline deadline,
                                             Interrupt interrupt) {
  sent_any_ = answer_began_ = false;
  // A peer that refuses a request may answer and close before it has read all of it.
  const Status sent = send(head, body, deadline, interrupt);
  if (!sent && sent.error().code != Errc::kClosed) return std::unexpected(sent.error());
  std::array<char, kReceiveBytes> buffer;
  while (!parser.done()) {
    const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      HR_TRY(wait(POLLIN, deadline, interrupt));
      continue;
    }
    if (n < 0) return fail(Errc::kClosed, std::strerror(errno));
    if (n == 0) {
      HR_TRY(parser.closed());
      break;
    }
    answer_began_ = true;
    HR_ASSIGN(const std::size_t used, parser.feed({buffer.data(), static_cast<std::size_t>(n)}));
    if (used != static_cast<std::size_t>(n)) return fail(Errc::kInvalid, "bytes after the end of the answer");
  }
  codec::Response response = parser.take();
  if (!sent) response.keep_alive = false;
  return response;
}

}  // namespace hr::python
