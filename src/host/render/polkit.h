// polkit's rule: one group of operators may start, stop, restart and reload Headrace's own units, and nothing
// else; no unit files, no signals, no properties, no other units. Pure; plain ECMAScript 5, which every
// polkit since 0.106 runs.
#pragma once

#include "host/machine.h"
#include "host/render/file.h"

#include <vector>

namespace hr::host {

std::vector<File> render_polkit(const Machine& machine);  // none without host.operators

}  // namespace hr::host
