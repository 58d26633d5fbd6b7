// The answer of an application as bytes on a connection: judges what the application says, adds what is the
// server's, and decides the framing. Pure: the caller sends. A header that could end its line early is
// refused, and no more bytes than Content-Length announces are let through.
#pragma once

#include "base/result.h"
#include "codec/header_field.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hr::web {

// What of the request decides about the answer.
struct AnswerTo {
  bool head = false;  // the method is HEAD
  bool http_1_0 = false;
  bool keep_alive = true;
};

class Answer {
 public:
  explicit Answer(AnswerTo to) : to_(to), close_(!to.keep_alive) {}

  // `status` is "200 OK". May be called again as long as nothing was sent. kInvalid says what is wrong.
  Status start(ByteView status, codec::HeaderFields headers, ByteView date);

  // What to send for the next `bytes` of the body: `before`, then the first `bytes` of them, then `after`.
  // `last`: nothing follows. `close`: say that the connection ends, whatever the request asked for.
  struct Piece {
    std::string before;
    std::size_t bytes = 0;
    std::string_view after;
  };
  Piece next(std::size_t bytes, bool last, bool close);

  bool started() const { return started_; }
  bool sent() const { return framing_ != Framing::kOpen; }
  int status() const { return status_; }
  bool ended() const { return ended_; }
  // After the end: whether the peer can tell where the answer ends, and another may follow.
  bool reusable() const { return ended_ && !close_ && missing() == 0; }
  // Bytes announced and not given; bytes given and not announced.
  std::uint64_t missing() const { return framing_ == Framing::kLength ? left_ : 0; }
  std::uint64_t excess() const { return excess_; }
  std::uint64_t body_bytes() const { return body_bytes_; }  // sent so far

 private:
  enum class Framing : std::uint8_t { kOpen, kNone, kLength, kChunked, kUntilClose };

  Status take(const codec::HeaderField& field);
  void decide(std::size_t bytes, bool last);
  std::string head() const;

  AnswerTo to_;
  int status_ = 0;
  bool started_ = false;
  bool ended_ = false;
  bool close_ = false;
  bool app_closes_ = false;
  Framing framing_ = Framing::kOpen;
  std::optional<std::uint64_t> length_;  // announced
  std::uint64_t left_ = 0;
  std::uint64_t excess_ = 0;
  std::uint64_t body_bytes_ = 0;
  std::string lines_;  // status line and the headers that stay as they are
};

std::string_view reason_phrase(int status);  // of the statuses that the server itself gives

// The whole answer to a request that no application sees, or whose application failed; ends the connection.
std::string plain_answer(int status, ByteView text, ByteView date);

}  // namespace hr::web
