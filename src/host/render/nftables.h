// The firewall as a table of its own: everything that comes in is dropped but ssh, the site's ports, and what
// the network itself needs. Replacing the table is one transaction and touches nobody else's. Pure; checked
// with `nft -c`.
#pragma once

#include "host/machine.h"
#include "host/render/file.h"

#include <vector>

namespace hr::host {

std::vector<File> render_nftables(const Machine& machine);  // none where host.firewall is false

// Every TCP port that is open, in ascending order.
std::vector<std::uint32_t> open_ports(const Machine& machine);

}  // namespace hr::host
