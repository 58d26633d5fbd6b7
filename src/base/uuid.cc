#include "base/uuid.h"

namespace hr {

Uuid Uuid::v4(std::array<std::uint8_t, 16> random) {
  random[6] = static_cast<std::uint8_t>((random[6] & 0x0f) | 0x40);
  random[8] = static_cast<std::uint8_t>((random[8] & 0x3f) | 0x80);
  return Uuid{random};
}

std::string Uuid::text() const {
  std::string out = to_hex(view());
  for (const std::size_t at : {8UL, 13UL, 18UL, 23UL}) out.insert(at, 1, '-');
  return out;
}

}  // namespace hr
