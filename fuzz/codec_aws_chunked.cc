// The first byte chooses the mode, the second how the rest is split. However it is split, the same comes out;
// and nothing comes out whole that is not as long as was announced.
#include "base/check.h"
#include "codec/aws_chunked.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

using namespace hr::codec;

constexpr std::uint64_t kLength = 5;

struct Outcome {
  hr::Bytes payload;
  std::expected<Pairs, ChunkedError> end;

  bool operator==(const Outcome&) const = default;
};

Outcome decode(PayloadMode mode, hr::ByteView body, std::size_t step) {
  AwsChunkedDecoder decoder({.mode = mode,
                             .decoded_length = kLength,
                             .trailers = mode == PayloadMode::kStreamingSigned
                                             ? std::vector<hr::Bytes>{}
                                             : std::vector<hr::Bytes>{"x-a"},
                             .key = {},
                             .scope = {.date = "20260102", .region = "local", .service = "s3"},
                             .amz_date = "20260102T030405Z",
                             .seed_signature = "seed"});
  Outcome out;
  while (!body.empty()) {
    const hr::ByteView piece = body.substr(0, step);
    body.remove_prefix(piece.size());
    std::vector<hr::ByteView> payload;
    const auto fed = decoder.feed(piece, payload);
    for (const hr::ByteView part : payload) out.payload += part;
    if (!fed) break;
  }
  out.end = decoder.finish();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static constexpr PayloadMode kModes[] = {PayloadMode::kStreamingUnsignedTrailer,
                                           PayloadMode::kStreamingSigned,
                                           PayloadMode::kStreamingSignedTrailer};
  const PayloadMode mode = kModes[data[0] % 3];
  const hr::ByteView body(reinterpret_cast<const char*>(data + 2), size - 2);
  const Outcome whole = decode(mode, body, size);
  HR_CHECK(whole == decode(mode, body, data[1] % 64 + 1u));
  HR_CHECK(whole.payload.size() <= kLength);
  HR_CHECK(!whole.end || whole.payload.size() == kLength);
  return 0;
}
