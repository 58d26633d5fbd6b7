#include "host/render/host.h"

#include "host/render/accounts.h"
#include "host/render/chrony.h"
#include "host/render/nftables.h"
#include "host/render/nginx_host.h"
#include "host/render/polkit.h"
#include "host/render/rsyslog.h"
#include "host/render/systemd.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hr::host {

namespace {

// What roles read: it changes, and goes back, together with the units that name it.
File applied_config(const Machine& machine) {
  const std::string& text = machine.facts.config_text;
  const std::string& file = machine.config.file;
  const std::string_view gap = text.ends_with('\n') ? "" : "\n";
  return {.path = std::string(kAppliedConfig),
          .text = fmt::format("{}{}{}{}\n", text, gap, kPathsBegin, file.substr(0, file.rfind('/')))};
}

}  // namespace

std::vector<File> render_host(const Machine& machine) {
  std::vector<File> out = render_systemd(machine);
  out.push_back(render_nginx_host(machine));
  for (auto part : {render_logging(machine), render_chrony(machine), render_polkit(machine),
                    render_nftables(machine), render_accounts(machine)}) {
    for (File& file : part) out.push_back(std::move(file));
  }
  if (!machine.facts.config_text.empty()) out.push_back(applied_config(machine));
  std::ranges::sort(out, {}, &File::path);
  return out;
}

}  // namespace hr::host
