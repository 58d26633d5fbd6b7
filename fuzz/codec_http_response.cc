// An answer is read alike whole and in two pieces, and what the limits allow is all that is kept.
#include "base/check.h"
#include "codec/http_response.h"

#include <cstddef>
#include <cstdint>

namespace {

constexpr hr::codec::ResponseLimits kLimits{
    .head_bytes_max = 512, .line_bytes_max = 128, .headers_max = 8, .body_bytes_max = 256};

struct Outcome {
  bool done = false, refused = false, keep_alive = false;
  int status = 0;
  std::size_t used = 0;
  hr::Bytes body;
  hr::codec::Pairs headers;
  bool operator==(const Outcome&) const = default;
};

// Cut at `cut`; the first byte of the input says what was asked.
Outcome read(hr::ByteView bytes, std::size_t cut, hr::codec::Asked asked) {
  hr::codec::ResponseParser parser(asked, kLimits);
  Outcome outcome;
  for (const hr::ByteView piece : {bytes.substr(0, cut), bytes.substr(cut)}) {
    if (parser.done()) break;
    const auto used = parser.feed(piece);
    if (!used) return {.refused = true, .body = {}, .headers = {}};
    HR_CHECK(*used == piece.size() || parser.done());
    outcome.used += *used;
  }
  outcome.done = parser.closed().has_value();
  HR_CHECK(outcome.done == parser.done());
  if (!outcome.done) return outcome;
  auto response = parser.take();
  outcome.status = response.status;
  outcome.keep_alive = response.keep_alive;
  outcome.body = std::move(response.body);
  outcome.headers = std::move(response.headers);
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const hr::ByteView bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto asked = data[0] % 2 == 0 ? hr::codec::Asked::kOther : hr::codec::Asked::kHead;
  const Outcome whole = read(bytes, bytes.size(), asked);
  HR_CHECK(whole.body.size() <= kLimits.body_bytes_max && whole.headers.size() <= kLimits.headers_max);
  HR_CHECK(!whole.done || (whole.status >= 200 && whole.status <= 599));
  HR_CHECK(read(bytes, data[1] % (bytes.size() + 1), asked) == whole);
  return 0;
}
