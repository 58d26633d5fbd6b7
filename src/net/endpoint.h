// Where a service is, as text and as its parts: "http://127.0.0.1:9324", "http://[::1]:9324",
// "https://sqs.eu-west-1.amazonaws.com", "unix:/run/headrace/store.sock". Pure.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace hr::net {

struct Endpoint {
  std::string unix_path;  // empty: TCP
  std::string host;       // a name or a numeric address, without brackets
  std::uint16_t port = 0;
  bool tls = false;
  std::string host_header;  // what requests name
  std::string text;         // as it was given

  bool operator==(const Endpoint&) const = default;
};

// kInvalid says what is wrong and how an endpoint is written.
Result<Endpoint> parse_endpoint(std::string_view text);

}  // namespace hr::net
