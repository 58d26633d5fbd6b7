// One blocking HTTP connection over TCP or a unix socket, every wait of which has a deadline. Knows nothing
// of Python but that somebody may want to break off: `Interrupt` is asked twice a second, and when a signal
// cuts a wait short.
#pragma once

#include "base/result.h"
#include "codec/http_response.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace hr::python {

// "http://127.0.0.1:9324", "http://[::1]:9324", "unix:/run/headrace/store.sock".
struct Endpoint {
  std::string text;  // as it was given
  std::string host, port;
  std::string path;         // of a unix socket; empty: TCP
  std::string host_header;  // what requests name
};
Result<Endpoint> parse_endpoint(std::string_view text);

using Deadline = std::chrono::steady_clock::time_point;
using Interrupt = bool (*)();  // true: break off

class Connection {
 public:
  // kUnavailable: nobody answers there; kTimeout.
  static Result<Connection> open(const Endpoint& endpoint, Deadline deadline, Interrupt interrupt);

  Connection(Connection&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Connection& operator=(Connection&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // False: the peer has closed it, or sent what nobody asked for.
  bool usable() const;

  // kClosed: the connection broke; what became of the request is told by the two functions below.
  Result<codec::Response> exchange(std::string_view head, std::string_view body, codec::ResponseParser parser,
                                   Deadline deadline, Interrupt interrupt);

  bool sent_any() const { return sent_any_; }          // of the last request
  bool answer_began() const { return answer_began_; }  // to the last request

 private:
  explicit Connection(int fd) : fd_(fd) {}

  static Result<Connection> open_unix(const std::string& path, Deadline deadline, Interrupt interrupt);
  static Result<Connection> open_address(int family, const void* address, unsigned bytes, Deadline deadline,
                                         Interrupt interrupt);
  Status send(std::string_view head, std::string_view body, Deadline deadline, Interrupt interrupt);
  Status wait(short events, Deadline deadline, Interrupt interrupt) const;

  int fd_ = -1;
  bool sent_any_ = false;
  bool answer_began_ = false;
};

}  // namespace hr::python
