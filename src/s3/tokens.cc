#include "s3/tokens.h"

#include "base/result.h"
#include "codec/base64.h"
#include "codec/digest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace hr::s3 {
namespace {

constexpr std::size_t kTokenBytesMax = 4096;

Bytes check_bytes(ByteView after) {
  Bytes out;
  Writer(out).u32(codec::crc32c(after));
  return out;
}

wire::S3Result<std::size_t> page_size(std::string_view name, ByteView text, std::size_t max) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty() || value > INT32_MAX) {
    return wire::s3_bad_argument(name, text,
                                 fmt::format("Provided {} not an integer or within integer range", name));
  }
  return std::min<std::size_t>(value, max);
}

}  // namespace

Bytes make_token(ByteView after) { return codec::base64_encode(check_bytes(after).append(after)); }

wire::S3Result<Bytes> read_token(ByteView token) {
  if (token.size() <= kTokenBytesMax) {
    const auto raw = codec::base64_decode(token);
    if (raw && raw->size() > 4 && raw->substr(0, 4) == check_bytes(ByteView(*raw).substr(4))) {
      return raw->substr(4);
    }
  }
  return wire::s3_bad_argument("continuation-token", token, "The continuation token provided is incorrect");
}

wire::S3Result<ListPageQuery> page_query(const codec::Pairs& query, std::string_view max_name,
                                         std::size_t max) {
  ListPageQuery out{.max = max, .after = {}, .token = {}};
  if (const Bytes* text = codec::find(query, max_name)) {
    HR_ASSIGN(out.max, page_size(max_name, *text, max));
  }
  if (const Bytes* token = codec::find(query, "continuation-token")) {
    HR_ASSIGN(out.after, read_token(*token));
    out.token = *token;
  }
  return out;
}

}  // namespace hr::s3
