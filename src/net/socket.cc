#include "net/socket.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace hr::net {
namespace {

constexpr int kBacklog = 4'096;

std::unexpected<Error> failed(int error, const std::string& what) {
  Errc code = Errc::kIo;
  if (error == EADDRINUSE) code = Errc::kBusy;
  if (error == EACCES || error == EPERM) code = Errc::kPermission;
  if (error == EADDRNOTAVAIL || error == EAFNOSUPPORT || error == ENOENT || error == ENOTDIR)
    code = Errc::kInvalid;
  return fail(code, what + ": " + std::strerror(error));
}

template <class Address>
sockaddr* generic(Address& address) {
  return reinterpret_cast<sockaddr*>(&address);
}

struct SocketAddress {
  sockaddr_storage bytes{};
  socklen_t size = 0;
};

Result<SocketAddress> tcp_address(const TcpAddress& address) {
  SocketAddress out;
  auto& v4 = reinterpret_cast<sockaddr_in&>(out.bytes);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(out.bytes);
  if (::inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    out.size = sizeof v4;
  } else if (::inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    out.size = sizeof v6;
  } else {
    return fail(Errc::kInvalid, "\"" + address.host + "\" is not a numeric address");
  }
  return out;
}

std::uint16_t port_of(int fd) {
  sockaddr_storage bytes{};
  socklen_t size = sizeof bytes;
  if (::getsockname(fd, generic(bytes), &size) != 0) return 0;
  if (bytes.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in&>(bytes).sin_port);
  if (bytes.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6&>(bytes).sin6_port);
  return 0;
}

Result<Listening> listen_tcp(const TcpAddress& address) {
  const std::string what = "listening on " + address.host + ":" + std::to_string(address.port);
  HR_ASSIGN(SocketAddress where, tcp_address(address));
  Fd fd(::socket(where.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return failed(errno, what);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (where.bytes.ss_family == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // accepted sockets inherit it
  if (::bind(fd.get(), generic(where.bytes), where.size) != 0) return failed(errno, what);
  if (::listen(fd.get(), kBacklog) != 0) return failed(errno, what);
  Listening out;
  out.port = port_of(fd.get());
  out.fd = std::move(fd);
  return out;
}

// Removes a socket that nobody listens on. kBusy when somebody does; kInvalid when it is no socket.
Status remove_stale(const sockaddr_un& where, const std::string& what) {
  struct stat seen{};
  if (::lstat(where.sun_path, &seen) != 0) {
    if (errno == ENOENT) return {};
    return failed(errno, what);
  }
  if (!S_ISSOCK(seen.st_mode)) return fail(Errc::kInvalid, what + ": there is a file that is not a socket");
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (probe.get() < 0) return failed(errno, what);
  const auto* address = reinterpret_cast<const sockaddr*>(&where);
  if (::connect(probe.get(), address, sizeof where) == 0 || errno == EAGAIN) {
    return fail(Errc::kBusy, what + ": another process listens there");
  }
  if (errno == ENOENT) return {};
  if (errno != ECONNREFUSED) return failed(errno, what);
  if (::unlink(where.sun_path) != 0 && errno != ENOENT) return failed(errno, what);
  return {};
}

Result<Listening> listen_unix(const UnixAddress& address) {
  const std::string what = "listening on " + address.path;
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  if (address.path.empty() || address.path.size() >= sizeof where.sun_path) {
    return fail(Errc::kInvalid, what + ": the path of a unix socket has 1 to 107 bytes");
  }
  std::memcpy(where.sun_path, address.path.data(), address.path.size());
  HR_TRY(remove_stale(where, what));
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return failed(errno, what);
  // Mode of the socket file before it exists: nobody connects in between. listen() comes after chmod.
  ::fchmod(fd.get(), 0600);
  if (::bind(fd.get(), generic(where), sizeof where) != 0) return failed(errno, what);
  Listening out;
  out.fd = std::move(fd);
  out.unlink_on_close = address.path;
  if (::chmod(address.path.c_str(), static_cast<mode_t>(address.mode)) != 0) return failed(errno, what);
  if (::listen(out.fd.get(), kBacklog) != 0) return failed(errno, what);
  return out;
}

Result<Listening> listen_passed(const PassedSocket& address) {
  const std::string what = "listening on descriptor " + std::to_string(address.descriptor);
  int accepting = 0;
  socklen_t size = sizeof accepting;
  if (::getsockopt(address.descriptor, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &size) != 0) {
    return failed(errno, what);
  }
  int type = 0;
  size = sizeof type;
  ::getsockopt(address.descriptor, SOL_SOCKET, SO_TYPE, &type, &size);
  if (accepting == 0 || type != SOCK_STREAM)
    return fail(Errc::kInvalid, what + ": not a listening stream socket");
  // Ours is a duplicate: closing it leaves the supervisor's open.
  Fd fd(::fcntl(address.descriptor, F_DUPFD_CLOEXEC, 3));
  if (fd.get() < 0) return failed(errno, what);
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) return failed(errno, what);
  Listening out;
  out.port = port_of(fd.get());
  const int on = 1;
  if (out.port != 0) ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  out.fd = std::move(fd);
  return out;
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Listening> listen_on(const ListenAddress& address) {
  if (const auto* tcp = std::get_if<TcpAddress>(&address)) return listen_tcp(*tcp);
  if (const auto* local = std::get_if<UnixAddress>(&address)) return listen_unix(*local);
  return listen_passed(std::get<PassedSocket>(address));
}

Peer peer_of(int fd) {
  Peer peer;
  sockaddr_storage bytes{};
  socklen_t size = sizeof bytes;
  if (::getpeername(fd, generic(bytes), &size) != 0) return peer;
  char text[INET6_ADDRSTRLEN] = {};
  if (bytes.ss_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in&>(bytes).sin_addr, text, sizeof text);
    peer.address = text;
  } else if (bytes.ss_family == AF_INET6) {
    ::inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6&>(bytes).sin6_addr, text, sizeof text);
    peer.address = text;
  } else {
    peer.unix_socket = true;
    peer.address = "unix";
    ucred credentials{};
    size = sizeof credentials;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
      peer.uid = credentials.uid;
      peer.gid = credentials.gid;
      peer.pid = static_cast<std::uint32_t>(credentials.pid);
    }
  }
  return peer;
}

}  // namespace hr::net
