// A file descriptor that closes itself, and errno as an Error.
#pragma once

#include "base/result.h"
#include "os/disk.h"

#include <string_view>
#include <unistd.h>
#include <utility>

namespace hr::os {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// "log.write of log/00000001.log failed: No space left on device".
std::unexpected<Error> system_error(int error, Label label, std::string_view path);

// Calls until the answer is not EINTR.
template <class Call>
auto retried(Call call) {
  for (;;) {
    const auto answer = call();
    if (answer != -1 || errno != EINTR) return answer;
  }
}

}  // namespace hr::os
