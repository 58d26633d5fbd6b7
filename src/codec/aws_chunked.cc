#include "codec/aws_chunked.h"

#include "base/check.h"
#include "codec/sigv4_parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace hr::codec {
namespace {

constexpr ByteView kSignatureExtension = ";chunk-signature=";
constexpr ByteView kTrailerSignature = "x-amz-trailer-signature";
constexpr std::size_t kSizeDigitsMax = 16;

ByteView trimmed(ByteView text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

ByteView take(ByteView& in, std::size_t count) {
  const ByteView front = in.substr(0, count);
  in.remove_prefix(front.size());
  return front;
}

}  // namespace

AwsChunkedDecoder::AwsChunkedDecoder(ChunkedSpec spec) : spec_(std::move(spec)) {
  HR_CHECK(spec_.mode == PayloadMode::kStreamingSigned ||
           spec_.mode == PayloadMode::kStreamingSignedTrailer ||
           spec_.mode == PayloadMode::kStreamingUnsignedTrailer);
  previous_signature_ = spec_.seed_signature;
}

std::unexpected<ChunkedError> AwsChunkedDecoder::refuse(ChunkedErrc code, std::string_view message) {
  state_ = State::kFailed;
  failure_ = {code, Bytes(message)};
  return std::unexpected(failure_);
}

std::expected<void, ChunkedError> AwsChunkedDecoder::feed(ByteView piece, std::vector<ByteView>& payload) {
  if (state_ == State::kFailed) return std::unexpected(failure_);
  while (!piece.empty()) HR_TRY(step(piece, payload));
  return {};
}

std::expected<Pairs, ChunkedError> AwsChunkedDecoder::finish() {
  if (state_ == State::kFailed) return std::unexpected(failure_);
  if (state_ != State::kDone)
    return refuse(ChunkedErrc::kTruncated, "The body ended inside its aws-chunked framing.");
  return trailers_;
}

AwsChunkedDecoder::Outcome AwsChunkedDecoder::step(ByteView& in, std::vector<ByteView>& payload) {
  switch (state_) {
    case State::kSizeLine: {
      HR_ASSIGN(const bool whole, take_line(in, kChunkLineMax));
      if (!whole) return {};
      if (!line_.ends_with("\r\n"))
        return refuse(ChunkedErrc::kMalformed, "A chunk's first line must end in CRLF.");
      const Bytes line = std::exchange(line_, {});
      return on_size_line(ByteView(line).substr(0, line.size() - 2));
    }
    case State::kData:
      return take_data(in, payload);
    case State::kDataEnd:
    case State::kFinalEnd:
      return take_line_end(in);
    case State::kTrailers: {
      HR_ASSIGN(const bool whole, take_line(in, kTrailerBytesMax));
      if (!whole) return {};
      const Bytes line = std::exchange(line_, {});
      return on_trailer_line(line);
    }
    case State::kDone:
      return refuse(ChunkedErrc::kMalformed, "Bytes follow the end of the aws-chunked framing.");
    case State::kFailed:
      break;
  }
  return std::unexpected(failure_);
}

std::expected<bool, ChunkedError> AwsChunkedDecoder::take_line(ByteView& in, std::size_t bytes_max) {
  const std::size_t newline = in.find('\n');
  const bool whole = newline != ByteView::npos;
  const std::size_t count = whole ? newline + 1 : in.size();
  if (line_.size() + count > bytes_max) {
    return refuse(ChunkedErrc::kTooLong, "A line of the aws-chunked framing is too long.");
  }
  line_.append(take(in, count));
  return whole;
}

AwsChunkedDecoder::Outcome AwsChunkedDecoder::on_size_line(ByteView line) {
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
  const auto digits = static_cast<std::size_t>(end - line.data());
  if (error != std::errc() || digits > kSizeDigitsMax) {
    return refuse(ChunkedErrc::kMalformed, "A chunk must begin with its size in hexadecimal.");
  }
  const ByteView extension = line.substr(digits);
  if (is_signed()) {
    if (!extension.starts_with(kSignatureExtension) ||
        !detail::is_sha256_hex(extension.substr(kSignatureExtension.size()))) {
      return refuse(ChunkedErrc::kMalformed,
                    "A signed chunk must carry chunk-signature, and no other extension.");
    }
    chunk_signature_ = extension.substr(kSignatureExtension.size());
    chunk_hash_ = Sha256();
  } else if (!extension.empty()) {
    return refuse(ChunkedErrc::kMalformed, "An unsigned chunk carries no extension.");
  }
  if (size > spec_.decoded_length - decoded_) {
    return refuse(ChunkedErrc::kLength, "The body is longer than x-amz-decoded-content-length.");
  }
  chunk_left_ = size;
  if (size > 0) {
    state_ = State::kData;
    return {};
  }
  if (decoded_ != spec_.decoded_length) {
    return refuse(ChunkedErrc::kLength, "The body is shorter than x-amz-decoded-content-length.");
  }
  HR_TRY(on_chunk_end());
  state_ = has_trailers() ? State::kTrailers : State::kFinalEnd;
  return {};
}

AwsChunkedDecoder::Outcome AwsChunkedDecoder::take_data(ByteView& in, std::vector<ByteView>& payload) {
  const ByteView data = take(in, static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, in.size())));
  payload.push_back(data);
  if (is_signed()) chunk_hash_.update(data);
  decoded_ += data.size();
  chunk_left_ -= data.size();
  if (chunk_left_ > 0) return {};
  HR_TRY(on_chunk_end());
  state_ = State::kDataEnd;
  return {};
}

AwsChunkedDecoder::Outcome AwsChunkedDecoder::take_line_end(ByteView& in) {
  static constexpr ByteView kLineEnd = "\r\n";
  if (take(in, 1).front() != kLineEnd[line_end_bytes_]) {
    return refuse(ChunkedErrc::kMalformed, "A chunk must end in CRLF.");
  }
  if (++line_end_bytes_ < kLineEnd.size()) return {};
  line_end_bytes_ = 0;
  state_ = state_ == State::kDataEnd ? State::kSizeLine : State::kDone;
  return {};
}

AwsChunkedDecoder::Outcome AwsChunkedDecoder::on_chunk_end() {
  if (!is_signed()) return {};
  const Bytes expected = chunk_signature(spec_.key, spec_.scope, spec_.amz_date, previous_signature_,
                                         to_hex(chunk_hash_.finish()));
  if (!constant_time_equal(expected, chunk_signature_)) {
    return refuse(ChunkedErrc::kSignature, "A chunk's signature does not match its data.");
  }
  previous_signature_ = std::move(chunk_signature_);
  return {};
}

AwsChunkedDecoder::Outcome AwsChunkedDecoder::on_trailer_line(ByteView line) {
  trailer_bytes_ += line.size();
  if (trailer_bytes_ > kTrailerBytesMax || ++trailer_lines_ > kTrailerLinesMax) {
    return refuse(ChunkedErrc::kTooLong, "The trailers are too long.");
  }
  if (line == "\r\n" && half_line_end_) {
    half_line_end_ = false;
    return {};
  }
  if (line == "\r\n") return on_trailers_end();
  half_line_end_ = !line.ends_with("\r\n");
  line.remove_suffix(half_line_end_ ? 1 : 2);
  return add_trailer(line);
}

AwsChunkedDecoder::Outcome AwsChunkedDecoder::add_trailer(ByteView line) {
  const std::size_t colon = line.find(':');
  if (colon == ByteView::npos || colon == 0)
    return refuse(ChunkedErrc::kMalformed, "A trailer must be name:value.");
  if (!trailer_signature_.empty()) {
    return refuse(ChunkedErrc::kMalformed, "x-amz-trailer-signature must be the last trailer.");
  }
  Bytes name = lower_case(line.substr(0, colon));
  const ByteView value = trimmed(line.substr(colon + 1));
  if (name == kTrailerSignature && spec_.mode == PayloadMode::kStreamingSignedTrailer) {
    if (!detail::is_sha256_hex(value)) {
      return refuse(ChunkedErrc::kMalformed,
                    "x-amz-trailer-signature must be 64 lower-case hexadecimal digits.");
    }
    trailer_signature_ = value;
    return {};
  }
  if (std::ranges::find(spec_.trailers, name) == spec_.trailers.end()) {
    return refuse(ChunkedErrc::kTrailer, "A trailer came that x-amz-trailer did not announce.");
  }
  if (find(trailers_, name) != nullptr) return refuse(ChunkedErrc::kTrailer, "A trailer came twice.");
  trailers_.emplace_back(std::move(name), value);
  return {};
}

AwsChunkedDecoder::Outcome AwsChunkedDecoder::on_trailers_end() {
  for (const Bytes& name : spec_.trailers) {
    if (find(trailers_, name) == nullptr) {
      return refuse(ChunkedErrc::kTrailer, "A trailer that x-amz-trailer announced is missing.");
    }
  }
  if (spec_.mode == PayloadMode::kStreamingSignedTrailer) {
    const Bytes expected =
        trailer_signature(spec_.key, spec_.scope, spec_.amz_date, previous_signature_, trailers_);
    if (!constant_time_equal(expected, trailer_signature_)) {
      return refuse(ChunkedErrc::kSignature, "The trailers' signature is missing or does not match.");
    }
  }
  state_ = State::kDone;
  return {};
}

Bytes chunk_signature(const SigningKey& key, const Scope& scope, ByteView amz_date, ByteView previous,
                      ByteView chunk_sha256) {
  return signature(key, fmt::format("AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{}\n{}\n{}", amz_date, scope.text(),
                                    previous, kEmptySha256, chunk_sha256));
}

Bytes trailer_signature(const SigningKey& key, const Scope& scope, ByteView amz_date, ByteView previous,
                        const Pairs& trailers) {
  Bytes canonical;
  for (const auto& [name, value] : trailers) canonical.append(name).append(":").append(value).append("\n");
  return signature(key, fmt::format("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{}\n{}", amz_date, scope.text(),
                                    previous, sha256_hex(canonical)));
}

}  // namespace hr::codec
