// rsyslog's part: a socket of Headrace's own (RFC 5424 with structured data), its records in their own files
// as JSON lines, and on to another host over TLS when asked; with it journald's part, so that nothing is
// stored twice, and logrotate's. Pure; checked with `rsyslogd -N1` and `logrotate -d`.
#pragma once

#include "host/machine.h"
#include "host/render/file.h"

#include <vector>

namespace hr::host {

std::vector<File> render_logging(const Machine& machine);

}  // namespace hr::host
