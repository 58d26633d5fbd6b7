// Blocking reads and writes with a deadline on a descriptor that does not block: what a thread does that has
// taken a request. Thread-safe as far as the descriptor is.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "os/clock.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace hr::web {

// What is there now: 0 at the peer's end. kBusy: nothing yet. kClosed: the connection broke.
Result<std::size_t> receive_now(int fd, std::span<char> out);

// Waits for at least one byte; 0 at the peer's end. kTimeout, kClosed.
Result<std::size_t> receive(int fd, std::span<char> out, Duration stall);

// All of the three, in order. kTimeout: the peer took nothing for `stall`; kClosed.
struct Parts {
  std::string_view before, data, after;
};
Status send_all(int fd, Parts parts, Duration stall);

// `count` bytes of a file from `offset`. kTimeout, kClosed; kIo: the file ended earlier or cannot be sent.
Status send_file(int fd, int file, std::uint64_t offset, std::uint64_t count, Duration stall);

}  // namespace hr::web
