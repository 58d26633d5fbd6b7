// One request in the hands of one thread: its head, its body by blocking reads, its answer by blocking
// writes. Owns the connection until finish() gives it back; destroyed before that, it closes it. Reads and
// writes fail with kTimeout (the peer is silent), kClosed (it is gone) and, for broken or oversized bodies,
// kInvalid and kLimit; body_refusal() then says what the peer should be told.
#pragma once

#include "base/result.h"
#include "codec/header_field.h"
#include "net/http_parser.h"
#include "web/answer.h"
#include "web/connection.h"
#include "web/environ.h"
#include "web/exchange.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hr::web {

class Request {
 public:
  // `head` was parsed from the beginning of the connection's bytes; they are used up here.
  Request(std::shared_ptr<Exchange> exchange, std::unique_ptr<Connection> connection,
          const net::ParsedHead& head, Environ environ);
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  ~Request();

  std::string_view method() const { return method_; }
  std::string_view path() const { return path_; }  // as sent, without the query
  const Environ& environ() const { return environ_; }
  std::string_view variable(std::string_view name) const;  // "" without it
  const Answer& answer() const { return answer_; }
  net::Refusal body_refusal() const { return body_refusal_; }
  bool broken() const { return broken_; }  // a write failed, or the request was expired
  bool open() const { return connection_ != nullptr; }

  // At least one byte of the body, at most out.size(); 0 at its end.
  Result<std::size_t> read(std::span<char> out);

  Status start(std::string_view status, codec::HeaderFields headers);
  // The head goes with the first bytes. `last`: nothing follows.
  Status send(ByteView data, bool last);
  Status send_file(int file, std::uint64_t offset, std::uint64_t count);
  // Instead of whatever was started, when nothing was sent yet.
  Status refuse(int status, ByteView text);

  // Never blocks. The connection goes back to the loop when its next request can be told from what is there,
  // else it is closed.
  void finish();

  // For a watcher, while the owner is inside no call of this object: answers 504 if nothing was sent, and
  // ends the connection. What the owner sends later fails with kClosed.
  void expire();
  // The same while the owner is inside a call: the connection ends.
  void cut() const;

 private:
  Status may_send() const;
  Result<std::size_t> body_bytes(std::span<char> out);
  Result<std::size_t> body_in_place(std::span<char> out);
  Result<std::size_t> from_peer(std::span<char> out);
  Status more_body();
  Status say_continue();
  std::unexpected<Error> body_failed(Error error, net::Refusal refusal);
  bool body_will_end() const;
  bool skip_body();
  void drop();
  std::string date() const;

  const std::shared_ptr<Exchange> exchange_;  // outlives the server: the owner may keep a request
  std::unique_ptr<Connection> connection_;
  std::string method_;
  std::string path_;
  Environ environ_;
  Answer answer_;
  net::BodyDecoder body_;
  bool by_length_ = false;
  bool expect_continue_ = false;
  bool counted_ = true;
  bool broken_ = false;
  net::Refusal body_refusal_;
  std::uint64_t body_received_ = 0;  // of the body
  std::uint64_t received_ = 0;       // with its framing, as far as it was waited for
  Nanos waited_{};                   // for the body
};

}  // namespace hr::web
