// What a role tells whoever started it (systemd, or our own supervisor, which speaks the same protocol), and
// the sockets it was given. Each call does nothing when nobody listens.
#pragma once

#include "base/time.h"

#include <optional>
#include <string>
#include <vector>

namespace hr {

void notify_ready();
void notify_stopping();
void notify_watchdog();                       // "still alive"
void notify_status(const std::string& text);  // one line for `systemctl status`

// How often at the latest notify_watchdog() is expected; none: nobody watches.
std::optional<Duration> watchdog_interval();

// Listening sockets passed by the supervisor (LISTEN_FDS), closed on exec from now on. The environment is
// cleared, so that no child takes them for its own: a second call finds none.
std::vector<int> passed_sockets();

}  // namespace hr
