#include "host/render/chrony.h"

#include <fmt/format.h>

#include <string>

namespace hr::host {
namespace {

std::string sources(const Machine& machine) {
  const std::string& time = machine.config.host.time;
  if (time == "ec2" || (time == "auto" && machine.facts.ec2))
    return "# It smears leap seconds: no other source beside it, and no list of leap seconds.\n"
           "server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4\n";
  const std::string leap = "leapsectz right/UTC\n";
  if (time == "auto" || time == "pool")
    return fmt::format("pool {} iburst maxsources 4\n",
                       machine.facts.ubuntu ? "ntp.ubuntu.com" : "2.debian.pool.ntp.org") +
           leap;
  return fmt::format("server {} iburst\n", time) + leap;
}

}  // namespace

std::vector<File> render_chrony(const Machine& machine) {
  if (!machine.keeps_time()) return {};
  return {{.path = "/etc/chrony/headrace.conf",
           .text = fmt::format("# Made from {} by `headrace host apply`: a change here does not last.\n",
                               machine.config.file) +
                   sources(machine) + R"(keyfile /etc/chrony/chrony.keys
driftfile /var/lib/chrony/chrony.drift
ntsdumpdir /var/lib/chrony
logdir /var/log/chrony
maxupdateskew 100.0
rtcsync
makestep 1 3
)"}};
}

}  // namespace hr::host
