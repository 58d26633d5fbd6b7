// The HTTP/1.1 server: listeners on loopback TCP and unix sockets, one coroutine per connection, one handler
// for all. Refuses what could be read in two ways (RFC 9112 sections 6 and 11; docs/http.md lists the cases),
// before a handler sees it. Deadlines and limits: ServerLimits; each is answered with its own status.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "base/time.h"
#include "net/http.h"
#include "net/runtime.h"
#include "os/clock.h"
#include "os/entropy.h"

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace hr::net {

struct ServerLimits {
  std::size_t connections_max = 16'000;       // further ones wait in the kernel's queue
  std::size_t target_bytes_max = 8'192;       // 414
  std::size_t header_bytes_max = 16'384;      // request line and all headers: 431
  std::size_t header_line_bytes_max = 8'192;  // one header: 431
  std::size_t headers_max = 100;              // 431
  Duration header_timeout = 10s;      // from the first byte of a request to the end of its headers: 408
  Duration idle_timeout = 75s;        // between requests
  Duration body_stall_timeout = 30s;  // without one byte of the body: 408
  std::uint64_t body_bytes_per_second_min = 256;  // averaged over the time waited for the body: 408
  Duration body_rate_grace = 30s;                 // waited before that rate counts
  Duration write_stall_timeout = 30s;             // without one byte taken by the peer: closed
  Duration linger_timeout = 2s;  // how long a refused request is still read, so that its answer arrives
  std::uint64_t drain_bytes_max = 65'536;  // of a body no handler read; a longer one costs its connection
};

struct TcpAddress {
  std::string host;        // a numeric address
  std::uint16_t port = 0;  // 0: any free one
};
struct UnixAddress {
  std::string path;
  std::uint32_t mode = 0660;
};
struct PassedSocket {
  int descriptor = -1;  // a listening socket that the supervisor owns (LISTEN_FDS)
};
using ListenAddress = std::variant<TcpAddress, UnixAddress, PassedSocket>;

struct ServerStats {
  std::uint64_t accepted = 0, open = 0, requests = 0, refused = 0, timeouts = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::uint64_t responses_by_class[6] = {};  // [2]: 2xx ...
};

struct ServerState;

class Server {
 public:
  Server(Runtime& runtime, Handler& handler, const os::Clock& clock, os::Entropy& entropy, hr::Log diary,
         ServerLimits limits = {});
  ~Server();

  // kBusy: the address is in use; kPermission; kInvalid. A stale unix socket nobody listens on is replaced.
  Status listen(const ListenAddress& address);
  std::uint16_t port() const;  // of the first TCP listener
  // Stops accepting, lets running requests end (answers carry "Connection: close"), closes what remains at
  // the deadline.
  Task<void> drain(Duration deadline);
  ServerStats stats() const;

 private:
  std::shared_ptr<ServerState> state_;  // shared with its connections
};

}  // namespace hr::net
