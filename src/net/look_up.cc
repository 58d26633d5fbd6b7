#include "net/look_up.h"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <utility>

namespace hr::net {
namespace {

template <class T>
SocketAddress address_of(const T& from) {
  SocketAddress out;
  std::memcpy(&out.storage, &from, sizeof from);
  out.bytes = sizeof from;
  return out;
}

}  // namespace

std::optional<Addresses> numeric_address(const std::string& host, std::uint16_t port) {
  sockaddr_in v4{};
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return Addresses{address_of(v4)};
  }
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    return Addresses{address_of(v6)};
  }
  return std::nullopt;
}

Result<Addresses> look_up(const std::string& host, std::uint16_t port) {
  if (auto known = numeric_address(host, port)) return std::move(*known);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) return fail(Errc::kUnavailable, fmt::format("{}: {}", host, ::gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, ::freeaddrinfo);
  Addresses out;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (one->ai_addrlen > sizeof(sockaddr_storage)) continue;
    SocketAddress& address = out.emplace_back();
    std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
    address.bytes = one->ai_addrlen;
  }
  if (out.empty()) return fail(Errc::kUnavailable, host + ": no address");
  return out;
}

}  // namespace hr::net
