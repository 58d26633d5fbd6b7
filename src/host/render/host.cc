#include "host/render/host.h"

#include "host/render/accounts.h"
#include "host/render/chrony.h"
#include "host/render/nftables.h"
#include "host/render/nginx_host.h"
#include "host/render/polkit.h"
#include "host/render/rsyslog.h"
#include "host/render/systemd.h"

#include <algorithm>
#include <utility>

namespace hr::host {

std::vector<File> render_host(const Machine& machine) {
  std::vector<File> out = render_systemd(machine);
  out.push_back(render_nginx_host(machine));
  for (auto part : {render_logging(machine), render_chrony(machine), render_polkit(machine),
                    render_nftables(machine), render_accounts(machine)}) {
    for (File& file : part) out.push_back(std::move(file));
  }
  std::ranges::sort(out, {}, &File::path);
  return out;
}

}  // namespace hr::host
