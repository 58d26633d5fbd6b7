// The framing of HTTP/1.1 requests: bytes to the views of one request head, then to the pieces of its body.
// Strict: what two readers could take in two ways is refused (RFC 9112 sections 2.2, 3, 5, 6, 7 and 11;
// docs/http.md lists the cases). No I/O; the caller owns the bytes, and views point into them.
#pragma once

#include "base/bytes.h"
#include "codec/header_field.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace hr::net {

struct HeadLimits {
  std::size_t target_bytes_max = 8'192;       // 414
  std::size_t header_bytes_max = 16'384;      // request line and all headers: 431
  std::size_t header_line_bytes_max = 8'192;  // one header: 431
  std::size_t headers_max = 100;              // 431
};

// Why a request is not answered by a handler.
struct Refusal {
  int status = 0;           // 0: not refused
  std::string_view reason;  // one line for the client; a literal
};

enum class BodyKind : std::uint8_t { kNone, kLength, kChunked };

struct ParsedHead {
  ByteView method;
  ByteView target;  // origin-form: path and query
  ByteView host;    // "" only in HTTP/1.0
  std::vector<codec::HeaderField> fields;
  std::uint64_t content_length = 0;
  std::size_t bytes = 0;  // of the head, with its empty line
  BodyKind body = BodyKind::kNone;
  bool http_1_0 = false;
  bool keep_alive = true;
  bool expect_continue = false;
};

enum class HeadState : std::uint8_t { kMore, kDone, kRefused };

// Keeps no bytes between calls, only capacity: one parser serves many connections.
class HeadParser {
 public:
  explicit HeadParser(HeadLimits limits) : limits_(limits) {}

  // `bytes`: everything received since the end of the last request. `scanned` remembers, per connection, how
  // far a head that is not complete was searched; it begins at 0 for each request.
  HeadState parse(ByteView bytes, std::size_t& scanned);

  const ParsedHead& head() const { return head_; }  // after kDone, as long as the bytes live
  Refusal refusal() const { return refusal_; }      // after kRefused

 private:
  struct Seen;  // which framing headers a head had

  bool refuse(int status, std::string_view reason);
  HeadState search(ByteView bytes, std::size_t& scanned);
  bool request_line(ByteView line);
  bool target(ByteView text);
  bool version(ByteView text);
  bool field(ByteView line, Seen& seen);
  bool framing_field(const codec::HeaderField& field, ByteView raw, Seen& seen);
  bool content_length(ByteView raw, Seen& seen);
  bool host(ByteView value, Seen& seen);
  bool finish(const Seen& seen);

  HeadLimits limits_;
  ParsedHead head_;
  ByteView authority_;  // of a target in absolute-form
  Refusal refusal_;
};

enum class BodyState : std::uint8_t {
  kMore,     // all input is used, and the body goes on
  kPiece,    // `piece` is the next part of the body
  kEnd,      // the body is complete; what follows is the next request
  kRefused,  // the framing is broken
};

// The body of one request. Chunk extensions and trailers are checked and dropped.
class BodyDecoder {
 public:
  BodyDecoder() = default;
  BodyDecoder(BodyKind kind, std::uint64_t content_length);

  struct Step {
    BodyState state = BodyState::kEnd;
    std::size_t used = 0;  // bytes of the input that are done with, those of the piece included
    ByteView piece;        // a view into the input
  };
  Step next(ByteView input);

  bool ended() const { return state_ == State::kEnd; }
  // How many bytes are known to be missing: of the body, or of the chunk.
  std::uint64_t known_left() const { return left_; }
  Refusal refusal() const { return refusal_; }  // after kRefused

 private:
  enum class State : std::uint8_t {
    kEnd,
    kLength,
    kSize,
    kSizeMore,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailer,
    kTrailerLf,
    kBroken,
  };

  bool framing_byte(char c);  // false: refused
  bool size_byte(char c);
  bool trailer_byte(char c);
  bool trailer_name_ended();
  bool refuse(std::string_view reason);

  State state_ = State::kEnd;
  std::uint8_t name_bytes_ = 0;  // of the trailer's name read so far
  bool in_name_ = true;
  std::uint16_t line_bytes_ = 0;  // of a chunk's size line
  std::uint32_t trailer_bytes_ = 0;
  std::uint64_t left_ = 0;
  char name_[24] = {};  // the beginning of the trailer's name, lower case
  Refusal refusal_;
};

// Whether a response may carry this header: a token, and no control character in the value.
bool valid_header(ByteView name, ByteView value);

}  // namespace hr::net
