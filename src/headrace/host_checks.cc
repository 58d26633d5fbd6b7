#include "headrace/host_checks.h"

#include "host/certificate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace hr {
namespace {

// What nginx is to read, or one of its kind where that is not there yet.
Result<host::Stand> certificate_for(const HostGround& ground) {
  const std::string path = host::certificate_of(ground.machine);
  const std::string key_path = host::certificate_key_of(ground.machine);
  HR_ASSIGN(const auto certificate, read_certificate(ground, path));
  HR_ASSIGN(const auto key, read_certificate(ground, key_path));
  if (certificate && key) return host::Stand{.certificate = certificate->text, .key = key->text};
  const Config& config = ground.machine.config;
  if (ground.live() && !config.site.certificate.empty())
    return fail(Errc::kInvalid,
                certificate ? fmt::format("{}: {} is not there", place_of(config, "site.key"), key_path)
                            : fmt::format("{}: {} is not there", place_of(config, "site.certificate"), path));
  HR_ASSIGN(auto made,
            host::make_self_signed(ground.machine.config.site.names, ground.clock->wall(), *ground.entropy));
  return host::Stand{.certificate = std::move(made.certificate), .key = std::move(made.key)};
}

// The port of the ssh session that started this program, also through sudo, which hides it; "" for none.
std::string session_port() {
  for (std::string pid = "self"; pid != "0";) {
    const std::string folder = fmt::format("/proc/{}/", pid);
    std::ifstream environ(folder + "environ", std::ios::binary), stat(folder + "stat");
    for (std::string each; std::getline(environ, each, '\0');)
      if (each.starts_with("SSH_CONNECTION=")) return each.substr(each.rfind(' ') + 1);
    std::string line;
    std::getline(stat, line);
    std::istringstream after_name(line.substr(std::min(line.rfind(')'), line.size() - 1) + 1));
    if (line.empty() || !(after_name >> line >> pid)) break;  // its state, its parent
  }
  return "";
}

std::vector<std::string> ssh_ports(host::Tools& tools) {
  std::vector<std::string> out;
  if (std::string port = session_port(); !port.empty()) out.push_back(std::move(port));
  const auto said = tools.run({"sshd", "-T"});
  if (!said || said->code != 0) return out;
  std::istringstream lines(said->text);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("port ")) out.push_back(line.substr(5));
  return out;
}

// Whoever is connected would be locked out.
void check_ssh(const HostGround& ground, std::vector<Finding>& out) {
  const Config& config = ground.machine.config;
  if (!ground.live() || !config.host.firewall) return;
  for (const std::string& port : ssh_ports(*ground.tools)) {
    const bool open = std::ranges::any_of(config.host.ssh,
                                          [&](std::uint32_t each) { return std::to_string(each) == port; });
    if (open) continue;
    out.push_back({"sshd", fmt::format("{}: ssh is used on port {}, which the firewall would close; add it",
                                       place_of(config, "host.ssh"), port)});
    return;
  }
}

// rsyslog itself says nothing of a driver that is not there, and sends nothing.
void check_forwarding(const HostGround& ground, std::vector<Finding>& out) {
  const Config& config = ground.machine.config;
  if (!ground.live() || config.host.logs_to.empty()) return;
  std::error_code ignored;
  for (const auto& each : std::filesystem::directory_iterator("/usr/lib", ignored))
    if (std::filesystem::exists(each.path() / "rsyslog" / "lmnsd_gtls.so", ignored)) return;
  out.push_back({"rsyslog", fmt::format("{}: rsyslog has no driver for TLS: apt-get install rsyslog-gnutls",
                                        place_of(config, "host.logs_to"))});
}

}  // namespace

Result<std::optional<host::Seen>> read_certificate(const HostGround& ground, std::string_view path) {
  const bool own = !ground.machine.config.site.certificate.empty();
  return own ? ground.tree->read_through_links(path) : ground.tree->read(path);
}

Result<std::vector<Finding>> run_checks(const HostGround& ground) {
  std::string folder = "/tmp/headrace-check-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) return fail(Errc::kIo, "/tmp: no folder can be made");
  std::vector<Finding> out;
  {
    HR_ASSIGN(const host::Tree scratch, host::Tree::open(folder));
    HR_ASSIGN(host::Stand stand, certificate_for(ground));
    const host::CheckGround on{.machine = ground.machine,
                               .files = ground.files,
                               .scratch = scratch,
                               .tools = *ground.tools,
                               .stand = std::move(stand)};
    for (const host::Check check : host::checks_of(ground.machine)) {
      const auto said = host::run_check(check, on);
      if (said && said->empty()) continue;
      const bool absent =
          !said && (said.error().code == Errc::kNotFound || said.error().code == Errc::kPermission);
      out.push_back({std::string(host::name_of(check)), said ? *said : said.error().message, absent});
    }
    HR_TRY(scratch.remove_all("/check"));
  }
  check_ssh(ground, out);
  check_forwarding(ground, out);
  ::rmdir(folder.c_str());
  return out;
}

bool acceptable(const HostGround& ground, const std::vector<Finding>& findings) {
  return std::ranges::all_of(findings, [&](const Finding& each) { return each.absent && !ground.live(); });
}

void print_findings(const std::vector<Finding>& findings) {
  for (const Finding& each : findings)
    fmt::print("{} {}: {}\n", each.absent ? "not asked:" : "refused by", each.check, each.says);
}

}  // namespace hr
