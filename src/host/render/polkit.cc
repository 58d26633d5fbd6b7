#include "host/render/polkit.h"

#include "host/render/systemd.h"

#include <fmt/format.h>

#include <string>

namespace hr::host {

std::vector<File> render_polkit(const Machine& machine) {
  const Config& config = machine.config;
  if (config.host.operators.empty()) return {};
  std::string units;
  for (const std::string& unit : own_units(machine)) {
    // Stopping the one opens the host, stopping the other keeps what nobody confirmed.
    if (unit == "headrace-firewall.service" || unit == "headrace-confirm.service") continue;
    units += fmt::format("    \"{}\",\n", unit);
  }
  return {{.path = "/etc/polkit-1/rules.d/50-headrace.rules",
           .text = fmt::format(R"(// Made from {} by `headrace host apply`: a change here does not last.
polkit.addRule(function (action, subject) {{
  var units = [
{}  ];
  var verbs = ["start", "stop", "restart", "try-restart", "reload", "reload-or-restart"];
  if (action.id === "org.freedesktop.systemd1.manage-units" && subject.isInGroup("{}") &&
      units.indexOf(action.lookup("unit")) >= 0 && verbs.indexOf(action.lookup("verb")) >= 0) {{
    return polkit.Result.YES;
  }}
  return polkit.Result.NOT_HANDLED;
}});
)",
                               config.file, units, config.host.operators)}};
}

}  // namespace hr::host
