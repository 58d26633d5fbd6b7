// nginx's configuration for one site, as text: TLS and plain HTTP, the application workers behind a balancer,
// Headrace's own paths, an access log of JSON lines. Pure; fits the nginx it is told of. It is checked with
// `nginx -t` before it is used.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "codec/config.h"
#include "host/topology.h"

#include <array>
#include <string>
#include <string_view>

namespace hr::host {

struct NginxFacts {
  std::array<int, 3> version = {1, 22, 0};
  unsigned processors = 1;
  bool root = false;  // whether the master runs as root
};

// kInvalid: a path with a character that nginx's configuration gives a meaning.
Result<std::string> render_nginx(const Config& config, const Place& place, const NginxFacts& facts);

// From what `nginx -v` prints: "nginx version: nginx/1.22.1 (Ubuntu)".
Result<std::array<int, 3>> parse_nginx_version(std::string_view text);

}  // namespace hr::host
