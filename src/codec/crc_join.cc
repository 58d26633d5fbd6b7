#include "codec/digest.h"

#include <array>
#include <concepts>
#include <limits>

namespace hr::codec {
namespace {

// A linear map of CRC states, by its columns: moving a state over zero bits is one, and so is doing it twice.
template <std::unsigned_integral U>
using Matrix = std::array<U, std::numeric_limits<U>::digits>;

template <std::unsigned_integral U>
U times(const Matrix<U>& matrix, U vector) {
  U sum = 0;
  for (std::size_t column = 0; vector != 0; vector >>= 1, ++column) {
    if ((vector & 1) != 0) sum ^= matrix[column];
  }
  return sum;
}

template <std::unsigned_integral U>
Matrix<U> squared(const Matrix<U>& matrix) {
  Matrix<U> out;
  for (std::size_t column = 0; column < out.size(); ++column) out[column] = times(matrix, matrix[column]);
  return out;
}

template <std::unsigned_integral U>
Matrix<U> one_zero_bit(U reflected_polynomial) {
  Matrix<U> out;
  out[0] = reflected_polynomial;
  for (std::size_t column = 1; column < out.size(); ++column) out[column] = U{1} << (column - 1);
  return out;
}

// All three begin and end with an inversion, which cancels out: what is left of `a` is moved over b's length.
template <std::unsigned_integral U>
U joined(U polynomial, U a, U b, std::uint64_t b_bytes) {
  Matrix<U> over = squared(squared(squared(one_zero_bit(polynomial))));  // one byte
  for (; b_bytes != 0; b_bytes >>= 1, over = squared(over)) {
    if ((b_bytes & 1) != 0) a = times(over, a);
  }
  return a ^ b;
}

template <std::unsigned_integral U>
std::optional<Bytes> joined_raw(U polynomial, ByteView a, ByteView b, std::uint64_t b_bytes) {
  if (a.size() != sizeof(U) || b.size() != sizeof(U)) return std::nullopt;
  const auto value_of = [](ByteView raw) {
    U value = 0;
    for (const char byte : raw) value = static_cast<U>(value << 8) | static_cast<unsigned char>(byte);
    return value;
  };
  const U value = joined(polynomial, value_of(a), value_of(b), b_bytes);
  Bytes out;
  for (std::size_t byte = sizeof(U); byte > 0; --byte) {
    out.push_back(static_cast<char>((value >> (8 * (byte - 1))) & 0xff));
  }
  return out;
}

}  // namespace

std::optional<Bytes> join_crcs(ChecksumAlgorithm algorithm, ByteView a, ByteView b, std::uint64_t b_bytes) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32:
      return joined_raw<std::uint32_t>(0xEDB88320U, a, b, b_bytes);
    case ChecksumAlgorithm::kCrc32c:
      return joined_raw<std::uint32_t>(0x82F63B78U, a, b, b_bytes);
    case ChecksumAlgorithm::kCrc64Nvme:
      return joined_raw<std::uint64_t>(0x9A6C9329AC4BC9B5U, a, b, b_bytes);
    case ChecksumAlgorithm::kSha1:
    case ChecksumAlgorithm::kSha256:
      break;
  }
  return std::nullopt;
}

}  // namespace hr::codec
