#include "headrace/host_checks.h"

#include "host/certificate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <unistd.h>

namespace hr {
namespace {

Result<host::Stand> certificate_for(const HostGround& ground, std::string_view path,
                                    std::string_view key_path) {
  HR_ASSIGN(const auto certificate, ground.tree->read(path));
  HR_ASSIGN(const auto key, ground.tree->read(key_path));
  if (certificate && key) return host::Stand{.certificate = certificate->text, .key = key->text};
  HR_ASSIGN(auto made,
            host::make_self_signed(ground.machine.config.site.names, ground.clock->wall(), *ground.entropy));
  return host::Stand{.certificate = std::move(made.certificate), .key = std::move(made.key)};
}

}  // namespace

Result<std::vector<Finding>> run_checks(const HostGround& ground) {
  std::string folder = "/tmp/headrace-check-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) return fail(Errc::kIo, "/tmp: no folder can be made");
  std::vector<Finding> out;
  {
    HR_ASSIGN(const host::Tree scratch, host::Tree::open(folder));
    HR_ASSIGN(host::Stand stand, certificate_for(ground, host::certificate_of(ground.machine),
                                                 host::certificate_key_of(ground.machine)));
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

Status check_ssh(const HostGround& ground) {
  if (!ground.live() || !ground.machine.config.host.firewall) return {};
  const auto said = ground.tools->run({"sshd", "-T"});
  if (!said || said->code != 0) return {};
  std::string_view text = said->text;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.starts_with("port ")) continue;
    const std::string port(line.substr(5));
    const bool open = std::ranges::any_of(ground.machine.config.host.ssh,
                                          [&](std::uint32_t each) { return std::to_string(each) == port; });
    if (!open)
      return fail(Errc::kInvalid,
                  fmt::format("{}: sshd listens on port {}, which the firewall would close; add it",
                              place_of(ground.machine.config, "host.ssh"), port));
  }
  return {};
}

}  // namespace hr
