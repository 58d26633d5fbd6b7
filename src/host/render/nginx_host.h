// nginx's configuration for a whole host, as text: port 80 sends to 443; TLS; the application workers behind
// their sockets; limits for each address; security headers; records to rsyslog. Pure; fits the nginx and the
// OpenSSL that the facts name, and is checked with `nginx -t` before it is used.
#pragma once

#include "host/machine.h"
#include "host/render/file.h"

namespace hr::host {

File render_nginx_host(const Machine& machine);

}  // namespace hr::host
