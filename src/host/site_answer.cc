#include "host/site_answer.h"

#include "os/linux/fd.h"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <sys/socket.h>

namespace hr::host {
namespace {

constexpr int kAnswerS = 10;
constexpr std::size_t kHeadBytesMax = 64 * 1024;

template <auto Free>
struct Deleter {
  void operator()(auto* object) const { Free(object); }
};

std::string header(std::string_view head, std::string_view name) {
  const std::string mark = fmt::format("\n{}: ", name);
  const auto found = std::ranges::search(
      head, mark, [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
  if (found.empty()) return "";
  const std::size_t begin = static_cast<std::size_t>(found.begin() - head.begin()) + mark.size();
  return std::string(head.substr(begin, head.find('\r', begin) - begin));
}

Result<os::Fd> connect_here(std::uint16_t port) {
  os::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{.tv_sec = kAnswerS, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0)
    return fail(Errc::kUnavailable, fmt::format("port {}: {}", port, std::strerror(errno)));
  return fd;
}

std::string head_of(SSL* tls) {
  std::string out;
  std::array<char, 4'096> piece{};
  while (out.size() < kHeadBytesMax && !out.contains("\r\n\r\n")) {
    const int size = SSL_read(tls, piece.data(), static_cast<int>(piece.size()));
    if (size <= 0) break;
    out.append(piece.data(), static_cast<std::size_t>(size));
  }
  return out;
}

}  // namespace

Result<SiteAnswer> read_site_answer(std::string_view head) {
  constexpr std::string_view kBegin = "HTTP/1.1 ";
  SiteAnswer out;
  if (head.starts_with(kBegin)) {
    const std::string_view status = head.substr(kBegin.size(), 3);
    std::from_chars(status.data(), status.data() + status.size(), out.status);
  }
  if (out.status < 100) return fail(Errc::kInvalid, "there was no answer in HTTP");
  out.request_id = header(head, "x-request-id");
  return out;
}

Result<SiteAnswer> ask_site(std::uint16_t port, const std::string& name) {
  HR_ASSIGN(const os::Fd fd, connect_here(port));
  const std::unique_ptr<SSL_CTX, Deleter<SSL_CTX_free>> context(SSL_CTX_new(TLS_client_method()));
  const std::unique_ptr<SSL, Deleter<SSL_free>> tls(context ? SSL_new(context.get()) : nullptr);
  std::string asked = name.starts_with("*.") ? "x" + name.substr(1) : name;
  if (!tls || SSL_set_fd(tls.get(), fd.get()) != 1 ||
      SSL_ctrl(tls.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, asked.data()) != 1)
    return fail(Errc::kUnavailable, "OpenSSL cannot be used");
  if (SSL_connect(tls.get()) != 1) return fail(Errc::kUnavailable, "TLS is refused");
  const std::string request = fmt::format(
      "GET / HTTP/1.1\r\nHost: {}\r\nUser-Agent: headrace-doctor\r\nConnection: close\r\n\r\n", asked);
  if (SSL_write(tls.get(), request.data(), static_cast<int>(request.size())) <= 0)
    return fail(Errc::kUnavailable, "nothing can be sent");
  return read_site_answer(head_of(tls.get()));
}

}  // namespace hr::host
