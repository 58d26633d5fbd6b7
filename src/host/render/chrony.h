// chrony's whole configuration: EC2's link-local clock there, a pool elsewhere, or the server that was named.
// A file of its own beside the distribution's, because sources must not be mixed: EC2's clock smears leap
// seconds, others step. Pure; checked with `chronyd -p`.
#pragma once

#include "host/machine.h"
#include "host/render/file.h"

#include <vector>

namespace hr::host {

std::vector<File> render_chrony(const Machine& machine);  // none where host.time is "off"

}  // namespace hr::host
