// What an nginx serves, read from its configuration as `nginx -T` prints it: addresses, names, and where it
// hands requests on. The same reader takes the file that Headrace renders, so the two can be compared. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace hr::host {

struct NginxSeen {
  std::set<std::string> listens;  // "0.0.0.0:443", "[::]:80"
  std::set<std::string> names;
  std::set<std::string> servers;  // of upstreams: "web unix:/run/headrace/web-1.sock"
  std::set<std::string> passes;   // "http://web"
  std::set<std::string> files;    // that nginx -T says it is in; none in a file itself
  bool operator==(const NginxSeen&) const = default;
};

// None: no configuration, or one that ends in the middle of a block or a quoted word.
std::optional<NginxSeen> parse_nginx(std::string_view text);

// The file that a master process runs with, by its command line: what follows -c. "" where nothing does.
std::string nginx_file(std::string_view command_line);

}  // namespace hr::host
