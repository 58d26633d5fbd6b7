#include "host/render/nftables.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <tuple>

namespace hr::host {
namespace {

std::vector<std::uint32_t> site_ports(const Machine& machine) {
  std::vector<std::uint32_t> out;
  for (const HostPort* each : {&machine.http, &machine.https})
    if (!each->loopback) out.push_back(each->port);
  for (const std::uint32_t port : machine.config.host.ports) out.push_back(port);
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

// New connections of one address above the rate are dropped and counted, for each family. A load balancer in
// front is a few addresses for everybody.
std::string site_rules(const Machine& machine) {
  const auto ports = site_ports(machine);
  if (ports.empty()) return "";
  const std::uint32_t rate = machine.config.host.syn_rate;
  const std::string list = fmt::format("{}", fmt::join(ports, ", "));
  std::string out;
  for (const std::string& proxy : machine.config.site.trusted_proxies)
    out += fmt::format("    {} saddr {} tcp dport {{ {} }} ct state new counter name site accept\n",
                       proxy.contains(':') ? "ip6" : "ip", proxy, list);
  for (const auto& [family, set, source] :
       {std::tuple("ipv4", "often4", "ip"), std::tuple("ipv6", "often6", "ip6")}) {
    out += fmt::format("    tcp dport {{ {} }} ct state new meta nfproto {} ", list, family);
    out += fmt::format("add @{} {{ {} saddr limit rate over {}/second burst {} packets }} ", set, source,
                       rate, rate * 2);
    out += "counter name limited drop\n";
  }
  return out + fmt::format("    tcp dport {{ {} }} ct state new counter name site accept\n", list);
}

std::string metadata_users(const Machine& machine) {
  const auto users = machine.credentialed();
  return users.empty() ? "0" : fmt::format("{{ root, {} }}", fmt::join(users, ", "));
}

}  // namespace

std::vector<std::uint32_t> open_ports(const Machine& machine) {
  std::vector<std::uint32_t> out = site_ports(machine);
  out.insert(out.end(), machine.config.host.ssh.begin(), machine.config.host.ssh.end());
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

std::vector<File> render_nftables(const Machine& machine) {
  const Config& config = machine.config;
  if (!config.host.firewall) return {};
  std::string out = fmt::format(
      "#!/usr/sbin/nft -f\n# Made from {} by `headrace host apply`: a change here does not last.\n",
      config.file);
  // Adding it first makes deleting it right whether it is there or not; all of the file is one transaction.
  out += R"(table inet headrace
delete table inet headrace
table inet headrace {
  counter refused { comment "came to a port that is not open" }
  counter limited { comment "came too often" }
  counter site { comment "new connections to the site" }
  counter metadata { comment "asked for the host's credentials without being root" }
  set often4 {
    type ipv4_addr
    size 65536
    flags dynamic,timeout
    timeout 1m
  }
  set often6 {
    type ipv6_addr
    size 65536
    flags dynamic,timeout
    timeout 1m
  }
  chain input {
    type filter hook input priority filter; policy drop;
    iif "lo" accept
    ct state vmap { established : accept, related : accept, invalid : drop }
    icmp type { destination-unreachable, time-exceeded, parameter-problem } accept
    icmp type echo-request limit rate 20/second accept
    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept
    icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query } accept
    icmpv6 type echo-request limit rate 20/second accept
    ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept
)";
  out += fmt::format("    tcp dport {{ {} }} ct state new accept\n", fmt::join(config.host.ssh, ", "));
  out += site_rules(machine);
  out += R"(    counter name refused
  }
  chain output {
    type filter hook output priority filter; policy accept;
)";
  const std::string users = metadata_users(machine);
  for (const char* address : {"ip daddr 169.254.169.254", "ip6 daddr fd00:ec2::254"})
    out += fmt::format("    {} meta skuid != {} counter name metadata reject\n", address, users);
  out += "  }\n}\n";
  return {{.path = std::string(kEtc) + "/nftables.nft", .text = std::move(out)}};
}

}  // namespace hr::host
