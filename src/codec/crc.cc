#include "codec/crc_portable.h"
#include "codec/digest.h"

#include <bit>
#include <concepts>
#include <cstring>
#include <limits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hr::codec {
namespace {

// The polynomials with the coefficient of x^0 in the highest bit ("reflected"), as all three CRCs use them.
constexpr std::uint32_t kIeee = 0xEDB88320u;
constexpr std::uint32_t kCastagnoli = 0x82F63B78u;
constexpr std::uint64_t kNvme = 0x9A6C9329AC4BC9B5u;

template <std::unsigned_integral U>
using Tables = std::array<std::array<U, 256>, 8>;

// tables[k][b]: the CRC of byte b followed by k zero bytes, for slicing by 8.
template <std::unsigned_integral U>
constexpr Tables<U> make_tables(U polynomial) {
  Tables<U> tables{};
  for (std::size_t b = 0; b < 256; ++b) {
    U crc = static_cast<U>(b);
    for (int bit = 0; bit < 8; ++bit) crc = static_cast<U>((crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0));
    tables[0][b] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t b = 0; b < 256; ++b) {
      const U before = tables[k - 1][b];
      tables[k][b] = static_cast<U>((before >> 8) ^ tables[0][before & 0xff]);
    }
  }
  return tables;
}

template <auto kPolynomial>
constexpr auto kTables = make_tables(kPolynomial);

std::uint64_t load64(const char* at) {
  std::uint64_t v;
  std::memcpy(&v, at, sizeof v);
  return v;
}

// Moves the unfinished state over `data`.
template <auto kPolynomial>
auto sliced(ByteView data, decltype(kPolynomial) state) {
  using U = decltype(kPolynomial);
  static_assert(std::endian::native == std::endian::little);
  const auto& t = kTables<kPolynomial>;
  const char* at = data.data();
  std::size_t left = data.size();
  for (; left >= 8; at += 8, left -= 8) {
    const std::uint64_t v = load64(at) ^ state;
    state = 0;
    for (unsigned k = 0; k < 8; ++k) state ^= t[7 - k][(v >> (8 * k)) & 0xff];
  }
  for (; left > 0; ++at, --left) {
    state = static_cast<U>((state >> 8) ^ t[0][(state ^ static_cast<unsigned char>(*at)) & 0xff]);
  }
  return state;
}

#if defined(__x86_64__)

template <std::unsigned_integral U>
constexpr U reversed(U v) {
  U out = 0;
  for (int i = 0; i < std::numeric_limits<U>::digits; ++i, v >>= 1)
    out = static_cast<U>((out << 1) | (v & 1));
  return out;
}

// x^n modulo the polynomial, as a 64-bit reflected value (x^63 in bit 0).
template <std::unsigned_integral U>
constexpr std::uint64_t power_of_x(unsigned n, U reflected_polynomial) {
  const U polynomial = reversed(reflected_polynomial);
  const U top = U{1} << (std::numeric_limits<U>::digits - 1);
  U value = 1;
  for (; n > 0; --n) value = static_cast<U>((value << 1) ^ ((value & top) != 0 ? polynomial : 0));
  return reversed(std::uint64_t{value});
}

// Multiplying the halves of a 16-byte block by these moves it `bits` further along the message. The product
// of two reflected values is one bit short, hence the -1.
template <auto kPolynomial, unsigned kBits>
__attribute__((target("pclmul,sse4.1"))) inline __m128i fold(__m128i block, __m128i next) {
  constexpr std::uint64_t low = power_of_x(kBits + 63, kPolynomial);
  constexpr std::uint64_t high = power_of_x(kBits - 1, kPolynomial);
  const __m128i k = _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
  const __m128i moved =
      _mm_xor_si128(_mm_clmulepi64_si128(block, k, 0x00), _mm_clmulepi64_si128(block, k, 0x11));
  return _mm_xor_si128(moved, next);
}

__attribute__((target("pclmul,sse4.1"))) inline __m128i load128(const char* at) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}

// Folds the message, four blocks abreast, into 16 bytes of the same CRC. Needs at least 64 bytes.
template <auto kPolynomial>
__attribute__((target("pclmul,sse4.1"))) auto folded(ByteView data, decltype(kPolynomial) state) {
  const char* at = data.data();
  std::size_t left = data.size() - 64;
  __m128i a = _mm_xor_si128(load128(at),
                            _mm_set_epi64x(0, static_cast<long long>(static_cast<std::uint64_t>(state))));
  __m128i b = load128(at + 16);
  __m128i c = load128(at + 32);
  __m128i d = load128(at + 48);
  for (at += 64; left >= 64; at += 64, left -= 64) {
    a = fold<kPolynomial, 512>(a, load128(at));
    b = fold<kPolynomial, 512>(b, load128(at + 16));
    c = fold<kPolynomial, 512>(c, load128(at + 32));
    d = fold<kPolynomial, 512>(d, load128(at + 48));
  }
  __m128i x = fold<kPolynomial, 128>(fold<kPolynomial, 128>(fold<kPolynomial, 128>(a, b), c), d);
  for (; left >= 16; at += 16, left -= 16) x = fold<kPolynomial, 128>(x, load128(at));
  std::array<char, 16> rest;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(rest.data()), x);
  state = sliced<kPolynomial>({rest.data(), rest.size()}, 0);
  return sliced<kPolynomial>({at, left}, state);
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_instruction(ByteView data, std::uint32_t state) {
  const char* at = data.data();
  std::size_t left = data.size();
  std::uint64_t wide = state;
  for (; left >= 8; at += 8, left -= 8) wide = _mm_crc32_u64(wide, load64(at));
  state = static_cast<std::uint32_t>(wide);
  for (; left > 0; ++at, --left) state = _mm_crc32_u8(state, static_cast<unsigned char>(*at));
  return state;
}

bool has_pclmul() {
  static const bool has = __builtin_cpu_supports("pclmul") != 0 && __builtin_cpu_supports("sse4.1") != 0;
  return has;
}

bool has_sse42() {
  static const bool has = __builtin_cpu_supports("sse4.2") != 0;
  return has;
}

constexpr std::size_t kFoldFrom = 128;  // shorter messages gain nothing

template <auto kPolynomial>
auto best(ByteView data, decltype(kPolynomial) state) {
  return data.size() >= kFoldFrom && has_pclmul() ? folded<kPolynomial>(data, state)
                                                  : sliced<kPolynomial>(data, state);
}

// The instruction alone waits three cycles for every 8 bytes; folding long messages is faster.
constexpr std::size_t kFoldCrc32cFrom = 512;

std::uint32_t best_crc32c(ByteView data, std::uint32_t state) {
  if (data.size() >= kFoldCrc32cFrom && has_pclmul()) return folded<kCastagnoli>(data, state);
  return has_sse42() ? crc32c_instruction(data, state) : sliced<kCastagnoli>(data, state);
}

#else

template <auto kPolynomial>
auto best(ByteView data, decltype(kPolynomial) state) {
  return sliced<kPolynomial>(data, state);
}

std::uint32_t best_crc32c(ByteView data, std::uint32_t state) { return sliced<kCastagnoli>(data, state); }

#endif

}  // namespace

std::uint32_t crc32(ByteView data, std::uint32_t seed) { return ~best<kIeee>(data, ~seed); }
std::uint32_t crc32c(ByteView data, std::uint32_t seed) { return ~best_crc32c(data, ~seed); }
std::uint64_t crc64_nvme(ByteView data, std::uint64_t seed) { return ~best<kNvme>(data, ~seed); }

namespace portable {

std::uint32_t crc32(ByteView data, std::uint32_t seed) { return ~sliced<kIeee>(data, ~seed); }
std::uint32_t crc32c(ByteView data, std::uint32_t seed) { return ~sliced<kCastagnoli>(data, ~seed); }
std::uint64_t crc64_nvme(ByteView data, std::uint64_t seed) { return ~sliced<kNvme>(data, ~seed); }

}  // namespace portable
}  // namespace hr::codec
