// Every file of a host, from all renderers, in the order of their paths.
#pragma once

#include "host/machine.h"
#include "host/render/file.h"

#include <vector>

namespace hr::host {

std::vector<File> render_host(const Machine& machine);

}  // namespace hr::host
