#include "host/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <sys/un.h>
#include <utility>

namespace hr::host {
namespace {

constexpr std::string_view kAppUser = "headrace-app";
constexpr std::uint64_t kParentBytes = 256ULL << 20;  // of a pool's parent, beside its children

// systemd and tmpfiles split their lines at blanks and colons, and take no path that is not in normal form.
Status check_path(const Config& config, const std::string& key, const std::string& path) {
  if (path.empty()) return {};
  const bool plain = path.starts_with('/') && std::ranges::none_of(path, [](char c) {
                       return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f ||
                              std::string_view(";{}$%\"'`\\#*?[]<>|&():").contains(c);
                     });
  const std::string closed = path + "/";
  const bool normal =
      std::ranges::none_of(std::initializer_list<std::string_view>{"//", "/./", "/../"},
                           [&](std::string_view step) { return path != "/" && closed.contains(step); });
  if (plain && normal && path.size() <= 1'024) return {};
  return fail(
      Errc::kInvalid,
      fmt::format("{}: \"{}\": a host takes absolute paths in normal form of at most 1024 bytes, without "
                  "blanks, quotes and signs such as ; : {{ }} $ % *",
                  place_of(config, key), path));
}

Status check_paths(const Config& config) {
  HR_TRY(check_path(config, "the file", config.file));
  HR_TRY(check_path(config, "app.root", config.app.root));
  if (config.app.python.contains('/')) HR_TRY(check_path(config, "app.python", config.app.python));
  for (const std::string& path : config.app.writable) HR_TRY(check_path(config, "app.writable", path));
  HR_TRY(check_path(config, "site.certificate", config.site.certificate));
  HR_TRY(check_path(config, "site.key", config.site.key));
  HR_TRY(check_path(config, "site.files", config.site.files));
  HR_TRY(check_path(config, "host.logs_authority", config.host.logs_authority));
  return {};
}

// What only makes sense, or only is safe, on a host.
Status check_host(const Config& config) {
  const auto wrong = [&](const std::string& key, std::string_view what) {
    return fail(Errc::kInvalid, fmt::format("{}: {}", place_of(config, key), what));
  };
  if (config.host.firewall && config.host.ssh.empty())
    return wrong("host.ssh", "the firewall would lock ssh out; name its port");
  if (!config.host.logs_to.empty() && config.host.logs_authority.empty())
    return wrong("host.logs_to", "needs host.logs_authority, the PEM file of who vouches for that host");
  const std::string writable = "/var/lib/headrace";
  for (const std::string& path : config.app.writable)
    if (path == "/" || writable.starts_with(path))
      return wrong("app.writable", fmt::format("{} holds what belongs to the host", path));
  if (!has_store(config) && !config.site.store_names.empty())
    return wrong("site.store_names",
                 "[services] are AWS's: there is no store on this host to be made public");
  if (config.store.allow_remote)
    return wrong("store.allow_remote",
                 "a host's store listens on loopback; make it public with site.store_names");
  return {};
}

Result<HostPort> listen_of(const std::string& text, std::uint16_t port) {
  if (text.empty()) return HostPort{.host = "0.0.0.0", .port = port, .loopback = false};
  return parse_listen(text);
}

// --- nodes

std::vector<Node> ground_nodes(const Config& config) {
  std::vector<Node> out = {{.name = "internet", .kind = Kind::kOutside}};
  if (config.host.firewall)
    out.push_back(
        {.name = "firewall", .kind = Kind::kFirewall, .unit = "headrace-firewall.service", .user = "root"});
  out.push_back({.name = "rsyslog",
                 .kind = Kind::kLog,
                 .unit = "rsyslog.service",
                 .user = "root",
                 .sockets = {{.name = "log", .path = std::string(kLogSocket)}}});
  if (config.host.time != "off")
    out.push_back({.name = "chrony", .kind = Kind::kTime, .unit = "chrony.service", .user = "_chrony"});
  if (!config.host.operators.empty())
    out.push_back({.name = "polkit", .kind = Kind::kPolicy, .unit = "polkit.service", .user = "root"});
  return out;
}

std::vector<std::string> names_of(const std::vector<Node>& nodes) {
  std::vector<std::string> out;
  for (const Node& node : nodes)
    if (node.kind != Kind::kOutside) out.push_back(node.name);
  return out;
}

Node node_of(const Role& role, const Machine& machine, const std::vector<std::string>& ground) {
  Node out{.name = role.name,
           .sockets = role.sockets,
           .after = role.after.empty() ? ground : role.after,
           .command = role.command,
           .stop_limit = role.stop_limit};
  const std::size_t dash = role.name.find('-');
  const std::string kind = role.name.substr(0, dash), instance = role.name.substr(dash + 1);
  if (kind == "store") {
    out.kind = Kind::kStore;
    out.unit = "headrace-store.service";
    out.user = "headrace-store";
  } else if (kind == "nginx") {
    out.kind = Kind::kNginx;
    out.unit = "nginx.service";
    out.user = "www-data";
    out.command = {"/usr/sbin/nginx"};
    out.stop_limit = machine.config.web.timeout + 10s;
  } else if (kind == "api") {
    out.kind = Kind::kApi;
    out.unit = "headrace-api.service";
    out.user = "headrace-api";
  } else {
    const bool web = kind == "web";
    out.kind = web ? Kind::kWeb : Kind::kWorker;
    out.unit = fmt::format("headrace-{}@{}.service", kind, instance);
    out.user = machine.app_user;
    out.user_code = true;
  }
  return out;
}

void add_pool(Node& node, const PoolConfig& pool) {
  node.network = pool.network;
  if (pool.memory_bytes != 0) node.memory_bytes = pool.memory_bytes * pool.processes.most + kParentBytes;
  node.cpu_percent = pool.cpu_percent;
  node.sockets = {{.name = "control", .path = Paths(kHostState).worker_socket(pool.name)}};
}

// --- flows

void add_flows(Machine& machine) {
  const auto add = [&](std::string from, std::string to, std::string over) {
    machine.flows.push_back({std::move(from), std::move(to), std::move(over)});
  };
  const std::string ports = fmt::format("{}, {}", machine.http.port, machine.https.port);
  const bool wall = machine.config.host.firewall;
  if (wall) add("internet", "firewall", ports);
  add(wall ? "firewall" : "internet", "nginx", ports);
  const Paths paths(kHostState);
  for (const Node& node : machine.nodes) {
    const bool runs = !node.command.empty();
    if (node.kind == Kind::kWeb || node.kind == Kind::kApi)
      add("nginx", node.name, node.sockets.front().path);
    if (node.kind == Kind::kNginx && !machine.config.site.store_names.empty())
      add("nginx", "store", paths.store_socket());
    if (node.user_code || node.kind == Kind::kApi)
      add(node.name, machine.has_store() ? "store" : "internet",
          machine.has_store() ? paths.store_socket() : "443");
    if (runs) add(node.name, "rsyslog", std::string(kLogSocket));
    if (node.user_code && machine.keeps_time()) add(node.name, "chrony", "order");
  }
}

Status check_sockets(const Machine& machine) {
  for (const Node& node : machine.nodes) {
    for (const Socket& socket : node.sockets) {
      if (socket.path.size() >= sizeof(sockaddr_un{}.sun_path))
        return fail(Errc::kInvalid,
                    fmt::format("{}: {}: too long for a unix socket", machine.config.file, socket.path));
    }
  }
  return {};
}

}  // namespace

const Node* Machine::find(std::string_view name) const {
  const auto found = std::ranges::find(nodes, name, &Node::name);
  return found == nodes.end() ? nullptr : &*found;
}

std::vector<const Node*> Machine::of(Kind kind) const {
  std::vector<const Node*> out;
  for (const Node& node : nodes)
    if (node.kind == kind) out.push_back(&node);
  return out;
}

std::vector<std::string> Machine::credentialed() const {
  if (config.services.local_sqs && config.services.local_s3) return {};
  std::vector<std::string> out;
  for (const Node& node : nodes)
    if ((node.user_code || node.kind == Kind::kApi) && std::ranges::find(out, node.user) == out.end())
      out.push_back(node.user);
  return out;
}

std::string role_config(const Machine& machine) {
  return machine.facts.config_text.empty() ? machine.config.file : std::string(kAppliedConfig);
}

std::string certificate_of(const Machine& machine) {
  const std::string& own = machine.config.site.certificate;
  return own.empty() ? std::string(kEtc) + "/tls/cert.pem" : own;
}

std::string certificate_key_of(const Machine& machine) {
  const std::string& own = machine.config.site.key;
  return own.empty() ? std::string(kEtc) + "/tls/key.pem" : own;
}

Result<Machine> machine_of(const Config& config, const HostFacts& facts) {
  HR_TRY(check_paths(config));
  HR_TRY(check_host(config));
  Machine out{.config = config, .facts = facts};
  out.app_user = config.app.user.empty() ? std::string(kAppUser) : config.app.user;
  HR_ASSIGN(out.http, listen_of(config.site.http, 80));
  HR_ASSIGN(out.https, listen_of(config.site.https, 443));
  out.any_address = config.site.http.empty() && config.site.https.empty();
  Place place{.state = std::string(kHostState),
              .program = facts.program,
              .store = {},
              .http = out.http,
              .https = out.https};
  HR_ASSIGN(place.store, parse_listen(config.store.listen));
  const auto roles = topology_of(config, place);
  out.nodes = ground_nodes(config);
  const auto ground = names_of(out.nodes);
  for (const Role& role : roles) out.nodes.push_back(node_of(role, out, ground));
  for (Node& node : out.nodes) {
    if (node.kind == Kind::kApi && !out.has_store()) node.network = Network::kInternet;
    if (node.kind == Kind::kWeb) node.network = config.web.network;
    for (const PoolConfig& pool : config.pools)
      if (node.name == "worker-" + pool.name) add_pool(node, pool);
  }
  HR_TRY(check_sockets(out));
  add_flows(out);
  return out;
}

}  // namespace hr::host
