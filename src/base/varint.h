// A varint (LEB128, at most 10 bytes) where more bytes are known to follow: what a Reader reads at any place,
// for those who read millions.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hr {

inline constexpr std::size_t kVarintBytesMax = 10;

// Where kVarintBytesMax bytes can be read from `at` on, which goes to the end of the varint. Of up to eight
// bytes without a branch for each: a start decodes hundreds of millions of them.
inline std::uint64_t read_varint(const char*& at, bool& good) {
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, at, sizeof bytes);
  if ((bytes & 0x80) == 0) return ++at, bytes & 0x7f;
  const std::uint64_t ends = ~bytes & 0x8080'8080'8080'8080;  // the first one is the varint's
  std::uint64_t v = bytes & 0x7f7f'7f7f'7f7f'7f7f & (ends ^ (ends - 1));
  v = (v & 0x007f'007f'007f'007f) | (v & 0x7f00'7f00'7f00'7f00) >> 1;
  v = (v & 0x0000'3fff'0000'3fff) | (v & 0x3fff'0000'3fff'0000) >> 2;
  v = (v & 0x0000'0000'0fff'ffff) | (v & 0x0fff'ffff'0000'0000) >> 4;
  if (ends != 0) return at += std::countr_zero(ends) / 8 + 1, v;
  const auto byte = [&](int i) { return static_cast<std::uint64_t>(static_cast<unsigned char>(at[i])); };
  const bool tenth = byte(8) >= 0x80;
  v |= (byte(8) & 0x7f) << 56;
  if (tenth) v |= byte(9) << 63;
  good = good && (!tenth || byte(9) <= 1);
  at += tenth ? 10 : 9;
  return good ? v : 0;
}

}  // namespace hr
