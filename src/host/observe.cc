#include "host/observe.h"

#include "codec/json.h"
#include "host/render/systemd.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace hr::host {
namespace {

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(at), text.size());
    if (end != 0) out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::optional<std::string> said_by(Tools& tools, const std::vector<std::string>& command) {
  const auto said = tools.run(command);
  if (!said || said->code != 0) return {};
  return said->text;
}

// The kernel tells when it booted in whole seconds: what is nearer than this is taken for the same.
constexpr double kStaleS = 2;
const std::vector<std::string> kOurUnits = {"headrace-*.service", "headrace-*.socket"};

std::optional<UnitsSeen> units_by_systemctl(std::set<std::string> names, Tools& tools) {
  std::vector<std::string> list = {"systemctl", "list-units",  "--all",
                                   "--plain",   "--no-legend", "--no-pager"};
  list.insert(list.end(), kOurUnits.begin(), kOurUnits.end());
  const auto listed = said_by(tools, list);
  if (!listed) return {};
  for (const auto line : split(*listed, '\n'))
    if (line.starts_with("headrace-")) names.emplace(line.substr(0, line.find(' ')));
  std::vector<std::string> command = {"systemctl", "show", "--property=Id,ActiveState,MainPID"};
  command.insert(command.end(), names.begin(), names.end());
  const auto shown = said_by(tools, command);
  if (!shown) return {};
  return parse_units(*shown);
}

void look_at_units(Observation& out, const Machine& machine, Tools& tools, Units* bus) {
  std::set<std::string> names;
  for (const Node& node : machine.nodes)
    if (!node.unit.empty()) names.insert(node.unit);
  for (const std::string& unit : own_units(machine)) names.insert(unit);
  if (bus != nullptr) {
    if (auto told = bus->units({names.begin(), names.end()}, kOurUnits)) {
      out.units = std::move(*told);
      out.units_by = "D-Bus";
      return;
    }
  }
  out.units = units_by_systemctl(std::move(names), tools);
  out.units_by = "systemctl";
}

std::string text_of(const Tree& host, const std::string& path) {
  const auto seen = host.read(path);
  return seen && *seen ? (*seen)->text : "";
}

std::optional<double> number(std::string_view text) {
  double out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc()) return {};
  return out;
}

// When a file was changed, in Unix seconds.
std::optional<double> changed(const std::string& path) {
  struct stat seen{};
  if (::stat(path.c_str(), &seen) != 0) return {};
  return static_cast<double>(seen.st_mtim.tv_sec) + static_cast<double>(seen.st_mtim.tv_nsec) / 1e9;
}

// When the machine did, in Unix seconds: a line of /proc/stat.
std::optional<double> booted(std::string_view stat) {
  constexpr std::string_view kLine = "\nbtime ";
  const std::size_t at = stat.find(kLine);
  return at == stat.npos ? std::nullopt : number(stat.substr(at + kLine.size()));
}

// Of an nginx that runs alone: asked while there is none, it would leave an empty file for its process id.
std::optional<NginxSeen> nginx_of(const Observation& seen, Tools& tools, const Tree& host) {
  if (!seen.units) return {};
  const auto unit = seen.units->find("nginx.service");
  if (unit == seen.units->end() || !unit->second.active || unit->second.pid.empty()) return {};
  std::string file = nginx_file(text_of(host, fmt::format("/proc/{}/cmdline", unit->second.pid)));
  if (file.empty()) file = "/etc/nginx/nginx.conf";
  const auto text = said_by(tools, {"nginx", "-T", "-q", "-c", file});
  if (!text) return {};
  return parse_nginx(*text);
}

// A worker that began after a file was changed has loaded it: at a reload, all of them are new ones.
std::string stale_file(const Observation& seen, const Tree& host) {
  const std::string pid = seen.units->at("nginx.service").pid;
  const auto boot = booted(text_of(host, "/proc/stat"));
  std::optional<double> oldest;
  const std::string children = text_of(host, fmt::format("/proc/{0}/task/{0}/children", pid));
  for (const auto child : split(children, ' ')) {
    if (text_of(host, fmt::format("/proc/{}/cmdline", child)).contains("shutting down")) continue;
    const auto since = began(text_of(host, fmt::format("/proc/{}/stat", child)));
    if (since && (!oldest || *since < *oldest)) oldest = since;
  }
  if (!boot || !oldest) return "";
  for (const std::string& file : seen.nginx->files) {
    const auto at = changed(host.at(file));
    if (at && *at > *boot + *oldest + kStaleS) return file;
  }
  return "";
}

// The network of the host, and those that units have of their own: a connection is listed where it was made.
std::string sockets_of_all(const Observation& seen, const Tree& host, Tools& tools) {
  std::string out;
  std::set<std::string> networks;
  const auto network = [&](const std::string& pid) {
    std::array<char, 64> name{};
    const ssize_t size =
        ::readlink(host.at(fmt::format("/proc/{}/ns/net", pid)).c_str(), name.data(), name.size());
    return std::string(name.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  };
  networks.insert(network("self"));
  for (const auto& [name, unit] : seen.units.value_or(UnitsSeen{})) {
    if (unit.pid.empty() || !networks.insert(network(unit.pid)).second) continue;
    const std::string of = fmt::format("--net=/proc/{}/ns/net", unit.pid);
    out += said_by(tools, {"nsenter", of, "ss", "-xpHn"}).value_or("");
  }
  return out;
}

std::optional<std::vector<PeerSeen>> peers_of(const Observation& seen, Tools& tools, const Tree& host) {
  const auto text = said_by(tools, {"ss", "-xpHn"});
  if (!text) return {};
  std::vector<PeerSeen> out;
  auto connections = parse_connections(*text + sockets_of_all(seen, host, tools), kHostRun);
  if (!connections) return {};
  for (Connection& each : *connections) {
    if (each.pid == std::to_string(::getpid())) continue;
    std::string unit = unit_of_cgroup(text_of(host, fmt::format("/proc/{}/cgroup", each.pid)));
    out.push_back({.connection = std::move(each), .unit = std::move(unit)});
  }
  return out;
}

// The network of the host's first process: this one may have another.
std::optional<std::string> proc_net(const Tree& host, std::string_view name) {
  const auto seen = host.read(fmt::format("/proc/1/net/{}", name));
  if (!seen || !*seen) return {};
  return (*seen)->text;
}

std::uint32_t hex(std::string_view digits) {
  std::uint32_t out = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), out, 16);
  return out;
}

// 127.0.0.0/8, also as an IPv6 address, and ::1 as /proc/net prints them: words in the machine's order.
bool loopback(std::string_view address) {
  constexpr std::string_view kMapped = "0000000000000000FFFF0000";
  if (address == "00000000000000000000000001000000") return true;
  return (address.size() == 8 || address.starts_with(kMapped)) && address.ends_with("7F");
}

// From here on the kernel gives ports to whoever asks for any.
std::uint32_t first_free_port(const Tree& host) {
  const auto range = number(text_of(host, "/proc/sys/net/ipv4/ip_local_port_range"));
  return range ? static_cast<std::uint32_t>(*range) : 32'768;
}

void look_at_network(Observation& out, const Tree& host) {
  const auto v4 = proc_net(host, "udp"), v6 = proc_net(host, "udp6");
  if (v4) {
    const std::uint32_t below = first_free_port(host);
    out.open_udp = parse_udp(*v4, below);
    if (v6) out.open_udp->merge(parse_udp(*v6, below));
  }
  const auto routes = proc_net(host, "route"), routes6 = proc_net(host, "ipv6_route");
  if (routes) out.routed = parse_routes(*routes, routes6.value_or(""));
  constexpr std::string_view kId = "\nID=";
  const std::string release = "\n" + text_of(host, "/usr/lib/os-release");
  if (const std::size_t at = release.find(kId); at != release.npos) {
    const std::size_t begin = at + kId.size();
    out.system = release.substr(begin, release.find('\n', begin) - begin);
  }
}

}  // namespace

// The 22nd field, in ticks; the second is the program's name in parentheses, which may hold anything.
std::optional<double> began(std::string_view stat) {
  constexpr std::size_t kAfterName = 19;
  const std::size_t name = stat.rfind(')');
  if (name == stat.npos) return {};
  const auto fields = split(stat.substr(name + 1), ' ');
  const auto ticks = fields.size() > kAfterName ? number(fields[kAfterName]) : std::nullopt;
  if (!ticks) return {};
  return *ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

UnitsSeen parse_units(std::string_view text) {
  UnitsSeen out;
  std::string id;
  UnitSeen seen;
  const auto keep = [&] {
    if (!id.empty()) out[id] = seen;
    id.clear();
    seen = {};
  };
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) keep();
    const std::size_t equals = std::min(line.find('='), line.size());
    const std::string_view key = line.substr(0, equals);
    const std::string value(line.substr(std::min(equals + 1, line.size())));
    if (key == "Id") id = value;
    if (key == "MainPID" && value != "0") seen.pid = value;
    if (key == "ActiveState") {
      seen.state = value;
      seen.active = value == "active" || value == "reloading";
    }
  }
  keep();
  return out;
}

// Num RefCount Protocol Flags Type St Inode Path; the flag 00010000 says that somebody listens. Datagram
// sockets (type 0002) have no such flag: being bound is all they do.
std::set<std::string> parse_unix(std::string_view text) {
  std::set<std::string> out;
  for (const auto line : split(text, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() < 8 || !words[7].starts_with('/')) continue;
    if (words[3] == "00010000" || words[4] == "0002") out.emplace(words[7]);
  }
  return out;
}

std::set<std::uint16_t> parse_tcp(std::string_view text) {
  std::set<std::uint16_t> out;
  for (const auto line : split(text, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() < 4 || words[3] != "0A") continue;  // listening
    const std::size_t colon = words[1].find(':');
    if (colon == words[1].npos || loopback(words[1].substr(0, colon))) continue;
    out.insert(static_cast<std::uint16_t>(hex(words[1].substr(colon + 1))));
  }
  return out;
}

std::set<std::uint16_t> parse_udp(std::string_view text, std::uint32_t below) {
  std::set<std::uint16_t> out;
  for (const auto line : split(text, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() < 4 || words[3] != "07") continue;  // bound, and to nobody's answers alone
    const std::size_t colon = words[1].find(':');
    if (colon == words[1].npos || loopback(words[1].substr(0, colon))) continue;
    const std::uint32_t port = hex(words[1].substr(colon + 1));
    if (port < below) out.insert(static_cast<std::uint16_t>(port));
  }
  return out;
}

// The interface is the first word of the one and the last of the other, whose flags stand before it: 0200 is
// a route that refuses.
std::set<std::string> parse_routes(std::string_view ipv4, std::string_view ipv6) {
  std::set<std::string> out;
  for (const auto line : split(ipv4, '\n')) {
    const auto words = split(line, '\t');
    if (words.size() > 3 && words[0] != "Iface") out.emplace(words[0].substr(0, words[0].find(' ')));
  }
  for (const auto line : split(ipv6, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() == 10 && !words[0].starts_with("fe80") && !words[0].starts_with("ff") &&
        (hex(words[8]) & 0x0200U) == 0)
      out.emplace(words[9]);
  }
  out.erase("lo");
  return out;
}

std::optional<bool> parse_table(std::string_view text) {
  const auto json = codec::parse_json(text, {.bytes_max = 16U << 20});
  const codec::Json* list = json ? json->find("nftables") : nullptr;
  if (list == nullptr || list->as_array() == nullptr) return {};
  for (const codec::Json& each : *list->as_array()) {
    const codec::Json* chain = each.find("chain");
    const codec::Json* policy = chain != nullptr ? chain->find("policy") : nullptr;
    const codec::Json* hook = chain != nullptr ? chain->find("hook") : nullptr;
    if (hook != nullptr && policy != nullptr && hook->as_string() != nullptr && *hook->as_string() == "input")
      return policy->as_string() != nullptr && *policy->as_string() == "drop";
  }
  return false;
}

std::map<std::string, std::int64_t> parse_counters(std::string_view text) {
  std::map<std::string, std::int64_t> out;
  const auto json = codec::parse_json(text, {.bytes_max = 16U << 20});
  const codec::Json* list = json ? json->find("nftables") : nullptr;
  if (list == nullptr || list->as_array() == nullptr) return out;
  for (const codec::Json& each : *list->as_array()) {
    const codec::Json* counter = each.find("counter");
    const codec::Json* name = counter != nullptr ? counter->find("name") : nullptr;
    const codec::Json* packets = counter != nullptr ? counter->find("packets") : nullptr;
    if (name != nullptr && name->as_string() != nullptr && packets != nullptr)
      out[*name->as_string()] = packets->as_int().value_or(0);
  }
  return out;
}

// The first field is the source's id; 7F7F0101 is the machine's own clock, which says "Normal" all the same.
std::optional<bool> parse_tracking(std::string_view text) {
  const auto fields = split(text, ',');
  if (fields.size() < 4) return {};
  return fields[0] != "00000000" && fields[0] != "7F7F0101";
}

Observation observe(const Machine& machine, Tools& tools, const Tree& host, Units* bus) {
  Observation out;
  look_at_units(out, machine, tools, bus);
  out.nginx = nginx_of(out, tools, host);
  if (out.nginx) out.nginx_stale = stale_file(out, host);
  out.peers = peers_of(out, tools, host);
  if (const auto text = proc_net(host, "unix")) out.unix_sockets = parse_unix(*text);
  const auto v4 = proc_net(host, "tcp"), v6 = proc_net(host, "tcp6");
  if (v4) {
    out.open_tcp = parse_tcp(*v4);
    if (v6) out.open_tcp->merge(parse_tcp(*v6));
  }
  look_at_network(out, host);
  if (machine.config.host.firewall) {
    const auto said = tools.run({"nft", "-j", "list", "table", "inet", "headrace"});
    if (said && said->code == 0) {
      out.firewall = parse_table(said->text);
      out.counters = parse_counters(said->text);
    }
    if (said && said->code != 0 && said->text.contains("No such file")) out.firewall = false;
  }
  if (machine.keeps_time()) {
    if (const auto text = said_by(tools, {"chronyc", "-c", "tracking"}))
      out.synchronised = parse_tracking(*text);
  }
  return out;
}

}  // namespace hr::host
