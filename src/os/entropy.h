// Randomness as an argument, so that a simulation can be repeated from its seed.
#pragma once

#include "base/uuid.h"

#include <cstdint>
#include <span>

namespace hr::os {

// Thread-safe.
class Entropy {
 public:
  virtual ~Entropy() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;  // cryptographically strong in the real one

  Uuid uuid() {
    std::array<std::uint8_t, 16> random{};
    fill(random);
    return Uuid::v4(random);
  }
  std::uint64_t u64() {
    std::array<std::uint8_t, 8> random{};
    fill(random);
    std::uint64_t v = 0;
    for (const std::uint8_t byte : random) v = v << 8 | byte;
    return v;
  }
};

}  // namespace hr::os
