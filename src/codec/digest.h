// Digests and checksums of bytes: MD5, SHA-1, SHA-256, HMAC, CRC-32, CRC-32C, CRC-64/NVME, and the choice
// between S3's five checksum algorithms at run time. Values: copying one forks the computation. Nothing
// here allocates but the returned strings, and nothing fails except parsing a name.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace hr::codec {

// Room for libcrypto's plain hash contexts, which stay out of this header.
struct DigestState {
  alignas(16) std::array<std::byte, 128> bytes;
};

// After finish() the object holds no usable state; copy it before if the computation goes on.
class Md5 {
 public:
  static constexpr std::size_t kSize = 16;
  Md5();
  void update(ByteView data);
  Bytes finish();  // 16 raw bytes
  void finish(char* out);

 private:
  DigestState state_;
};

class Sha1 {
 public:
  static constexpr std::size_t kSize = 20;
  static constexpr std::size_t kBlock = 64;
  Sha1();
  void update(ByteView data);
  Bytes finish();  // 20 raw bytes
  void finish(char* out);

 private:
  DigestState state_;
};

class Sha256 {
 public:
  static constexpr std::size_t kSize = 32;
  static constexpr std::size_t kBlock = 64;
  Sha256();
  void update(ByteView data);
  Bytes finish();  // 32 raw bytes
  void finish(char* out);

 private:
  DigestState state_;
};

// One call. "raw" is the digest's bytes, "_hex" lower-case hexadecimal.
Bytes md5(ByteView data);
Bytes md5_hex(ByteView data);
Bytes sha1(ByteView data);
Bytes sha1_hex(ByteView data);
Bytes sha256(ByteView data);
Bytes sha256_hex(ByteView data);

// RFC 2104; raw bytes.
Bytes hmac_sha1(ByteView key, ByteView data);
Bytes hmac_sha256(ByteView key, ByteView data);

// The time depends on the lengths only. Different lengths are unequal.
bool constant_time_equal(ByteView a, ByteView b);

// CRCs in their usual finished form. `seed` is the value over the bytes before: crc32c(b, crc32c(a)) is
// crc32c(a + b), and 0 is the value over no bytes.
std::uint32_t crc32(ByteView data, std::uint32_t seed = 0);   // IEEE 802.3
std::uint32_t crc32c(ByteView data, std::uint32_t seed = 0);  // Castagnoli; SSE4.2 where the CPU has it
std::uint64_t crc64_nvme(ByteView data, std::uint64_t seed = 0);

class Crc32 {
 public:
  explicit Crc32(std::uint32_t seed = 0) : value_(seed) {}
  void update(ByteView data) { value_ = crc32(data, value_); }
  std::uint32_t value() const { return value_; }

 private:
  std::uint32_t value_;
};

class Crc32c {
 public:
  explicit Crc32c(std::uint32_t seed = 0) : value_(seed) {}
  void update(ByteView data) { value_ = crc32c(data, value_); }
  std::uint32_t value() const { return value_; }

 private:
  std::uint32_t value_;
};

class Crc64Nvme {
 public:
  explicit Crc64Nvme(std::uint64_t seed = 0) : value_(seed) {}
  void update(ByteView data) { value_ = crc64_nvme(data, value_); }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_;
};

// S3's additional checksums.
enum class ChecksumAlgorithm : std::uint8_t { kCrc32, kCrc32c, kCrc64Nvme, kSha1, kSha256 };

std::string_view to_string(ChecksumAlgorithm algorithm);                    // "CRC64NVME"
std::string_view checksum_header(ChecksumAlgorithm algorithm);              // "x-amz-checksum-crc64nvme"
Result<ChecksumAlgorithm> parse_checksum_algorithm(std::string_view text);  // S3's spelling, exactly
std::optional<ChecksumAlgorithm> checksum_of_header(
    std::string_view lower_case_name);                   // by its header's name
std::size_t checksum_size(ChecksumAlgorithm algorithm);  // bytes of the raw value

// The CRC over a + b, from the raw values over a and over b and the length of b. Only of the CRCs; none: a
// value of the wrong size, or an algorithm that cannot be joined.
std::optional<Bytes> join_crcs(ChecksumAlgorithm algorithm, ByteView a, ByteView b, std::uint64_t b_bytes);

// A checksum whose algorithm is chosen at run time.
class Checksummer {
 public:
  explicit Checksummer(ChecksumAlgorithm algorithm);
  ChecksumAlgorithm algorithm() const { return algorithm_; }
  void update(ByteView data);
  Bytes raw() const;     // CRCs big-endian, as S3 shows them; update() may go on afterwards
  Bytes base64() const;  // what S3's headers carry

 private:
  ChecksumAlgorithm algorithm_;
  std::variant<Crc32, Crc32c, Crc64Nvme, Sha1, Sha256> state_;
};

}  // namespace hr::codec
