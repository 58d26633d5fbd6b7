#include "codec/aws_chunked.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <rapidcheck/gtest.h>
#include <string>

namespace hr::codec {
namespace {

const Scope kScope{.date = "20130524", .region = "us-east-1", .service = "s3"};
const SigningKey kKey = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", kScope);
constexpr ByteView kDate = "20130524T000000Z";
constexpr ByteView kSeed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
constexpr auto kSigned = PayloadMode::kStreamingSigned;
constexpr auto kSignedTrailer = PayloadMode::kStreamingSignedTrailer;
constexpr auto kUnsignedTrailer = PayloadMode::kStreamingUnsignedTrailer;

ChunkedSpec spec_of(PayloadMode mode, std::uint64_t length, std::vector<Bytes> trailers = {}) {
  return {.mode = mode,
          .decoded_length = length,
          .trailers = std::move(trailers),
          .key = kKey,
          .scope = kScope,
          .amz_date = Bytes(kDate),
          .seed_signature = Bytes(kSeed)};
}

// A body as a client frames it.
Bytes framed(PayloadMode mode, const std::vector<Bytes>& chunks, const Pairs& trailers = {}) {
  Bytes out;
  Bytes previous(kSeed);
  const auto chunk_line = [&](const Bytes& data) {
    out += fmt::format("{:x}", data.size());
    if (mode != kUnsignedTrailer) {
      previous = chunk_signature(kKey, kScope, kDate, previous, sha256_hex(data));
      out += ";chunk-signature=" + previous;
    }
    out += "\r\n";
  };
  for (const Bytes& data : chunks) {
    chunk_line(data);
    out += data + "\r\n";
  }
  chunk_line("");
  for (const auto& [name, value] : trailers) out += name + ":" + value + "\r\n";
  if (mode == kSignedTrailer) {
    out += "x-amz-trailer-signature:" + trailer_signature(kKey, kScope, kDate, previous, trailers) + "\r\n";
  }
  return out + "\r\n";
}

struct Decoded {
  Bytes payload;
  std::optional<ChunkedError> error;
  Pairs trailers;

  bool operator==(const Decoded&) const = default;
};

// `sizes`: how many bytes come at once, over and over.
Decoded decode(const ChunkedSpec& spec, ByteView body, const std::vector<std::size_t>& sizes = {1 << 20}) {
  AwsChunkedDecoder decoder(spec);
  Decoded out;
  for (std::size_t i = 0; !body.empty(); ++i) {
    const ByteView piece = body.substr(0, std::max<std::size_t>(1, sizes[i % sizes.size()]));
    body.remove_prefix(piece.size());
    std::vector<ByteView> payload;
    const auto fed = decoder.feed(piece, payload);
    for (const ByteView part : payload) out.payload += part;
    if (!fed) break;
  }
  auto trailers = decoder.finish();
  if (trailers) {
    out.trailers = *trailers;
  } else {
    out.error = trailers.error();
  }
  return out;
}

std::optional<ChunkedErrc> refusal(const ChunkedSpec& spec, ByteView body) {
  const Decoded decoded = decode(spec, body);
  return decoded.error ? std::optional(decoded.error->code) : std::nullopt;
}

Bytes replaced(Bytes text, ByteView from, ByteView to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, Bytes::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(AwsChunked,
     awss_published_signature_chain) {  // "sigv4-streaming", a 65 KiB file of 'a' in 64 KiB chunks
  const Bytes first = chunk_signature(kKey, kScope, kDate, kSeed, sha256_hex(Bytes(65'536, 'a')));
  EXPECT_EQ(first, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
  const Bytes second = chunk_signature(kKey, kScope, kDate, first, sha256_hex(Bytes(1024, 'a')));
  EXPECT_EQ(second, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
  EXPECT_EQ(chunk_signature(kKey, kScope, kDate, second, kEmptySha256),
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
}

TEST(AwsChunked, awss_published_trailer_signature) {  // "sigv4-streaming-trailers"
  EXPECT_EQ(trailer_signature(kKey, kScope, kDate,
                              "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
                              {{"x-amz-checksum-crc32c", "sOO8/Q=="}}),
            "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435");
}

TEST(AwsChunked, all_three_modes_give_the_payload_back) {
  const Pairs trailers{{"x-amz-checksum-crc32", "AAAAAA=="}};
  EXPECT_EQ(decode(spec_of(kSigned, 5), framed(kSigned, {"he", "llo"})), (Decoded{"hello", {}, {}}));
  EXPECT_EQ(decode(spec_of(kSignedTrailer, 5, {"x-amz-checksum-crc32"}),
                   framed(kSignedTrailer, {"hello"}, trailers)),
            (Decoded{"hello", {}, trailers}));
  EXPECT_EQ(decode(spec_of(kUnsignedTrailer, 5, {"x-amz-checksum-crc32"}),
                   framed(kUnsignedTrailer, {"hell", "o"}, trailers)),
            (Decoded{"hello", {}, trailers}));
  for (const PayloadMode mode : {kSigned, kSignedTrailer, kUnsignedTrailer}) {
    EXPECT_EQ(decode(spec_of(mode, 0), framed(mode, {})), Decoded{});
  }
}

RC_GTEST_PROP(AwsChunked, how_the_bytes_arrive_changes_nothing,
              (std::vector<std::string> chunks, std::vector<std::uint8_t> raw_sizes)) {
  std::erase(chunks, std::string());
  std::vector<std::size_t> sizes{1};
  for (const std::uint8_t size : raw_sizes) sizes.push_back(size % 40 + 1u);
  Bytes payload;
  for (const auto& chunk : chunks) payload += chunk;
  for (const PayloadMode mode : {kSigned, kSignedTrailer, kUnsignedTrailer}) {
    const Pairs trailers = mode == kSigned ? Pairs{} : Pairs{{"x-a", "1"}};
    const ChunkedSpec spec =
        spec_of(mode, payload.size(), mode == kSigned ? std::vector<Bytes>{} : std::vector<Bytes>{"x-a"});
    const Bytes body = framed(mode, chunks, trailers);
    RC_ASSERT((decode(spec, body, sizes) == Decoded{payload, {}, trailers}));
    // Also for bodies that are wrong: cut or with a byte changed.
    const auto at = *rc::gen::inRange<std::size_t>(0, body.size());
    Bytes bent = body;
    bent[at] = static_cast<char>(bent[at] ^ 0x20);
    RC_ASSERT((decode(spec, bent, sizes).error == decode(spec, bent).error));
    RC_ASSERT((decode(spec, body.substr(0, at), sizes).error->code == ChunkedErrc::kTruncated));
  }
}

RC_GTEST_PROP(AwsChunked, no_changed_byte_of_a_signed_body_changes_what_is_read,
              (const std::string& payload)) {
  RC_PRE(!payload.empty());
  const Bytes body = framed(kSignedTrailer, {payload}, {{"x-a", "1"}});
  const auto at = *rc::gen::inRange<std::size_t>(0, body.size());
  const auto bit = *rc::gen::inRange(0, 8);
  Bytes bent = body;
  bent[at] = static_cast<char>(bent[at] ^ (1 << bit));
  const Decoded decoded = decode(spec_of(kSignedTrailer, payload.size(), {"x-a"}), bent);
  // A capital in a trailer's name or a chunk size, or a blank after a trailer, says the same.
  if (!decoded.error) RC_ASSERT((decoded == Decoded{payload, {}, {{"x-a", "1"}}}));
}

TEST(AwsChunked, chunks_cannot_be_swapped_dropped_or_repeated) {
  const ChunkedSpec spec = spec_of(kSigned, 4);
  const Bytes body = framed(kSigned, {"ab", "cd"});
  const std::size_t chunk = body.find("\r\nab\r\n") + 6;  // the length of a framed chunk of two bytes
  const Bytes first = body.substr(0, chunk);
  const Bytes second = body.substr(chunk, chunk);
  const Bytes last = body.substr(2 * chunk);
  EXPECT_EQ(refusal(spec, first + second + last), std::nullopt);
  EXPECT_EQ(refusal(spec, second + first + last), ChunkedErrc::kSignature);
  EXPECT_EQ(refusal(spec, first + first + last), ChunkedErrc::kSignature);
  EXPECT_EQ(refusal(spec, first + last), ChunkedErrc::kLength);
  EXPECT_EQ(refusal(spec, first + second), ChunkedErrc::kTruncated);
  ChunkedSpec other = spec;
  other.seed_signature[0] ^= 1;
  EXPECT_EQ(refusal(other, body), ChunkedErrc::kSignature);
}

TEST(AwsChunked, the_decoded_length_must_be_met_exactly) {
  for (const PayloadMode mode : {kSigned, kSignedTrailer, kUnsignedTrailer}) {
    EXPECT_EQ(refusal(spec_of(mode, 5), framed(mode, {"hello"})), std::nullopt);
    EXPECT_EQ(refusal(spec_of(mode, 4), framed(mode, {"hello"})), ChunkedErrc::kLength);
    EXPECT_EQ(refusal(spec_of(mode, 6), framed(mode, {"hello"})), ChunkedErrc::kLength);
  }
  EXPECT_EQ(refusal(spec_of(kUnsignedTrailer, 5), "ffffffffffffffff\r\n"), ChunkedErrc::kLength);
}

TEST(AwsChunked, announced_trailers_must_come_and_no_others) {
  const Bytes none = framed(kUnsignedTrailer, {"a"});
  const Bytes one = framed(kUnsignedTrailer, {"a"}, {{"x-a", "1"}});
  EXPECT_EQ(refusal(spec_of(kUnsignedTrailer, 1, {"x-a"}), none), ChunkedErrc::kTrailer);
  EXPECT_EQ(refusal(spec_of(kUnsignedTrailer, 1), one), ChunkedErrc::kTrailer);
  EXPECT_EQ(refusal(spec_of(kUnsignedTrailer, 1, {"x-b"}), one), ChunkedErrc::kTrailer);
  EXPECT_EQ(refusal(spec_of(kUnsignedTrailer, 1, {"x-a"}),
                    framed(kUnsignedTrailer, {"a"}, {{"x-a", "1"}, {"x-a", "1"}})),
            ChunkedErrc::kTrailer);
  EXPECT_EQ(decode(spec_of(kUnsignedTrailer, 1, {"x-a"}), framed(kUnsignedTrailer, {"a"}, {{"X-A", " 1 "}}))
                .trailers,
            (Pairs{{"x-a", "1"}}));
}

TEST(AwsChunked, a_trailer_signature_belongs_to_the_signed_mode_and_comes_last) {
  const ChunkedSpec spec = spec_of(kSignedTrailer, 1, {"x-a"});
  const Bytes good = framed(kSignedTrailer, {"a"}, {{"x-a", "1"}});
  EXPECT_EQ(refusal(spec, good), std::nullopt);
  EXPECT_EQ(refusal(spec, replaced(good, "x-a:1", "x-a:2")), ChunkedErrc::kSignature);
  EXPECT_EQ(refusal(spec, replaced(good, "x-amz-trailer-signature:", "x-amz-trailer-signature:0")),
            ChunkedErrc::kMalformed);
  const std::size_t line = good.find("x-amz-trailer-signature");
  EXPECT_EQ(refusal(spec, good.substr(0, line) + "\r\n"), ChunkedErrc::kSignature);
  EXPECT_EQ(refusal(spec, good.substr(0, good.size() - 2) + "x-a:1\r\n\r\n"), ChunkedErrc::kMalformed);
  EXPECT_EQ(refusal(spec_of(kUnsignedTrailer, 1),
                    framed(kUnsignedTrailer, {"a"}, {{"x-amz-trailer-signature", "1"}})),
            ChunkedErrc::kTrailer);
}

TEST(AwsChunked, trailer_lines_may_end_in_lf_crlf) {
  EXPECT_EQ(decode(spec_of(kUnsignedTrailer, 1, {"x-a"}), "1\r\na\r\n0\r\nx-a:1\n\r\n\r\n"),
            (Decoded{"a", {}, {{"x-a", "1"}}}));
  const Bytes body = framed(kSignedTrailer, {"a"}, {{"x-a", "1"}});
  EXPECT_EQ(refusal(spec_of(kSignedTrailer, 1, {"x-a"}), replaced(body, "x-a:1\r\n", "x-a:1\n\r\n")),
            std::nullopt);
  EXPECT_EQ(refusal(spec_of(kUnsignedTrailer, 1, {"x-a"}), "1\r\na\r\n0\r\nx-a:1\n\r\n"),
            ChunkedErrc::kTruncated);
  EXPECT_EQ(refusal(spec_of(kUnsignedTrailer, 1, {"x-a"}), "1\r\na\r\n0\r\nx-a:1\r\n\n"),
            ChunkedErrc::kMalformed);
}

TEST(AwsChunked, broken_framing_is_refused) {
  const ChunkedSpec spec = spec_of(kUnsignedTrailer, 1);
  for (const char* body : {"x", "\r\n", "1\na\r\n0\r\n\r\n", "0x1\r\na\r\n0\r\n\r\n", "+1\r\na\r\n0\r\n\r\n",
                           " 1\r\na\r\n0\r\n\r\n", "1 \r\na\r\n0\r\n\r\n", "1;x=y\r\na\r\n0\r\n\r\n",
                           "1;\r\na\r\n0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "1\r\na\n0\r\n\r\n",
                           "1\r\na\r\n0\r\nnocolon\r\n\r\n", "1\r\na\r\n0\r\n:v\r\n\r\n",
                           "1\r\na\r\n0\r\n\r\nx", "00000000000000001\r\na\r\n0\r\n\r\n", "-1\r\n"}) {
    const auto code = refusal(spec, Bytes(body) + "\n");
    EXPECT_EQ(code, ChunkedErrc::kMalformed) << body;
  }
  const ChunkedSpec signed_spec = spec_of(kSigned, 1);
  const Bytes good = framed(kSigned, {"a"});
  EXPECT_EQ(refusal(signed_spec, "1\r\na\r\n"), ChunkedErrc::kMalformed);
  EXPECT_EQ(refusal(signed_spec, replaced(good, "\r\n", ";x=1\r\n")), ChunkedErrc::kMalformed);
  EXPECT_EQ(refusal(signed_spec, replaced(good, ";chunk-signature=", "; chunk-signature=")),
            ChunkedErrc::kMalformed);
  EXPECT_EQ(refusal(signed_spec, good + "0"), ChunkedErrc::kMalformed);
}

TEST(AwsChunked, line_limits_hold_at_their_edge) {
  const ChunkedSpec spec = spec_of(kUnsignedTrailer, 1, {"x-a"});
  EXPECT_EQ(refusal(spec, Bytes(kChunkLineMax, 'f')), ChunkedErrc::kTruncated);
  EXPECT_EQ(refusal(spec, Bytes(kChunkLineMax + 1, 'f')), ChunkedErrc::kTooLong);
  const auto with_trailer = [](std::size_t bytes) {  // in all, with both line ends
    return "1\r\na\r\n0\r\nx-a:" + Bytes(bytes - 8, 'v') + "\r\n\r\n";
  };
  EXPECT_EQ(refusal(spec, with_trailer(kTrailerBytesMax)), std::nullopt);
  EXPECT_EQ(refusal(spec, with_trailer(kTrailerBytesMax + 1)), ChunkedErrc::kTooLong);
  std::vector<Bytes> names;
  Pairs trailers;
  for (std::size_t i = 1; i < kTrailerLinesMax; ++i) {  // the blank line counts
    names.push_back("x-" + std::to_string(i));
    trailers.emplace_back(names.back(), "1");
  }
  EXPECT_EQ(refusal(spec_of(kUnsignedTrailer, 0, names), framed(kUnsignedTrailer, {}, trailers)),
            std::nullopt);
  names.push_back("x-z");
  trailers.emplace_back("x-z", "1");
  EXPECT_EQ(refusal(spec_of(kUnsignedTrailer, 0, names), framed(kUnsignedTrailer, {}, trailers)),
            ChunkedErrc::kTooLong);
}

TEST(AwsChunked, an_error_is_repeated_and_nothing_more_comes_out) {
  AwsChunkedDecoder decoder(spec_of(kUnsignedTrailer, 5));
  std::vector<ByteView> payload;
  const auto error = decoder.feed("zz\r\n", payload).error();
  EXPECT_EQ(decoder.feed("5\r\nhello\r\n0\r\n\r\n", payload).error(), error);
  EXPECT_EQ(decoder.finish().error(), error);
  EXPECT_TRUE(payload.empty());
  EXPECT_FALSE(decoder.done());
}

}  // namespace
}  // namespace hr::codec
