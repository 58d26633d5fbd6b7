// A request head as the variables of a CGI-like environment (PEP 3333, RFC 3875). Pure. Names with
// underscores are dropped: two headers would become one variable, and the sender could pass one off as the
// other.
#pragma once

#include "net/http_parser.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hr::web {

// Who is on the other end. A peer on a unix socket is the reverse proxy, whose X-Forwarded headers are taken.
struct Peer {
  bool local = false;
  std::string address;     // numeric; "" for a unix socket
  std::uint16_t port = 0;  // 0 for a unix socket
};

struct Variable {
  std::string name;
  std::string value;  // bytes, to be read as Latin-1
  bool operator==(const Variable&) const = default;
};

struct Environ {
  std::vector<Variable> variables;  // each name once
  std::string_view scheme;          // "http" or "https"; a literal
  net::Refusal refusal;             // status 0: none
};

// Refused with 400: an escape in the path that is none, or that stands for the byte 0.
Environ make_environ(const net::ParsedHead& head, const Peer& peer);

// The id of a request: kept from outside if it is 8 to 64 of [A-Za-z0-9-].
bool valid_request_id(std::string_view id);

}  // namespace hr::web
