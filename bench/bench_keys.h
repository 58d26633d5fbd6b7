// The keys of a bucket that is filled for listing: under common prefixes, evenly.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace hr::bench {

inline std::string prefix_of(std::uint64_t number) { return fmt::format("p{:06}/", number); }

inline std::string key_of(std::uint64_t number, std::uint64_t prefixes) {
  return fmt::format("{}k{:09}", prefix_of(number % prefixes), number);
}

}  // namespace hr::bench
