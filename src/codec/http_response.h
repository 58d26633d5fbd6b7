// The framing of HTTP/1.1 responses, for clients: bytes as they arrive, in pieces of any size, become one
// Response with its whole body. Strict and bounded: what two readers could take in two ways is refused (RFC
// 9112, sections 4 to 8), and so is what passes a limit. Interim (1xx) responses are passed over. No I/O; an
// error is final, and the connection it came from is of no more use.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "codec/uri.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace hr::codec {

struct ResponseLimits {
  std::size_t head_bytes_max = 65'536;       // status line and headers, those of interim responses included
  std::size_t line_bytes_max = 16'384;       // one header; S3's metadata may be 2 KiB, its policies longer
  std::size_t headers_max = 200;             //
  std::uint64_t body_bytes_max = 64U << 20;  // after the transfer coding is taken off
};

struct Response {
  int status = 0;
  Pairs headers;  // in the order sent; lower-case names
  Bytes body;
  bool keep_alive = false;  // the connection may carry another request

  const Bytes* header(ByteView lower_case_name) const { return find(headers, lower_case_name); }
};

// What was asked decides whether an answer has a body (RFC 9112, section 6.3).
enum class Asked : std::uint8_t { kHead, kOther };

class ResponseParser {
 public:
  explicit ResponseParser(Asked asked = Asked::kOther, ResponseLimits limits = {});

  // Takes what belongs to this response and says how many bytes that was: fewer than given only when done().
  // kInvalid: not a well-formed response; kLimit: one of the limits.
  Result<std::size_t> feed(ByteView bytes);

  // The peer has closed its side. Success where that is how the body ends; kClosed: too early.
  Status closed();

  bool done() const { return state_ == State::kDone; }
  bool began() const { return began_; }  // a byte has arrived: the peer had the request

  // After done(), once.
  Response take() { return std::move(response_); }

 private:
  enum class State : std::uint8_t {
    kStatusLine,
    kHeader,
    kLength,
    kToClose,
    kChunkSize,
    kChunk,
    kChunkEnd,
    kTrailer,
    kDone,
    kFailed,
  };
  struct Framing {
    std::uint64_t length = 0;
    bool has_length = false;
    bool chunked = false;
    bool close = false;
    bool keep_alive = false;
    bool http_1_0 = false;
  };

  std::unexpected<Error> refuse(Errc code, std::string message);
  Status take_line(ByteView& in, bool& whole);  // whole: line_ is one line without its end
  Status on_line();
  Status on_status_line(ByteView line);
  Status on_header(ByteView line);
  Status on_framing_header(ByteView name, ByteView value);
  Status on_content_length(ByteView value);
  Status on_head_end();
  Status on_chunk_size(ByteView line);
  Status on_trailer(ByteView line);
  Status take_body(ByteView& in);

  Asked asked_;
  ResponseLimits limits_;
  State state_ = State::kStatusLine;
  bool began_ = false;
  Bytes line_;
  std::size_t head_bytes_ = 0;  // of the heads, then of the trailers
  std::uint64_t left_ = 0;      // of the body, or of the chunk
  Framing framing_;
  Response response_;
};

}  // namespace hr::codec
