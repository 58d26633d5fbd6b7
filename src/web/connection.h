// One connection with the bytes it has sent ahead. Owned by the loop while it waits, by the request while one
// is worked on.
#pragma once

#include "base/time.h"
#include "net/buffer.h"
#include "os/linux/fd.h"
#include "web/environ.h"

#include <cstdint>

namespace hr::web {

enum class Phase : std::uint8_t {
  kIdle,    // no byte of a request
  kHead,    // part of a head
  kLinger,  // answered for good; what still comes is read and dropped
};

struct Connection {
  os::Fd fd;
  Peer peer;
  net::Buffer in;
  std::size_t scanned = 0;  // of a head that is not complete (HeadParser)
  std::uint64_t skip = 0;   // bytes of an answered request's body that are still to come
  Phase phase = Phase::kIdle;
  Nanos deadline{};  // boottime
};

}  // namespace hr::web
