// Every maximum and deadline of the application host's HTTP side, in one place.
#pragma once

#include "base/time.h"
#include "net/http_parser.h"

#include <cstddef>
#include <cstdint>

namespace hr::web {

struct Limits {
  net::HeadLimits head;                 // 414, 431
  std::size_t connections_max = 1'000;  // further ones wait in the kernel's queue
  Duration header_timeout = 10s;        // from a request's first byte to the end of its headers: 408
  Duration idle_timeout = 75s;          // between requests: longer than nginx keeps an upstream open (30 s)
  std::uint64_t body_bytes_max = 1ULL << 30;      // 413
  Duration body_stall_timeout = 30s;              // without one byte of the body: 408
  std::uint64_t body_bytes_per_second_min = 256;  // averaged over the time waited for the body: 408
  Duration body_rate_grace = 30s;                 // waited before that rate counts
  Duration write_stall_timeout = 30s;             // without one byte taken by the peer: closed
  Duration linger_timeout = 2s;  // how long a refused request is still read, so that its answer arrives
  std::uint64_t drain_bytes_max =
      65'536;                // of a body the application left; a longer one costs its connection
  Duration drain_idle = 1s;  // how long a stopping server still takes requests of open connections
};

}  // namespace hr::web
