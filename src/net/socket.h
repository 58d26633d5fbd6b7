// Sockets as the server needs them: listening ones for every kind of address, and what the peer of an
// accepted one is. Everything is non-blocking and closed on exec.
#pragma once

#include "base/result.h"
#include "net/http.h"
#include "net/server.h"

#include <cstdint>
#include <string>

namespace hr::net {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();

  int get() const { return fd_; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_ = -1;
};

struct Listening {
  Fd fd;
  std::uint16_t port = 0;       // 0: not TCP
  std::string unlink_on_close;  // path of a unix socket made here
};

Result<Listening> listen_on(const ListenAddress& address);

// Of an accepted connection.
Peer peer_of(int fd);

}  // namespace hr::net
