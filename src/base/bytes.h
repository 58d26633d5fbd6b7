// Byte strings and the little-endian coding of our on-disk formats. A Reader never reads past its end:
// after the first short read `ok()` is false and every value is zero or empty, so that a decoder checks
// once, at its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hr {

using Bytes = std::string;
using ByteView = std::string_view;

// Appends to a byte string that the caller owns.
class Writer {
 public:
  explicit Writer(Bytes& out) : out_(out) {}

  void u8(std::uint8_t v);
  void u16(std::uint16_t v);
  void u32(std::uint32_t v);
  void u64(std::uint64_t v);
  void i64(std::int64_t v) { u64(static_cast<std::uint64_t>(v)); }
  void boolean(bool v) { u8(v ? 1 : 0); }
  void varint(std::uint64_t v);  // LEB128, at most 10 bytes
  void raw(ByteView v);          // without a length
  void str(ByteView v);          // varint length, then the bytes

 private:
  Bytes& out_;
};

class Reader {
 public:
  explicit Reader(ByteView in) : in_(in) {}

  std::uint8_t u8();
  std::uint16_t u16();
  std::uint32_t u32();
  std::uint64_t u64();
  std::int64_t i64() { return static_cast<std::int64_t>(u64()); }
  bool boolean() { return u8() != 0; }
  std::uint64_t varint();
  ByteView raw(std::size_t n);
  ByteView str();  // a view into the input

  bool ok() const { return ok_; }
  std::size_t left() const { return in_.size() - at_; }
  std::size_t offset() const { return at_; }  // bytes consumed so far
  bool done() const { return ok_ && left() == 0; }

 private:
  ByteView in_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

// Big-endian, so that byte order is number order: for keys of ordered stores.
Bytes big_endian(std::uint64_t v);

Bytes to_hex(ByteView bytes);  // lower case

}  // namespace hr
