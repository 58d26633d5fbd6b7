// Names to addresses, by the system's own resolver: for threads that may wait.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace hr::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
};
using Addresses = std::vector<SocketAddress>;  // in the order in which they are to be tried

// Of a host that is a numeric address; none: it is a name.
std::optional<Addresses> numeric_address(const std::string& host, std::uint16_t port);

// Blocks for a name. kUnavailable: it has no address, or nobody answers.
Result<Addresses> look_up(const std::string& host, std::uint16_t port);

}  // namespace hr::net
