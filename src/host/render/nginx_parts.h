// Pieces of nginx's configuration that `up` and a host have in common: the access log's record, the ciphers,
// the headers for the application. Text for the inside of an http or server block. Pure.
#pragma once

#include "base/time.h"

#include <string>

namespace hr::host {

std::string nginx_log_format();                       // maps and log_format "headrace"; for http
std::string nginx_upgrade_map();                      // $connection_upgrade; for http
std::string nginx_tls();                              // protocols, ciphers, sessions; for server
std::string nginx_proxy(Duration application_limit);  // headers and patience; for server

}  // namespace hr::host
