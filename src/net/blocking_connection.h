// One blocking HTTP/1.1 connection over TCP, TLS or a unix socket, every wait of which has a deadline: for
// threads without a reactor (the Python module, the search for credentials). `Interrupt` is asked twice a
// second, and when a signal cuts a wait short, whether somebody wants to break off.
#pragma once

#include "base/result.h"
#include "codec/http_response.h"
#include "net/endpoint.h"
#include "net/tls.h"

#include <chrono>
#include <memory>
#include <string_view>
#include <utility>

namespace hr::net {

using Deadline = std::chrono::steady_clock::time_point;
using Interrupt = bool (*)();  // true: break off

class BlockingConnection {
 public:
  // `tls` is needed where the endpoint says so. kUnavailable: nobody answers there; kTimeout.
  static Result<BlockingConnection> open(const Endpoint& endpoint, const std::shared_ptr<TlsContext>& tls,
                                         Deadline deadline, Interrupt interrupt);

  BlockingConnection(BlockingConnection&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), pipe_(std::move(other.pipe_)) {}
  BlockingConnection& operator=(BlockingConnection&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(pipe_, other.pipe_);
    return *this;
  }
  BlockingConnection(const BlockingConnection&) = delete;
  BlockingConnection& operator=(const BlockingConnection&) = delete;
  ~BlockingConnection();

  // False: the peer has closed it, or sent what nobody asked for.
  bool usable();

  // kClosed: the connection broke; what became of the request is told by the two functions below.
  Result<codec::Response> exchange(std::string_view head, std::string_view body, codec::ResponseParser parser,
                                   Deadline deadline, Interrupt interrupt);

  bool sent_any() const { return sent_any_; }          // of the last request
  bool answer_began() const { return answer_began_; }  // to the last request

 private:
  explicit BlockingConnection(int fd) : fd_(fd) {}

  static Result<BlockingConnection> open_unix(const std::string& path, Deadline deadline,
                                              Interrupt interrupt);
  static Result<BlockingConnection> open_tcp(const Endpoint& endpoint, Deadline deadline,
                                             Interrupt interrupt);
  static Result<BlockingConnection> open_address(int family, const void* address, unsigned bytes,
                                                 Deadline deadline, Interrupt interrupt);
  Status shake_hands(Deadline deadline, Interrupt interrupt);
  Status send(std::string_view head, std::string_view body, Deadline deadline, Interrupt interrupt);
  Status send_raw(std::string_view head, std::string_view body, Deadline deadline, Interrupt interrupt);
  Result<std::size_t> receive(std::span<char> out, Deadline deadline, Interrupt interrupt);  // 0: the end
  Result<std::size_t> receive_raw(std::span<char> out, Deadline deadline, Interrupt interrupt);
  Status wait(short events, Deadline deadline, Interrupt interrupt) const;

  int fd_ = -1;
  std::unique_ptr<TlsPipe> pipe_;  // null: plain
  bool sent_any_ = false;
  bool answer_began_ = false;
};

}  // namespace hr::net
