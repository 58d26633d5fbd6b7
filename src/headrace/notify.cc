#include "headrace/notify.h"

#include <systemd/sd-daemon.h>

#include <cstddef>
#include <cstring>
#include <netinet/in.h>
#include <sys/un.h>

namespace hr {

void notify_ready() { sd_notify(0, "READY=1"); }

void notify_stopping() { sd_notify(0, "STOPPING=1"); }

void notify_watchdog() { sd_notify(0, "WATCHDOG=1"); }

std::optional<Duration> watchdog_interval() {
  std::uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) <= 0) return std::nullopt;
  return std::chrono::floor<Duration>(std::chrono::microseconds(microseconds));
}

std::vector<int> passed_sockets() {
  std::vector<int> out;
  const int count = sd_listen_fds(1);
  for (int i = 0; i < count; ++i) out.push_back(SD_LISTEN_FDS_START + i);
  return out;
}

std::string Reach::unix_path() const {
  const auto& local = reinterpret_cast<const sockaddr_un&>(address);
  if (address.ss_family != AF_UNIX || size <= offsetof(sockaddr_un, sun_path)) return "";
  return std::string(local.sun_path, strnlen(local.sun_path, size - offsetof(sockaddr_un, sun_path)));
}

Reach reach_of(int listening_socket) {
  Reach out{.size = sizeof out.address};
  auto* generic = reinterpret_cast<sockaddr*>(&out.address);
  if (::getsockname(listening_socket, generic, &out.size) != 0) return {};
  if (out.address.ss_family == AF_INET) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(out.address);
    if (v4.sin_addr.s_addr == htonl(INADDR_ANY)) v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  } else if (out.address.ss_family == AF_INET6) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(out.address);
    if (IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr)) v6.sin6_addr = in6addr_loopback;
  }
  return out;
}

}  // namespace hr
