#include "host/render/sandbox.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace hr::host {
namespace {

// What no service on this host needs, its own or the distribution's.
constexpr std::string_view kNobodyNeeds = R"(NoNewPrivileges=yes
ProtectSystem=strict
PrivateTmp=yes
PrivateDevices=yes
PrivateMounts=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
KeyringMode=private
DevicePolicy=closed
)";

constexpr std::string_view kOurs = R"(PrivateIPC=yes
RemoveIPC=yes
ProtectKernelLogs=yes
ProtectProc=invisible
CapabilityBoundingSet=
AmbientCapabilities=
UMask=0077
SystemCallFilter=@system-service
)";

bool in_a_home(const std::string& path) {
  return std::ranges::any_of(std::initializer_list<std::string_view>{"/home/", "/root/", "/run/user/"},
                             [&](std::string_view home) { return path.starts_with(home); });
}

}  // namespace

std::string sandbox_lines(const Sandbox& sandbox) {
  std::string out(kNobodyNeeds);
  out += kOurs;
  out += fmt::format("SystemCallFilter=~@privileged{}\n", sandbox.nice ? "" : " @resources");
  if (!sandbox.jit) out += "MemoryDenyWriteExecute=yes\n";
  if (!sandbox.proc) out += "ProcSubset=pid\n";
  if (!sandbox.sees_users) out += "PrivateUsers=yes\n";
  std::vector<std::string> homes;
  std::ranges::copy_if(sandbox.shown, std::back_inserter(homes), in_a_home);
  out += homes.empty() ? "ProtectHome=yes\n" : "ProtectHome=tmpfs\n";
  for (const std::string& path : homes) out += fmt::format("BindReadOnlyPaths={}\n", path);
  for (const std::string& path : sandbox.writable)
    out += fmt::format("{}={}\n", in_a_home(path) ? "BindPaths" : "ReadWritePaths", path);
  if (!sandbox.internet) out += network_lines(Network::kNone);
  return out;
}

// Addresses of the cloud's metadata service, which hands out the host's own credentials, are nobody's
// business.
std::string network_lines(Network network, bool credentials) {
  if (network == Network::kNone)
    return "PrivateNetwork=yes\nRestrictAddressFamilies=AF_UNIX\nIPAddressDeny=any\n";
  std::string out = "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n";
  if (!credentials) out += "IPAddressDeny=169.254.169.254 fd00:ec2::254\n";
  return out;
}

// The master stays root: it binds ports, reads the key, becomes www-data, signals its workers.
std::string nginx_sandbox() {
  return std::string(kNobodyNeeds) + R"(PrivateIPC=yes
RemoveIPC=yes
ProtectHome=read-only
ProtectKernelLogs=yes
ProtectProc=invisible
ProcSubset=pid
MemoryDenyWriteExecute=yes
UMask=0027
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_KILL CAP_CHOWN CAP_DAC_OVERRIDE
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallFilter=@system-service
SystemCallFilter=~@resources
SystemCallFilter=setrlimit prlimit64
IPAddressDeny=169.254.169.254 fd00:ec2::254
ReadWritePaths=/run /var/lib/nginx /var/log/nginx
)";
}

// It reads the kernel's log and writes files of root and of its own user. Never ~@resources: rsyslog 8.2302
// then stays active and writes nothing.
std::string rsyslog_sandbox() {
  return std::string(kNobodyNeeds) + R"(PrivateIPC=yes
RemoveIPC=yes
ProtectHome=yes
MemoryDenyWriteExecute=yes
UMask=0027
CapabilityBoundingSet=CAP_SYSLOG CAP_SETUID CAP_SETGID CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallFilter=@system-service
IPAddressDeny=169.254.169.254 fd00:ec2::254
ReadWritePaths=/run /var/log /var/spool/rsyslog
)";
}

}  // namespace hr::host
