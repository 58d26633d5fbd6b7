#include "host/render/accounts.h"

#include <fmt/format.h>

#include <string>

namespace hr::host {
namespace {

std::string sysusers(const Machine& machine) {
  const Config& config = machine.config;
  std::string out = fmt::format(R"(# Made from {} by `headrace host apply`: a change here does not last.
g {} -
u headrace-store - "Headrace store"
u headrace-api - "Headrace task API"
u {} - "Headrace application"
)",
                                config.file, kSharedGroup, machine.app_user);
  if (!config.host.operators.empty()) out += fmt::format("g {} -\n", config.host.operators);
  return out;
}

std::string tmpfiles(const Machine& machine) {
  const char* log_user = machine.facts.ubuntu ? "syslog" : "root";
  return fmt::format(R"(# Made from {} by `headrace host apply`: a change here does not last.
d {} 0755 root root -
d {} 0750 {} adm -
d {} 0755 root root -
)",
                     machine.config.file, kHostRun, kLogFolder, log_user, kHostState);
}

}  // namespace

std::vector<File> render_accounts(const Machine& machine) {
  return {{.path = "/etc/sysusers.d/headrace.conf", .text = sysusers(machine)},
          {.path = "/etc/tmpfiles.d/headrace.conf", .text = tmpfiles(machine)}};
}

}  // namespace hr::host
