#include "host/render/systemd.h"

#include "host/render/sandbox.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace hr::host {
namespace {

constexpr std::string_view kUnits = "/etc/systemd/system/";
constexpr Duration kWatchdog = 30s;

std::int64_t seconds(Duration duration) { return std::chrono::ceil<std::chrono::seconds>(duration).count(); }

template <class... Args>
void line(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
  out += '\n';
}

std::string heading(const Machine& machine) {
  return fmt::format("# Made from {} by `headrace host apply`: a change here does not last.\n",
                     machine.config.file);
}

File unit(const Machine& machine, std::string_view name, std::string text) {
  return {.path = std::string(kUnits) + std::string(name), .text = heading(machine) + std::move(text)};
}

std::string after_units(const Machine& machine, const Node& node) {
  std::vector<std::string> units;
  for (const std::string& name : node.after) units.push_back(ready_unit(machine, *machine.find(name)));
  return fmt::format("{}", fmt::join(units, " "));
}

// --- what runs before the roles

std::string target(const Machine& machine) {
  std::string out = "[Unit]\nDescription=Headrace and what it runs on\n";
  for (const Node& node : machine.nodes) {
    if (node.unit.empty() || node.kind == Kind::kWorker || node.kind == Kind::kWeb) continue;
    line(out, "Wants={}", node.unit);
  }
  for (const std::string& each : own_units(machine))
    if (each != "headrace.target" && each != "headrace-confirm.service" && each != "headrace-store.service" &&
        each != "headrace-api.service" && each != "headrace-firewall.service")
      line(out, "Wants={}", each);
  return out;
}

// A unit of our own: stopping nftables.service would empty the whole rule set, and leave the host open.
std::string firewall() {
  return R"([Unit]
Description=Headrace: the table of the firewall
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target
After=local-fs.target nftables.service systemd-sysusers.service
RefuseManualStop=no

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f /etc/headrace/nftables.nft
ExecReload=/usr/sbin/nft -f /etc/headrace/nftables.nft
ExecStop=/usr/sbin/nft delete table inet headrace
CapabilityBoundingSet=CAP_NET_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
RestrictAddressFamilies=AF_NETLINK AF_UNIX
RestrictNamespaces=yes
MemoryDenyWriteExecute=yes
)";
}

// chrony's own readiness says that it runs, not that it knows the time: this waits for a real source. A
// host without any comes up all the same, with a warning: its store is its own clock's.
std::string time_wait() {
  return R"([Unit]
Description=Headrace: the clock follows a source
After=chrony.service
Wants=chrony.service time-sync.target
Before=time-sync.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c '/usr/bin/chronyc -h 127.0.0.1,::1 waitsync 30 0.1 0.0 1 >/dev/null || \
  echo "<4>no source of time after 30 s: the clock may be wrong, see headrace doctor"'
TimeoutStartSec=60
DynamicUser=yes
)" + sandbox_lines({.internet = true}) +
         "RestrictAddressFamilies=AF_INET AF_INET6\nIPAddressAllow=localhost\nIPAddressDeny=any\n";
}

// Root's own, since it changes what root's files are; asked for by an apply with a window, and at each boot.
std::string confirm(const Machine& machine) {
  return fmt::format(R"([Unit]
Description=Headrace: goes back from an apply that nobody confirms
ConditionFileIsExecutable={0}
ConditionPathExists=/var/lib/headrace/host/confirm.json
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={0} host rollback --unless-confirmed --config {1}
Restart=on-failure
RestartSec=2s
TimeoutStopSec=infinity
CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER CAP_FSETID
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateNetwork=yes
ProtectHome=read-only
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
IPAddressDeny=any
)",
                     machine.facts.program, role_config(machine));
}

std::string slice(std::string_view what, std::string_view more) {
  return fmt::format("[Unit]\nDescription=Headrace: {}\n\n[Slice]\n{}", what, more);
}

// --- sockets

std::string socket(const std::string& description, const std::vector<std::string>& streams) {
  std::string out =
      fmt::format("[Unit]\nDescription=Headrace: {}\nPartOf=headrace.target\n\n[Socket]\n", description);
  for (const std::string& each : streams) line(out, "ListenStream={}", each);
  out += "SocketUser=root\n";
  line(out, "SocketGroup={}", kSharedGroup);
  out += "SocketMode=0660\nBacklog=1024\nRemoveOnStop=yes\n";
  return out;
}

std::vector<std::string> streams_of(const Node& node) {
  std::vector<std::string> out;
  for (const Socket& each : node.sockets)
    out.push_back(each.path.empty() ? address_text(each.tcp) : each.path);
  return out;
}

// --- services

struct Service {
  std::string description = {}, after = {}, requires_units = {}, type = "notify", user = {}, start = {};
  std::string folder = {};
  bool watched = true, keys = false, shared_group = true;
  Duration stop = 30s, begin = 2min;
  std::string more = {};  // further lines of [Service]
};

// Of a package that was removed its units stay: they are passed over then.
std::string service(const Service& what) {
  std::string out =
      fmt::format("[Unit]\nDescription=Headrace: {}\nPartOf=headrace.target\nConditionFileIsExecutable={}\n",
                  what.description, what.start.substr(0, what.start.find(' ')));
  line(out, "After={}", what.after);
  if (!what.requires_units.empty()) line(out, "Requires={}", what.requires_units);
  out += "StartLimitIntervalSec=0\n\n[Service]\n";
  line(out, "Type={}", what.type);
  line(out, "ExecStart={}", what.start);
  line(out, "User={}", what.user);
  if (what.shared_group) line(out, "Group={}", kSharedGroup);
  if (!what.folder.empty()) line(out, "WorkingDirectory={}", what.folder);
  // Exit code 2 is a mistake in the configuration: starting again does not mend it.
  out += "Restart=always\nRestartSec=1s\nRestartPreventExitStatus=2\n";
  if (what.watched) line(out, "WatchdogSec={}", seconds(kWatchdog));
  line(out, "TimeoutStartSec={}\nTimeoutStopSec={}", seconds(what.begin), seconds(what.stop));
  if (what.keys) line(out, "LoadCredential=keys.toml:{}", Paths(kHostState).keys());
  out += "LogRateLimitIntervalSec=0\n";  // a line for each request and job: none may be missing
  return out + what.more;
}

// Where AWS has one of the services, roles find both by the configuration, and keys as AWS's tools do.
bool all_here(const Machine& machine) {
  return machine.config.services.local_sqs && machine.config.services.local_s3;
}

std::string environment(const Machine& machine) {
  const Paths paths(kHostState);
  std::string out;
  line(out, "Environment=HEADRACE_CONFIG={}", role_config(machine));
  line(out, "Environment=HEADRACE_STATE={}", kHostState);
  if (all_here(machine)) {
    line(out, "Environment=HEADRACE_ENDPOINT=unix:{}", paths.store_socket());
    line(out, "Environment=HEADRACE_KEYS=%d/keys.toml");
    line(out, "Environment=HEADRACE_REGION={}", machine.config.store.region);
  }
  // Another configuration makes another unit, so that whoever reads it is started again.
  if (!machine.facts.config_digest.empty())
    line(out, "Environment=HEADRACE_CONFIG_DIGEST={}", machine.facts.config_digest);
  return out;
}

std::string start(const Machine& machine, std::string_view rest) {
  return fmt::format("{} {}", machine.facts.program, rest);
}

std::string store(const Machine& machine, const Node& node) {
  const Paths paths(kHostState);
  return service(
      {.description = "store of queues and objects",
       .after = after_units(machine, node) + " headrace-store.socket",
       .requires_units = "headrace-store.socket",
       .user = node.user,
       .start = start(machine, fmt::format("store --config {} --path {} --socket {}", role_config(machine),
                                           paths.store(), paths.store_socket())),
       .shared_group = false,
       .stop = node.stop_limit,
       .begin = 10min,
       .more = "Slice=headrace.slice\nStateDirectory=headrace/store\nStateDirectoryMode=0700\n"
               "SupplementaryGroups=" +
               std::string(kSharedGroup) + "\nOOMScoreAdjust=-500\nLimitNOFILE=131072\n" +
               sandbox_lines({.sees_users = true, .shown = {role_config(machine)}})});
}

std::string api(const Machine& machine, const Node& node) {
  return service({.description = "task API",
                  .after = after_units(machine, node) + " headrace-api.socket",
                  .requires_units = "headrace-api.socket",
                  .user = node.user,
                  .start = start(machine, "api --config " + role_config(machine)),
                  .keys = all_here(machine),
                  .stop = node.stop_limit,
                  .more = "Slice=headrace.slice\n" + environment(machine) +
                          sandbox_lines({.internet = !all_here(machine), .shown = {role_config(machine)}}) +
                          (all_here(machine) ? "" : network_lines(Network::kInternet, true))});
}

bool allows(const Config& config, std::string_view what) {
  return std::ranges::find(config.app.allow, what) != config.app.allow.end();
}

std::string user_sandbox(const Machine& machine) {
  const Config& config = machine.config;
  std::string out =
      "StateDirectory=headrace/app\nStateDirectoryMode=0700\nCacheDirectory=headrace\n"
      "Environment=HOME=/var/lib/headrace/app\n";
  Sandbox sandbox{.internet = true,
                  .jit = allows(config, "jit"),
                  .proc = allows(config, "proc"),
                  .nice = allows(config, "nice"),
                  .shown = {role_config(machine), config.app.root},
                  .writable = config.app.writable};
  if (config.app.python.contains('/')) sandbox.shown.push_back(config.app.python);
  return out + sandbox_lines(sandbox);
}

// A server of the user's own need not know systemd's protocol: it counts as ready when it was started.
std::string web(const Machine& machine, const Node& node) {
  const bool own = !machine.config.web.command.empty();
  return service({.description = "application worker %i",
                  .after = after_units(machine, node) + " headrace-web@%i.socket",
                  .requires_units = "headrace-web@%i.socket",
                  .type = own ? "exec" : "notify",
                  .user = node.user,
                  .start = start(machine, fmt::format("web --config {} --instance %i", role_config(machine))),
                  .folder = machine.config.app.root,
                  .watched = !own,
                  .keys = all_here(machine),
                  .stop = node.stop_limit,
                  .more = "Slice=headrace.slice\nKillMode=mixed\nSyslogIdentifier=headrace-web\n" +
                          environment(machine) + user_sandbox(machine) +
                          network_lines(node.network, !all_here(machine))});
}

std::string worker(const Machine& machine, const Node& node) {
  return service(
      {.description = "background workers of pool %i",
       .after = after_units(machine, node),
       .user = node.user,
       .start = start(machine, fmt::format("worker --config {} --pool %i --control {}/worker-%i/control.sock",
                                           role_config(machine), kHostRun)),
       .folder = machine.config.app.root,
       .keys = all_here(machine),
       .stop = 40s,
       .more = "ExecReload=/bin/kill -HUP $MAINPID\n"
               "Slice=headrace-worker.slice\nKillMode=mixed\nSyslogIdentifier=headrace-worker\n"
               "RuntimeDirectory=headrace/"
               "worker-%i\nRuntimeDirectoryMode=0750\nOOMScoreAdjust=300\nOOMPolicy=continue\n" +
               environment(machine) + user_sandbox(machine)});
}

// What one pool has of its own. The command again, since only this pool knows how long it may take to stop.
std::string pool(const Machine& machine, const Node& node, const PoolConfig& config) {
  std::string out = "[Service]\nExecStart=\n";
  line(out, "ExecStart={}",
       start(machine,
             fmt::format("worker --config {} --pool %i --control {}/worker-%i/control.sock --drain {}ms",
                         role_config(machine), kHostRun, config.drain.count())));
  line(out, "TimeoutStopSec={}", seconds(node.stop_limit));
  if (node.memory_bytes != 0) line(out, "MemoryMax={}", node.memory_bytes);
  if (node.cpu_percent != 0) line(out, "CPUQuota={}%", node.cpu_percent);
  return out + network_lines(node.network, !all_here(machine));
}

// --- drop-ins for the distribution's services

std::string nginx(const Machine& machine, const Node& node) {
  std::string out = "[Unit]\n";
  line(out, "After={}", after_units(machine, node));
  out +=
      "\n[Service]\nExecStartPre=\nExecStart=\nExecReload=\nExecStop=\nType=forking\nPIDFile=/run/"
      "nginx.pid\n";
  for (const char* each :
       {"ExecStartPre={} -t -q", "ExecStart={}", "ExecReload={} -t -q", "ExecReload={} -s reload"})
    line(out, fmt::runtime(each), "/usr/sbin/nginx -c /etc/headrace/nginx.conf");
  out += "KillSignal=SIGQUIT\nKillMode=mixed\nRestart=on-failure\nRestartSec=1s\nLimitNOFILE=65536\n";
  line(out, "TimeoutStopSec={}", seconds(node.stop_limit));
  return out + nginx_sandbox();
}

std::string rsyslog() { return "[Service]\nRestart=always\nRestartSec=1s\n" + rsyslog_sandbox(); }

std::string chrony() {
  return "[Service]\nExecStart=\nExecStart=!/usr/sbin/chronyd $DAEMON_OPTS -f /etc/chrony/headrace.conf\n"
         "Restart=on-failure\nRestartSec=1s\n";
}

}  // namespace

std::vector<std::string> own_units(const Machine& machine) {
  std::vector<std::string> out = {"headrace.target", "headrace-confirm.service"};
  if (machine.config.host.firewall) out.push_back("headrace-firewall.service");
  if (machine.keeps_time()) out.push_back("headrace-time.service");
  for (const Node& node : machine.nodes) {
    if (!node.unit.starts_with("headrace-") || node.kind == Kind::kFirewall) continue;
    if (node.kind != Kind::kWorker) out.push_back(node.unit.substr(0, node.unit.rfind('.')) + ".socket");
    out.push_back(node.unit);
  }
  return out;
}

std::string ready_unit(const Machine&, const Node& node) {
  return node.kind == Kind::kTime ? "headrace-time.service" : node.unit;
}

std::vector<File> render_systemd(const Machine& machine) {
  std::vector<File> out;
  const auto add = [&](std::string_view name, std::string text) {
    out.push_back(unit(machine, name, std::move(text)));
  };
  add("multi-user.target.d/headrace.conf", "[Unit]\nWants=headrace.target headrace-confirm.service\n");
  add("headrace.target", target(machine));
  add("headrace-confirm.service", confirm(machine));
  add("headrace.slice",
      slice("everything", "CPUAccounting=yes\nMemoryAccounting=yes\nTasksAccounting=yes\n"));
  add("headrace-worker.slice",
      slice("background workers, after those who answer", "CPUWeight=50\nIOWeight=50\n"));
  if (machine.config.host.firewall) add("headrace-firewall.service", firewall());
  if (machine.keeps_time()) add("headrace-time.service", time_wait());
  add("rsyslog.service.d/headrace.conf", rsyslog());
  if (machine.keeps_time()) add("chrony.service.d/headrace.conf", chrony());
  for (const Node& node : machine.nodes) {
    if (node.kind == Kind::kStore) {
      add("headrace-store.socket", socket("sockets of the store", streams_of(node)));
      add("headrace-store.service", store(machine, node));
    } else if (node.kind == Kind::kApi) {
      add("headrace-api.socket", socket("socket of the task API", streams_of(node)));
      add("headrace-api.service", api(machine, node));
    } else if (node.kind == Kind::kNginx) {
      add("nginx.service.d/headrace.conf", nginx(machine, node));
    }
  }
  if (const auto webs = machine.of(Kind::kWeb); !webs.empty()) {
    add("headrace-web@.socket",
        socket("socket of application worker %i", {std::string(kHostRun) + "/web-%i.sock"}));
    add("headrace-web@.service", web(machine, *webs.front()));
  }
  const auto workers = machine.of(Kind::kWorker);
  if (!workers.empty()) add("headrace-worker@.service", worker(machine, *workers.front()));
  for (const Node* node : workers) {
    for (const PoolConfig& each : machine.config.pools)
      if (node->name == "worker-" + each.name)
        add(node->unit + ".d/headrace.conf", pool(machine, *node, each));
  }
  return out;
}

}  // namespace hr::host
