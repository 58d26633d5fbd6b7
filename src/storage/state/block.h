// What a part of a captured state is called: a kind of the layer above, and which of that kind.
#pragma once

#include <compare>
#include <cstdint>

namespace hr::storage {

struct BlockKey {
  std::uint8_t kind = 0;
  std::uint32_t page = 0;
  auto operator<=>(const BlockKey&) const = default;
};

}  // namespace hr::storage
