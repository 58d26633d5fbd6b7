#include "headrace/notify.h"

#include <systemd/sd-daemon.h>

#include <algorithm>

namespace hr {

void notify_ready() { sd_notify(0, "READY=1"); }

void notify_stopping() { sd_notify(0, "STOPPING=1"); }

void notify_watchdog() { sd_notify(0, "WATCHDOG=1"); }

void notify_status(const std::string& text) {
  std::string line = text;
  std::ranges::replace(line, '\n', ' ');  // a new line would begin another assignment
  sd_notify(0, ("STATUS=" + line).c_str());
}

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

}  // namespace hr
