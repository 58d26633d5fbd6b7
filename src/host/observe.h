// What really runs on a host, read from who knows it: systemd's units, listening sockets of the kernel, the
// firewall's table, the clock's source. Each part says whether it could be read at all: what is unknown is
// never taken for healthy.
#pragma once

#include "host/machine.h"
#include "host/tools.h"
#include "host/tree.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace hr::host {

struct UnitSeen {
  bool active = false;
  std::string state = {};  // "active", "failed", ...
  std::string pid = {};
  bool operator==(const UnitSeen&) const = default;
};

// Each part: none where it could not be read.
struct Observation {
  std::optional<std::map<std::string, UnitSeen>> units;  // declared ones, and all of Headrace's
  std::optional<std::set<std::string>> unix_sockets;     // paths that somebody listens on
  std::optional<std::set<std::uint16_t>> open_tcp;       // ports listened on by another address than loopback
  std::optional<bool> firewall;                          // our table is there and drops by default
  std::optional<bool> synchronised;                      // the clock follows a real source
};

Observation observe(const Machine& machine, Tools& tools, const Tree& host);

// What the sources print, as values.
std::map<std::string, UnitSeen> parse_units(std::string_view text);  // systemctl show
std::set<std::string> parse_unix(std::string_view text);             // /proc/net/unix
std::set<std::uint16_t> parse_tcp(std::string_view text);            // /proc/net/tcp, tcp6
std::optional<bool> parse_table(std::string_view json);              // nft -j list table
std::optional<bool> parse_tracking(std::string_view text);           // chronyc -c tracking

}  // namespace hr::host
