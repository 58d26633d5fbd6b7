// The socket that roles send READY=1 and WATCHDOG=1 to (sd_notify(3)), and the question that is asked of a
// role that sends nothing: an HTTP request on its own socket, whose first byte of an answer is enough.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "os/linux/fd.h"

#include <optional>
#include <string>
#include <string_view>

namespace hr {

struct Notice {
  int pid = 0;  // of the sender, as the kernel says
  bool ready = false;
  bool alive = false;
  int main_pid = 0;  // another process stands for the service from now on; 0: not said
};

// The assignments of one datagram.
Notice read_notice(std::string_view text);

class NotifySocket {
 public:
  static Result<NotifySocket> open(const std::string& path);
  int fd() const { return fd_.get(); }
  std::optional<Notice> take();  // none: nothing is waiting

 private:
  explicit NotifySocket(os::Fd fd) : fd_(std::move(fd)) {}
  os::Fd fd_;
};

// Asks again and again until it is answered. Never waits.
class Probe {
 public:
  Probe(int listening_socket, std::string path);  // of the request

  // Goes on as far as it can; true once there is an answer.
  bool step(Time now);
  int fd() const { return fd_.get(); }  // -1: between two tries
  short events() const;                 // what poll should wait for
  Time again_at() const { return again_at_; }

 private:
  void begin();
  void failed(Time now);

  int listening_;
  std::string request_;
  os::Fd fd_;
  bool sent_ = false;
  Time again_at_{};
};

}  // namespace hr
