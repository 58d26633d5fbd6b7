// The table-driven CRCs: what runs where the CPU has no help, and what the accelerated ones are tested
// against. Same meaning as in digest.h, which is the header to use.
#pragma once

#include "base/bytes.h"

#include <cstdint>

namespace hr::codec::portable {

std::uint32_t crc32(ByteView data, std::uint32_t seed);
std::uint32_t crc32c(ByteView data, std::uint32_t seed);
std::uint64_t crc64_nvme(ByteView data, std::uint64_t seed);

}  // namespace hr::codec::portable
