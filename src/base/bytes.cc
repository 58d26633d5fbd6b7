#include "base/bytes.h"

#include <bit>
#include <cstring>

namespace hr {
namespace {

static_assert(std::endian::native == std::endian::little, "the on-disk formats are little-endian");

template <class T>
void append(Bytes& out, T v) {
  out.append(reinterpret_cast<const char*>(&v), sizeof v);
}

template <class T>
T take(ByteView bytes) {
  T v{};
  if (bytes.size() == sizeof v) std::memcpy(&v, bytes.data(), sizeof v);
  return v;
}

}  // namespace

void Writer::u8(std::uint8_t v) { append(out_, v); }
void Writer::u16(std::uint16_t v) { append(out_, v); }
void Writer::u32(std::uint32_t v) { append(out_, v); }
void Writer::u64(std::uint64_t v) { append(out_, v); }

void Writer::varint(std::uint64_t v) {
  while (v >= 0x80) {
    out_.push_back(static_cast<char>(v | 0x80));
    v >>= 7;
  }
  out_.push_back(static_cast<char>(v));
}

void Writer::raw(ByteView v) { out_.append(v); }

void Writer::str(ByteView v) {
  varint(v.size());
  out_.append(v);
}

std::uint8_t Reader::u8() { return take<std::uint8_t>(raw(1)); }
std::uint16_t Reader::u16() { return take<std::uint16_t>(raw(2)); }
std::uint32_t Reader::u32() { return take<std::uint32_t>(raw(4)); }
std::uint64_t Reader::u64() { return take<std::uint64_t>(raw(8)); }

std::uint64_t Reader::varint() {
  std::uint64_t v = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t byte = u8();
    if (!ok_) return 0;
    if (shift == 63 && byte > 1) break;
    v |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return v;
  }
  ok_ = false;
  return 0;
}

ByteView Reader::raw(std::size_t n) {
  if (!ok_ || n > left()) {
    ok_ = false;
    return {};
  }
  const ByteView v = in_.substr(at_, n);
  at_ += n;
  return v;
}

ByteView Reader::str() {
  const std::uint64_t n = varint();
  return n <= left() ? raw(static_cast<std::size_t>(n)) : (ok_ = false, ByteView{});
}

Bytes big_endian(std::uint64_t v) {
  Bytes out(8, '\0');
  for (int i = 7; i >= 0; --i, v >>= 8) out[static_cast<std::size_t>(i)] = static_cast<char>(v & 0xff);
  return out;
}

Bytes to_hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  Bytes out(bytes.size() * 2, '\0');
  char* at = out.data();
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    *at++ = kDigits[byte >> 4];
    *at++ = kDigits[byte & 0xf];
  }
  return out;
}

}  // namespace hr
