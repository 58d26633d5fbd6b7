// Users, groups and folders: sysusers.d and tmpfiles.d. Each part runs as a user of its own; one shared group
// reaches the sockets. Folders that others could write are never made. Pure; checked by both tools.
#pragma once

#include "host/machine.h"
#include "host/render/file.h"

#include <vector>

namespace hr::host {

std::vector<File> render_accounts(const Machine& machine);

}  // namespace hr::host
