// The small text forms: whatever reads must come back when written, and what is written must read.
#include "base/check.h"
#include "codec/base64.h"
#include "codec/time_text.h"
#include "codec/uri.h"
#include "codec/utf8.h"

#include <cstddef>
#include <cstdint>

namespace {

using namespace hr::codec;

void pairs(hr::ByteView text) {
  const PairLimits wide{.bytes_max = 1 << 30, .pairs_max = 1 << 20};
  for (const auto& read : {parse_query(text), parse_form(text)}) {
    if (!read) continue;
    const hr::Bytes written = write_pairs(*read);
    HR_CHECK(parse_query(written, wide) == *read);
    HR_CHECK(parse_form(written, wide) == *read);
  }
  static_cast<void>(split_target(text));
}

void encodings(hr::ByteView text) {
  if (const auto bytes = base64_decode(text)) HR_CHECK(base64_encode(*bytes) == text);
  if (const auto bytes = percent_decode(text)) HR_CHECK(percent_decode(percent_encode(*bytes)) == *bytes);
  HR_CHECK(base64_decode(base64_encode(text)) == text);
  HR_CHECK(valid_utf8(text) == (valid_utf8_prefix(text) == text.size()));
  HR_CHECK(valid_utf8(repaired_utf8(text)));
}

void times(hr::ByteView text) {
  if (const auto t = parse_http_date(text)) HR_CHECK(parse_http_date(http_date(*t)) == *t);
  if (const auto t = parse_iso8601(text)) HR_CHECK(parse_iso8601(iso8601(*t)) == *t);
  if (const auto t = parse_amz_date(text)) HR_CHECK(amz_date(*t) == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const hr::ByteView text(reinterpret_cast<const char*>(data), size);
  pairs(text);
  encodings(text);
  times(text);
  return 0;
}
