// One file of the host's configuration as it should be: what every renderer returns. Owned by root:root.
#pragma once

#include <cstdint>
#include <string>

namespace hr::host {

struct File {
  std::string path;  // absolute, on the host
  std::string text;
  std::uint32_t mode = 0644;
  bool operator==(const File&) const = default;
};

}  // namespace hr::host
