// What a role tells whoever started it (systemd, or our own supervisor, which speaks the same protocol), and
// the sockets it was given. Each call does nothing when nobody listens.
#pragma once

#include "base/time.h"

#include <optional>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace hr {

void notify_ready();
void notify_stopping();
void notify_watchdog();  // "still alive"

// How often at the latest notify_watchdog() is expected; none: nobody watches.
std::optional<Duration> watchdog_interval();

// Listening sockets passed by the supervisor (LISTEN_FDS), closed on exec from now on. The environment is
// cleared, so that no child takes them for its own: a second call finds none.
std::vector<int> passed_sockets();

// Where a client reaches a listening socket: an address that stands for all of them becomes loopback.
struct Reach {
  sockaddr_storage address{};
  socklen_t size = 0;             // 0: it has none
  std::string unix_path() const;  // "": not a unix socket
};
Reach reach_of(int listening_socket);

}  // namespace hr
