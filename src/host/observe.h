// What really runs on a host, read from who knows it: systemd's units, listening sockets of the kernel and
// who is connected to ours, nginx's configuration, the firewall's table, the clock's source. Each part says
// whether it could be read at all: what is unknown is never taken for healthy.
#pragma once

#include "host/machine.h"
#include "host/nginx_seen.h"
#include "host/peers.h"
#include "host/tools.h"
#include "host/tree.h"
#include "host/units.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace hr::host {

struct PeerSeen {
  Connection connection;
  std::string unit;  // "" where it is none of the system's own: a person's program
};

struct QueueSeen {
  std::string name;
  std::int64_t waiting = 0, in_work = 0, delayed = 0;
  std::optional<std::int64_t> oldest_s = {}, dead = {};
};

// Each part: none where it could not be read.
struct Observation {
  std::optional<UnitsSeen> units;                        // declared ones, and all of Headrace's
  std::optional<std::set<std::string>> unix_sockets;     // paths that somebody listens on
  std::optional<std::set<std::uint16_t>> open_tcp;       // ports listened on by another address than loopback
  std::optional<std::set<std::uint16_t>> open_udp = {};  // the same, below those that the kernel gives out
  std::optional<std::set<std::string>> routed = {};      // interfaces with a route, beside loopback
  std::optional<std::string> system = {};                // the distribution, by its os-release
  std::optional<bool> firewall;                          // our table is there and drops by default
  std::optional<bool> synchronised;                      // the clock follows a real source
  std::optional<NginxSeen> nginx = {};                   // what the one that runs has in its files
  std::string nginx_stale = {};                          // a file that was changed since nginx loaded it
  std::optional<std::vector<PeerSeen>> peers = {};       // who is connected to sockets of ours
  // Not looked at here: whoever knows the services, and the files as they should be, adds these.
  std::optional<std::vector<QueueSeen>> queues = {};
  std::optional<std::vector<std::string>> other_files = {};  // paths of those that are not as they should be
  std::map<std::string, std::int64_t> counters = {};         // packets that the firewall has counted
  std::string units_by = {};                                 // who told the units: "D-Bus", "systemctl"
};

// `bus` is asked about units first, where there is one; systemctl where it does not answer.
Observation observe(const Machine& machine, Tools& tools, const Tree& host, Units* bus = nullptr);

// When a process began, in seconds since the machine did, by /proc/PID/stat; none: that is not what it says.
std::optional<double> began(std::string_view stat);

// What the sources print, as values.
UnitsSeen parse_units(std::string_view text);                                   // systemctl show
std::set<std::string> parse_unix(std::string_view text);                        // /proc/net/unix
std::set<std::uint16_t> parse_tcp(std::string_view text);                       // /proc/net/tcp, tcp6
std::set<std::uint16_t> parse_udp(std::string_view text, std::uint32_t below);  // /proc/net/udp, udp6
std::set<std::string> parse_routes(std::string_view ipv4,
                                   std::string_view ipv6);                  // /proc/net/route, ipv6_route
std::optional<bool> parse_table(std::string_view json);                     // nft -j list table
std::map<std::string, std::int64_t> parse_counters(std::string_view json);  // the same
std::optional<bool> parse_tracking(std::string_view text);                  // chronyc -c tracking

}  // namespace hr::host
