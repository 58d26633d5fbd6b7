#include "host/activate.h"

#include "host/render/systemd.h"

#include <algorithm>
#include <set>

namespace hr::host {
namespace {

constexpr std::string_view kUnits = "/etc/systemd/system/";

bool changed(const std::vector<Change>& changes, std::string_view part) {
  return std::ranges::any_of(changes, [&](const Change& each) { return each.path.contains(part); });
}

// Whether a file of this unit changed: its own, its template's, or a drop-in of either.
bool unit_changed(const std::vector<Change>& changes, const std::string& unit) {
  std::string base = unit;
  if (const std::size_t sign = unit.find('@'); sign != unit.npos)
    base = unit.substr(0, sign + 1) + unit.substr(unit.rfind('.'));
  return std::ranges::any_of(changes, [&](const Change& each) {
    if (!each.path.starts_with(kUnits)) return false;
    const std::string_view name = std::string_view(each.path).substr(kUnits.size());
    return name == unit || name == base || name.starts_with(unit + ".d/") || name.starts_with(base + ".d/");
  });
}

std::vector<std::string> changed_units(const Machine& machine, const std::vector<Change>& changes) {
  std::set<std::string> chosen;
  for (const std::string& unit : own_units(machine)) {
    if (unit == "headrace.target" || unit == "headrace-firewall.service" ||
        unit == "headrace-confirm.service" || !unit_changed(changes, unit))
      continue;
    chosen.insert(unit);
    // A socket is not replaced under its running service.
    if (unit.ends_with(".socket")) chosen.insert(unit.substr(0, unit.size() - 6) + "service");
  }
  std::vector<std::string> out;
  for (const std::string& unit : own_units(machine))
    if (chosen.contains(unit)) out.push_back(unit);
  return out;
}

}  // namespace

std::vector<std::vector<std::string>> activation_of(const Machine& machine,
                                                    const std::vector<Change>& changes,
                                                    const std::vector<std::string>& running) {
  std::vector<std::vector<std::string>> out = {
      {"systemd-sysusers", "/etc/sysusers.d/headrace.conf"},
      {"systemd-tmpfiles", "--create", "/etc/tmpfiles.d/headrace.conf"},
      {"systemctl", "daemon-reload"},
  };
  const auto add = [&](std::vector<std::string> command) { out.push_back(std::move(command)); };
  if (changed(changes, "/journald.conf.d/")) add({"systemctl", "restart", "systemd-journald.service"});
  if (changed(changes, "/rsyslog.")) add({"systemctl", "restart", "rsyslog.service"});
  if (changed(changes, "/chrony")) add({"systemctl", "restart", "chrony.service"});
  if (machine.config.host.firewall && changed(changes, "/headrace/nftables.nft"))
    add({"systemctl", "reload-or-restart", "headrace-firewall.service"});
  std::vector<std::string> gone = {"systemctl", "--no-block", "stop"};
  const auto own = own_units(machine);
  for (const std::string& unit : running)
    if (std::ranges::find(own, unit) == own.end()) gone.push_back(unit);
  if (gone.size() > 3) add(std::move(gone));
  // Without waiting: a pool may take as long as its longest task to hand over.
  std::vector<std::string> again = {"systemctl", "--no-block", "try-restart"};
  for (std::string& unit : changed_units(machine, changes)) again.push_back(std::move(unit));
  if (again.size() > 3) add(std::move(again));
  if (changed(changes, "/nginx.service.d/")) {
    add({"systemctl", "restart", "nginx.service"});
  } else if (changed(changes, "/headrace/nginx.conf")) {
    add({"systemctl", "reload-or-restart", "nginx.service"});
  }
  add({"systemctl", "--no-block", "start", "headrace.target"});
  return out;
}

std::vector<std::vector<std::string>> deactivation() {
  return {{"systemctl", "stop", "headrace.target", "headrace-firewall.service"},
          {"systemctl", "daemon-reload"},
          {"systemctl", "try-restart", "rsyslog.service", "chrony.service", "nginx.service"}};
}

}  // namespace hr::host
