#include "codec/base64.h"

#include <array>
#include <cstdint>

namespace hr::codec {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kBad = 0xff;

constexpr auto kValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kBad);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

std::uint32_t value_of(char c) { return kValues[static_cast<unsigned char>(c)]; }

std::uint32_t byte_at(ByteView bytes, std::size_t i) { return static_cast<unsigned char>(bytes[i]); }

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Bytes base64_encode(ByteView bytes) {
  Bytes out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  std::size_t i = 0;
  const auto put = [&out](std::uint32_t group, int digits) {
    for (int d = 0; d < digits; ++d) out.push_back(kAlphabet[(group >> (18 - 6 * d)) & 63]);
  };
  for (; i + 3 <= bytes.size(); i += 3) {
    put(byte_at(bytes, i) << 16 | byte_at(bytes, i + 1) << 8 | byte_at(bytes, i + 2), 4);
  }
  if (bytes.size() - i == 1) {
    put(byte_at(bytes, i) << 16, 2);
    out += "==";
  } else if (bytes.size() - i == 2) {
    put(byte_at(bytes, i) << 16 | byte_at(bytes, i + 1) << 8, 3);
    out += '=';
  }
  return out;
}

Result<Bytes> base64_decode(ByteView text) {
  if (text.size() % 4 != 0) return fail(Errc::kInvalid, "base64 text comes in groups of four, with padding");
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  const ByteView digits = text.substr(0, text.size() - padding);
  Bytes out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : digits) {
    const std::uint32_t value = value_of(c);
    if (value == kBad) return fail(Errc::kInvalid, "a character that is not base64");
    bits = bits << 6 | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count));
      bits &= (1u << count) - 1;
    }
  }
  if (bits != 0) return fail(Errc::kInvalid, "base64 text with bits left over");
  return out;
}

Result<Bytes> from_hex(ByteView text) {
  if (text.size() % 2 != 0) return fail(Errc::kInvalid, "hexadecimal text has an even length");
  Bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return fail(Errc::kInvalid, "a character that is not hexadecimal");
    out.push_back(static_cast<char>(high << 4 | low));
  }
  return out;
}

}  // namespace hr::codec
