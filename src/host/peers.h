// Who is connected to the unix sockets of a host, as `ss` prints it and by the unit that each process belongs
// to. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hr::host {

struct Connection {
  std::string socket;  // the path that was connected to
  std::string program, pid;
  auto operator<=>(const Connection&) const = default;
};

// Of what `ss -xpHn` printed, once or, for several networks, one after the other: connections to sockets
// below `folder` whose other end is there, in order and each once. None: whose that end is may not be seen
// (by anybody but root).
std::optional<std::vector<Connection>> parse_connections(std::string_view text, std::string_view folder);

// The unit of systemd that /proc/PID/cgroup names: "headrace-web@1.service". "" where it is none of the
// system's own, as for people that are logged in.
std::string unit_of_cgroup(std::string_view text);

}  // namespace hr::host
