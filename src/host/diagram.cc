#include "host/diagram.h"

#include "host/render/nginx_host.h"
#include "host/render/systemd.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace hr::host {
namespace {

// The worse of two: what is drawn for several things at once.
State worse(State a, State b) {
  const auto rank = [](State each) {
    return each == State::kMissing ? 3 : each == State::kUnknown ? 2 : each == State::kStranger ? 1 : 0;
  };
  return rank(a) >= rank(b) ? a : b;
}

State state_of(const std::optional<bool>& seen) {
  if (!seen) return State::kUnknown;
  return *seen ? State::kThere : State::kMissing;
}

struct Evidence {
  State state = State::kThere;
  std::string observed = {};
  std::vector<Count> counts = {};
};

class Drawer {
 public:
  Drawer(const Machine& machine, const Observation& seen)
      : machine_(machine),
        seen_(seen),
        nginx_(parse_nginx(render_nginx_host(machine).text).value_or(NginxSeen{})) {}

  std::vector<Diagram> all() {
    return {architecture(), process_flow(), dependencies(), network(), deployment()};
  }

 private:
  // --- evidence

  Evidence unit(const std::string& name) const {
    if (!seen_.units) return {State::kUnknown, "systemd could not be asked"};
    const auto found = seen_.units->find(name);
    if (found == seen_.units->end()) return {State::kMissing, name + " is not loaded"};
    const UnitSeen& of = found->second;
    return {of.active ? State::kThere : State::kMissing,
            fmt::format("{} {}{}{}", name, of.state, of.pid.empty() ? "" : ", pid ", of.pid)};
  }

  Evidence node(const Node& of) const { return of.unit.empty() ? Evidence{} : unit(of.unit); }

  Evidence nodes(std::initializer_list<Kind> kinds) const {
    Evidence out;
    for (const Node& each : machine_.nodes) {
      if (std::ranges::find(kinds, each.kind) == kinds.end()) continue;
      out = both(out, node(each));
    }
    return out;
  }

  static Evidence both(const Evidence& a, const Evidence& b) {
    const std::string_view gap = a.observed.empty() || b.observed.empty() ? "" : "; ";
    std::vector<Count> counts = a.counts;
    counts.insert(counts.end(), b.counts.begin(), b.counts.end());
    return {worse(a.state, b.state), fmt::format("{}{}{}", a.observed, gap, b.observed), std::move(counts)};
  }

  Evidence socket(const std::string& path) const {
    if (!seen_.unix_sockets) return {State::kUnknown, "sockets could not be read"};
    const bool there = seen_.unix_sockets->contains(path);
    return {there ? State::kThere : State::kMissing,
            fmt::format("{} {}", path, there ? "listens" : "does not listen")};
  }

  Evidence ports() const {
    if (!seen_.open_tcp) return {State::kUnknown, "sockets could not be read"};
    Evidence out;
    for (const HostPort* each : {&machine_.http, &machine_.https}) {
      if (each->loopback) continue;
      const bool there = seen_.open_tcp->contains(each->port);
      out = both(out, {there ? State::kThere : State::kMissing,
                       fmt::format("port {} {}", each->port, there ? "listens" : "does not listen")});
    }
    return out;
  }

  Evidence outside() const {
    if (!seen_.routed) return {State::kUnknown, "routes could not be read"};
    return {seen_.routed->empty() ? State::kMissing : State::kThere,
            seen_.routed->empty() ? "no route leads out"
                                  : fmt::format("routes by {}", fmt::join(*seen_.routed, ", "))};
  }

  Evidence system() const {
    if (!seen_.system) return {State::kUnknown, "os-release could not be read"};
    return {State::kThere, "os-release: " + *seen_.system};
  }

  Evidence files() const {
    if (!seen_.other_files) return {State::kUnknown, "files could not be compared"};
    if (seen_.other_files->empty()) return {State::kThere, "every file is as it says"};
    return {State::kMissing, fmt::format("not as it says: {}", fmt::join(*seen_.other_files, ", "))};
  }

  Evidence wall() const {
    const State state = state_of(seen_.firewall);
    std::vector<Count> packets;
    for (const auto& [name, count] : seen_.counters) packets.push_back({"packets", name, count});
    return both(
        unit("headrace-firewall.service"),
        {state, fmt::format("table inet headrace{}", state == State::kThere ? " drops by default" : ""),
         std::move(packets)});
  }

  // What nginx has in its files, and should have.
  Evidence served() const {
    if (!seen_.nginx) return {State::kUnknown, "nginx -T could not be asked"};
    std::string missing;
    for (const auto& [has, wants] :
         {std::pair(&seen_.nginx->listens, &nginx_.listens), std::pair(&seen_.nginx->names, &nginx_.names),
          std::pair(&seen_.nginx->servers, &nginx_.servers), std::pair(&seen_.nginx->passes, &nginx_.passes)})
      for (const std::string& each : *wants)
        if (!has->contains(each)) missing += ", " + each;
    if (!missing.empty()) return {State::kMissing, "nginx -T has no " + missing.substr(2)};
    if (!seen_.nginx_stale.empty())
      return {State::kUnknown, seen_.nginx_stale + " was changed since nginx loaded it"};
    return {State::kThere,
            fmt::format("nginx -T: listens on {}; serves {}", fmt::join(seen_.nginx->listens, ", "),
                        fmt::join(seen_.nginx->names, ", "))};
  }

  // That nginx hands requests on to an application worker.
  Evidence handed_on(const Node& to) const {
    const std::string& path = to.sockets.front().path;
    const Evidence there = both(both(node(to), socket(path)), connected(path));
    if (!seen_.nginx) return both(there, {State::kUnknown, "nginx -T could not be asked"});
    const bool has = seen_.nginx->servers.contains("web unix:" + path);
    return both(there, {has ? State::kThere : State::kMissing,
                        fmt::format("nginx -T {} it in upstream web", has ? "has" : "does not have")});
  }

  static std::string name_of_peer(const PeerSeen& peer) {
    return fmt::format("{} (pid {})", peer.unit.empty() ? peer.connection.program : peer.unit,
                       peer.connection.pid);
  }

  // Connections come and go: they are evidence, and change no state.
  Evidence connected(const std::string& path) const {
    std::set<std::string> names;
    if (seen_.peers)
      for (const PeerSeen& each : *seen_.peers)
        if (each.connection.socket == path) names.insert(name_of_peer(each));
    if (names.empty()) return {};
    return {State::kThere, fmt::format("connected to {}: {}", path, fmt::join(names, ", "))};
  }

  Evidence queues() const {
    if (!seen_.queues) return {State::kUnknown, "queues could not be asked"};
    Evidence out;
    for (const QueueSeen& each : *seen_.queues) {
      const std::string queue = "queue " + each.name;
      std::vector<Count> counts = {{queue, "waiting", each.waiting},
                                   {queue, "in_work", each.in_work},
                                   {queue, "delayed", each.delayed}};
      if (each.oldest_s) counts.push_back({queue, "oldest_s", *each.oldest_s});
      if (each.dead) counts.push_back({queue, "dead", *each.dead});
      out = both(out, {State::kThere, queue, std::move(counts)});
    }
    std::set<std::string> declared;
    for (const PoolConfig& pool : machine_.config.pools)
      declared.insert(pool.queues.begin(), pool.queues.end());
    for (const std::string& name : declared)
      if (std::ranges::find(*seen_.queues, name, &QueueSeen::name) == seen_.queues->end())
        out = both(out, {State::kMissing, fmt::format("there is no queue {}", name)});
    return out;
  }

  Evidence clock() const { return {state_of(seen_.synchronised), "chronyc tracking"}; }

  std::string declared(const Node& of) const {
    const std::string key = of.kind == Kind::kWeb ? "web.app"
                            : of.kind == Kind::kWorker
                                ? "worker." + of.name.substr(of.name.find('-') + 1) + ".modules"
                            : of.kind == Kind::kNginx  ? "site.names"
                            : of.kind == Kind::kTime   ? "host.time"
                            : of.kind == Kind::kPolicy ? "host.operators"
                                                       : "host.firewall";
    return place_of(machine_.config, key);
  }

  // --- drawing

  static void box(Diagram& to, std::string label, std::string group, Evidence evidence,
                  std::string declared = "") {
    to.boxes.push_back({std::move(label), std::move(group), evidence.state, std::move(declared),
                        std::move(evidence.observed), std::move(evidence.counts)});
  }

  static void arrow(Diagram& to, std::string from, std::string end, const Evidence& evidence) {
    to.arrows.push_back({std::move(from), std::move(end), evidence.state, evidence.observed});
  }

  static std::string application(const Node& of) {
    return "Application Worker " + of.name.substr(of.name.find('-') + 1);
  }

  std::vector<const Node*> webs() const { return machine_.of(Kind::kWeb); }

  // Units of ours that nobody declared, and run.
  void strangers(Diagram& to, const std::string& group, std::string_view prefix) const {
    if (!seen_.units) return;
    for (const auto& [name, of] : *seen_.units) {
      if (!name.starts_with(prefix) || !name.ends_with(".service") || !of.active) continue;
      if (std::ranges::find(machine_.nodes, name, &Node::unit) != machine_.nodes.end()) continue;
      box(to, name, group, {State::kStranger, fmt::format("{} {}, pid {}", name, of.state, of.pid)});
    }
  }

  Diagram architecture() const {
    Diagram out{.title = "System Architecture Diagram", .direction = "TB", .boxes = {}, .arrows = {}};
    const Evidence log = unit("rsyslog.service"), log_socket = socket(std::string(kLogSocket));
    box(out, "Web Server<br/>Nginx", "Web Layer", unit("nginx.service"),
        place_of(machine_.config, "site.names"));
    for (const Node* each : webs())
      box(out, application(*each), "Application Layer", node(*each), declared(*each));
    strangers(out, "Application Layer", "headrace-web@");
    box(out, "Logging<br/>Rsyslog", "System Services", log);
    if (machine_.keeps_time())
      box(out, "Time Sync<br/>Chrony", "System Services", unit("chrony.service"),
          place_of(machine_.config, "host.time"));
    if (!machine_.of(Kind::kPolicy).empty())
      box(out, "Policy Kit", "System Services", unit("polkit.service"),
          place_of(machine_.config, "host.operators"));
    for (const Node* each : webs()) arrow(out, "Web Server<br/>Nginx", application(*each), handed_on(*each));
    for (const Node* each : webs())
      arrow(out, application(*each), "Logging<br/>Rsyslog", both(log, log_socket));
    if (machine_.keeps_time())
      for (const Node* each : webs()) arrow(out, application(*each), "Time Sync<br/>Chrony", clock());
    return out;
  }

  Diagram process_flow() const {
    Diagram out{.title = "Process Flow Diagram", .direction = "TD", .boxes = {}, .arrows = {}};
    const Evidence target = unit("headrace.target");
    const Evidence ground = nodes({Kind::kFirewall, Kind::kLog, Kind::kTime, Kind::kPolicy, Kind::kStore});
    const Evidence web = nodes({Kind::kNginx, Kind::kApi}), apps = nodes({Kind::kWeb});
    const Evidence workers = nodes({Kind::kWorker});
    const bool has_workers = !machine_.of(Kind::kWorker).empty();
    box(out, "System Boot", "", target);
    box(out, "Init System", "", target);
    box(out, "Infrastructure Services", "", ground);
    box(out, "Web Services", "", web);
    if (machine_.has_web()) box(out, "Application Services", "", apps);
    if (has_workers) box(out, "Background Workers", "", workers);
    if (has_workers) box(out, "Task Processing", "", workers);
    arrow(out, "System Boot", "Init System", target);
    arrow(out, "Init System", "Infrastructure Services", ground);
    arrow(out, "Infrastructure Services", "Web Services", web);
    if (machine_.has_web()) arrow(out, "Infrastructure Services", "Application Services", apps);
    if (!has_workers) return out;
    arrow(out, "Web Services", "Background Workers", workers);
    if (machine_.has_web()) arrow(out, "Application Services", "Background Workers", workers);
    arrow(out, "Background Workers", "Task Processing", workers);
    return out;
  }

  Diagram dependencies() const {
    Diagram out{.title = "Service Dependency Diagram", .direction = "LR", .boxes = {}, .arrows = {}};
    const Evidence log = unit("rsyslog.service"), store = machine_.has_store()
                                                              ? unit("headrace-store.service")
                                                              : unit("headrace-api.service");
    box(out, "External Services", "External", outside());
    box(out, "Network", "Infrastructure", ports());
    box(out, "File System", "Infrastructure", store);
    box(out, "Logging", "Infrastructure", log);
    box(out, "Web Server", "Applications", unit("nginx.service"));
    for (const Node* each : webs())
      box(out, "Worker " + each->name.substr(4), "Applications", node(*each), declared(*each));
    arrow(out, "External Services", "Web Server", both(outside(), ports()));
    for (const Node* each : webs())
      arrow(out, "Web Server", "Worker " + each->name.substr(4), handed_on(*each));
    for (const Node* each : webs())
      arrow(out, "Worker " + each->name.substr(4), "Logging", both(log, socket(std::string(kLogSocket))));
    arrow(out, "Web Server", "Network", ports());
    for (const Node* each : webs())
      arrow(out, "Worker " + each->name.substr(4), "File System", both(node(*each), store));
    return out;
  }

  Diagram network() const {
    Diagram out{.title = "Network Topology", .direction = "TB", .boxes = {}, .arrows = {}};
    const std::string server =
        fmt::format("Web Server<br/>Port {}/{}", machine_.http.port, machine_.https.port);
    const Evidence nginx = unit("nginx.service"), apps = nodes({Kind::kWeb}),
                   workers = nodes({Kind::kWorker});
    const bool walled = machine_.config.host.firewall, has_workers = !machine_.of(Kind::kWorker).empty();
    box(out, "Internet", "", outside());
    box(out, "Load Balancer", "", nginx);
    box(out, server, "", both(both(nginx, ports()), served()), place_of(machine_.config, "site.names"));
    if (machine_.has_web()) box(out, "Application Layer", "", apps);
    if (has_workers) box(out, "Worker Processes", "", workers);
    if (walled) box(out, "Firewall", "Security", wall(), place_of(machine_.config, "host.firewall"));
    box(out, "SSL/TLS", "Security", ports(), place_of(machine_.config, "site.tls"));
    open_ports_nobody_declared(out);
    served_and_not_declared(out);
    if (walled) arrow(out, "Internet", "Firewall", both(outside(), wall()));
    arrow(out, walled ? "Firewall" : "Internet", "SSL/TLS", walled ? ports() : both(outside(), ports()));
    arrow(out, "SSL/TLS", "Load Balancer", nginx);
    arrow(out, "Load Balancer", server, nginx);
    if (machine_.has_web()) arrow(out, server, "Application Layer", apps);
    if (has_workers && machine_.has_web())
      arrow(out, "Application Layer", "Worker Processes", both(workers, services(workers)));
    return out;
  }

  void open_ports_nobody_declared(Diagram& to) const {
    if (!seen_.open_tcp) {
      box(to, "Other ports", "Security", {State::kUnknown, "sockets could not be read"});
      return;
    }
    const auto& host = machine_.config.host;
    for (const std::uint16_t port : *seen_.open_tcp) {
      if (port == machine_.http.port || port == machine_.https.port) continue;
      if (std::ranges::find(host.ssh, port) != host.ssh.end()) continue;
      if (std::ranges::find(host.ports, port) != host.ports.end()) continue;
      box(to, fmt::format("Port {}", port), "Security",
          {State::kStranger, fmt::format("port {} listens", port)});
    }
    open_udp_nobody_declared(to);
  }

  void open_udp_nobody_declared(Diagram& to) const {
    if (!seen_.open_udp)
      return box(to, "Other UDP ports", "Security", {State::kUnknown, "sockets could not be read"});
    for (const std::uint16_t port : *seen_.open_udp) {
      if (port == 68 || port == 546) continue;  // where this host gets its own addresses
      box(to, fmt::format("UDP port {}", port), "Security",
          {State::kStranger, fmt::format("port {} is bound", port)});
    }
  }

  void served_and_not_declared(Diagram& to) const {
    if (!seen_.nginx) return;  // the web server's own box says that it is unknown
    for (const auto& [what, has, wants] : {std::tuple("listens on", &seen_.nginx->listens, &nginx_.listens),
                                           std::tuple("serves", &seen_.nginx->names, &nginx_.names),
                                           std::tuple("has upstream", &seen_.nginx->servers, &nginx_.servers),
                                           std::tuple("hands on to", &seen_.nginx->passes, &nginx_.passes)})
      for (const std::string& each : *has)
        if (!wants->contains(each))
          box(to, fmt::format("Nginx {} {}", what, each), "",
              {State::kStranger, fmt::format("nginx -T {} {}", what, each)});
  }

  // Units that are connected to a socket of ours without being part of this host as it was declared.
  void connected_and_not_declared(Diagram& to, const std::string& group) const {
    if (!seen_.peers) {
      box(to, "Other programs", group, {State::kUnknown, "ss could not be asked who is connected"});
      return;
    }
    std::map<std::string, std::set<std::string>> found;
    const auto own = own_units(machine_);
    for (const PeerSeen& each : *seen_.peers) {
      const bool declared = each.unit.empty() || std::ranges::find(own, each.unit) != own.end() ||
                            std::ranges::find(machine_.nodes, each.unit, &Node::unit) != machine_.nodes.end();
      if (!declared) found[each.unit].insert(each.connection.socket);
    }
    for (const auto& [unit, sockets] : found)
      box(to, unit, group,
          {State::kStranger, fmt::format("{} is connected to {}", unit, fmt::join(sockets, ", "))});
  }

  // The store here; where AWS has the services, that workers are ready: they are not before they reached it.
  Evidence services(const Evidence& code) const {
    if (!machine_.has_store()) return code;
    const std::string path = Paths(kHostState).store_socket();
    return both(both(unit("headrace-store.service"), socket(path)), connected(path));
  }

  Diagram deployment() const {
    Diagram out{.title = "Deployment Architecture", .direction = "TB", .boxes = {}, .arrows = {}};
    const Evidence target = unit("headrace.target"), code = nodes({Kind::kWeb, Kind::kWorker});
    const Evidence store = services(code);
    const std::string sqs = machine_.config.services.local_sqs ? "SQS, by the store" : "AWS SQS",
                      s3 = machine_.config.services.local_s3 ? "S3, by the store" : "AWS S3";
    const std::string host = machine_.facts.ec2 ? "EC2 Instance" : "Linux Host";
    const bool runs_code = machine_.has_web() || !machine_.of(Kind::kWorker).empty();
    box(out, machine_.facts.ubuntu ? "Ubuntu Linux" : "Debian Linux", host + ": System Layer", system());
    box(out, "Systemd Services", host + ": System Layer",
        both(target, {State::kThere, seen_.units ? "told by " + seen_.units_by : ""}));
    if (runs_code)
      box(out, "Python Runtime", host + ": Runtime Layer", code, place_of(machine_.config, "app.python"));
    box(out, "Nginx", host + ": Runtime Layer", unit("nginx.service"),
        place_of(machine_.config, "site.names"));
    if (runs_code) box(out, "Python Workers", host + ": Application Layer", code);
    box(out, "Configuration Files", host + ": Application Layer", files(), machine_.config.file);
    connected_and_not_declared(out, host + ": Application Layer");
    box(out, sqs, "Services", both(store, queues()));
    box(out, s3, "Services", store);
    if (!runs_code) return out;
    arrow(out, "Python Workers", sqs, both(code, store));
    arrow(out, "Python Workers", s3, both(code, store));
    arrow(out, "Nginx", "Python Workers", nodes({Kind::kNginx, Kind::kWeb}));
    arrow(out, "Systemd Services", "Python Workers", both(target, code));
    arrow(out, "Python Runtime", "Python Workers", code);
    return out;
  }

  const Machine& machine_;
  const Observation& seen_;
  const NginxSeen nginx_;  // as it was declared
};

}  // namespace

std::string_view name_of(State state) {
  switch (state) {
    case State::kThere:
      return "there";
    case State::kMissing:
      return "missing";
    case State::kStranger:
      return "stranger";
    case State::kUnknown:
      break;
  }
  return "unknown";
}

std::vector<Diagram> diagrams_of(const Machine& machine, const Observation& seen) {
  return Drawer(machine, seen).all();
}

bool drifted(const std::vector<Diagram>& diagrams) {
  const auto off = [](const auto& each) { return each.state != State::kThere; };
  return std::ranges::any_of(diagrams, [&](const Diagram& each) {
    return std::ranges::any_of(each.boxes, off) || std::ranges::any_of(each.arrows, off);
  });
}

}  // namespace hr::host
