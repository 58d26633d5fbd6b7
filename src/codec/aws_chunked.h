// Decoder of the aws-chunked body framing, fed as the bytes arrive, in pieces of any size:
//   STREAMING-AWS4-HMAC-SHA256-PAYLOAD          size;chunk-signature=HEX CRLF data CRLF ...
//   0;chunk-signature=HEX CRLF CRLF STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER  the same, then trailers and
//   x-amz-trailer-signature STREAMING-UNSIGNED-PAYLOAD-TRAILER          size CRLF data CRLF ... 0 CRLF
//   trailers CRLF
// A trailer line may end in LF CRLF, as one widely used client writes it. Chunk extensions other than the
// signature are refused.
// Payload is handed out before its chunk's signature can be known: whoever stores it must be able to throw
// all of it away, and may keep it only after finish() succeeded. After an error every call repeats it.
#pragma once

#include "base/bytes.h"
#include "codec/digest.h"
#include "codec/sigv4.h"
#include "codec/uri.h"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>
#include <vector>

namespace hr::codec {

inline constexpr std::size_t kChunkLineMax = 128;  // "ffffffffffffffff;chunk-signature=" and 64 digits are 97
inline constexpr std::size_t kTrailerBytesMax = 4096;  // all trailer lines
inline constexpr std::size_t kTrailerLinesMax = 16;

struct ChunkedSpec {
  PayloadMode mode = PayloadMode::kStreamingUnsignedTrailer;
  std::uint64_t decoded_length = 0;  // x-amz-decoded-content-length
  std::vector<Bytes> trailers;       // the names x-amz-trailer announced, lower case; trailer modes only
  // Signed modes only: from Verified.
  SigningKey key;
  Scope scope;
  Bytes amz_date;
  Bytes seed_signature;
};

enum class ChunkedErrc : std::uint8_t {
  kMalformed,  // the framing breaks its grammar, or bytes follow its end
  kTooLong,    // a line or the trailers pass their maximum
  kSignature,  // of a chunk or of the trailers
  kLength,     // the payload is not decoded_length bytes
  kTrailer,    // an announced trailer is missing, or one came that was not announced
  kTruncated,  // the body ended before the framing did
};

struct ChunkedError {
  ChunkedErrc code = ChunkedErrc::kMalformed;
  Bytes message;

  bool operator==(const ChunkedError&) const = default;
};

class AwsChunkedDecoder {
 public:
  // The mode must be one of the three streaming ones.
  explicit AwsChunkedDecoder(ChunkedSpec spec);

  // Takes the next bytes of the body and appends the payload among them, as views into `piece`.
  std::expected<void, ChunkedError> feed(ByteView piece, std::vector<ByteView>& payload);

  // At the end of the body: the trailers (lower-case names), x-amz-trailer-signature not among them. Their
  // checksums are the caller's to compare.
  std::expected<Pairs, ChunkedError> finish();

  bool done() const { return state_ == State::kDone; }
  std::uint64_t decoded() const { return decoded_; }

 private:
  using Outcome = std::expected<void, ChunkedError>;
  enum class State : std::uint8_t { kSizeLine, kData, kDataEnd, kFinalEnd, kTrailers, kDone, kFailed };

  bool is_signed() const { return spec_.mode != PayloadMode::kStreamingUnsignedTrailer; }
  bool has_trailers() const { return spec_.mode != PayloadMode::kStreamingSigned; }
  std::unexpected<ChunkedError> refuse(ChunkedErrc code, std::string_view message);

  // These consume from the front of `in` and move the state on.
  Outcome step(ByteView& in, std::vector<ByteView>& payload);
  Outcome take_data(ByteView& in, std::vector<ByteView>& payload);
  Outcome take_line_end(ByteView& in);
  std::expected<bool, ChunkedError> take_line(ByteView& in, std::size_t bytes_max);  // true: line_ is whole

  Outcome on_size_line(ByteView line);
  Outcome on_chunk_end();
  Outcome on_trailer_line(ByteView line);
  Outcome add_trailer(ByteView line);
  Outcome on_trailers_end();

  ChunkedSpec spec_;
  State state_ = State::kSizeLine;
  Bytes line_;                      // the part of a line that came so far, with its end
  std::size_t line_end_bytes_ = 0;  // of the CRLF that is due
  std::uint64_t chunk_left_ = 0;
  std::uint64_t decoded_ = 0;
  Sha256 chunk_hash_;
  Bytes chunk_signature_;     // as the current chunk's line claims
  Bytes previous_signature_;  // of the chunk before, or the request's
  Pairs trailers_;
  Bytes trailer_signature_;
  bool half_line_end_ = false;  // the last trailer line ended in LF alone
  std::size_t trailer_bytes_ = 0;
  std::size_t trailer_lines_ = 0;
  ChunkedError failure_;
};

// The links of the signature chain, for clients and tests. Hashes are lower-case hexadecimal SHA-256.
Bytes chunk_signature(const SigningKey& key, const Scope& scope, ByteView amz_date, ByteView previous,
                      ByteView chunk_sha256);
Bytes trailer_signature(const SigningKey& key, const Scope& scope, ByteView amz_date, ByteView previous,
                        const Pairs& trailers);

}  // namespace hr::codec
