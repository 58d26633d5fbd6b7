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
    if (unit == "headrace.target" || unit == kFirewallUnit || unit == "headrace-confirm.service" ||
        !unit_changed(changes, unit))
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

// systemd takes these over from a file while the service runs.
std::string without_what_a_reload_brings(std::string_view unit) {
  std::string out;
  while (!unit.empty()) {
    const std::string_view line = unit.substr(0, unit.find('\n'));
    unit.remove_prefix(std::min(line.size() + 1, unit.size()));
    const bool brought =
        line.starts_with('#') || line.starts_with("After=") || line.starts_with("TimeoutStopSec=");
    if (!brought) out.append(line).push_back('\n');
  }
  return out;
}

// A restart closes ports 80 and 443 until the longest request has ended. Of a file that is the same again,
// nobody knows what systemd has loaded.
bool nginx_must_restart(const std::vector<Change>& changes) {
  return std::ranges::any_of(changes, [](const Change& each) {
    if (!each.path.contains("/nginx.service.d/")) return false;
    return each.before == each.after ||
           without_what_a_reload_brings(each.before) != without_what_a_reload_brings(each.after);
  });
}

}  // namespace

std::vector<std::vector<std::string>> activation_of(const Machine& machine,
                                                    const std::vector<Change>& changes,
                                                    const std::vector<std::string>& running) {
  std::vector<std::vector<std::string>> out;
  const auto add = [&](std::vector<std::string> command) { out.push_back(std::move(command)); };
  const auto own = own_units(machine);
  const auto is_gone = [&](const std::string& unit) { return std::ranges::find(own, unit) == own.end(); };
  // Its table goes with it only while systemd still knows what its file said.
  if (std::ranges::find(running, kFirewallUnit) != running.end() && is_gone(std::string(kFirewallUnit)))
    add({"systemctl", "stop", std::string(kFirewallUnit)});
  add({"systemd-sysusers", "/etc/sysusers.d/headrace.conf"});
  add({"systemd-tmpfiles", "--create", "/etc/tmpfiles.d/headrace.conf"});
  add({"systemctl", "daemon-reload"});
  if (changed(changes, "/journald.conf.d/")) add({"systemctl", "restart", "systemd-journald.service"});
  if (changed(changes, "/rsyslog.")) add({"systemctl", "restart", "rsyslog.service"});
  if (changed(changes, "/chrony")) add({"systemctl", "restart", "chrony.service"});
  if (machine.config.host.firewall && changed(changes, "/headrace/nftables.nft"))
    add({"systemctl", "reload-or-restart", std::string(kFirewallUnit)});
  std::vector<std::string> gone = {"systemctl", "--no-block", "stop"};
  for (const std::string& unit : running)
    if (unit != kFirewallUnit && is_gone(unit)) gone.push_back(unit);
  if (gone.size() > 3) add(std::move(gone));
  // Without waiting: a pool may take as long as its longest task to hand over.
  std::vector<std::string> again = {"systemctl", "--no-block", "try-restart"};
  for (std::string& unit : changed_units(machine, changes)) again.push_back(std::move(unit));
  if (again.size() > 3) add(std::move(again));
  if (nginx_must_restart(changes)) {
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
          {"systemctl", "try-restart", "systemd-journald.service"},
          {"systemctl", "try-restart", "rsyslog.service", "chrony.service", "nginx.service"}};
}

}  // namespace hr::host
