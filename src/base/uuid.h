// A 128-bit identifier: message ids, request ids, job ids. The bytes come from os::Entropy, as an argument.
#pragma once

#include "base/bytes.h"

#include <array>
#include <cstdint>
#include <string>

namespace hr {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  // Version 4 (RFC 9562, section 5.4) from 16 random bytes.
  static Uuid v4(std::array<std::uint8_t, 16> random);

  std::string text() const;  // 8-4-4-4-12, lower case
  ByteView view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

  auto operator<=>(const Uuid&) const = default;
};

}  // namespace hr
