// Whether the disk has so little room that only deletes are taken. Low below the mark, and until an eighth
// more than it is free: what a delete frees is not to be filled again at once. A value; asks nobody.
#pragma once

#include "os/disk.h"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace hr {

class SpaceWatch {
 public:
  static constexpr std::uint64_t kShare = 50;  // of the file system
  static constexpr std::uint64_t kMost = 1ULL << 30;
  static constexpr std::uint64_t kMargin = 8;

  // `keep`: none, a share of the file system.
  explicit SpaceWatch(std::optional<std::uint64_t> keep = {}) : keep_(keep) {}

  bool look(const os::Space& space) {
    free_ = space.free_bytes;
    mark_ = keep_.value_or(std::min(space.total_bytes / kShare, kMost));
    low_ = free_ < (low_ ? mark_ + mark_ / kMargin : mark_);
    return low_;
  }
  bool low() const { return low_; }
  std::uint64_t free_bytes() const { return free_; }
  std::uint64_t mark() const { return mark_; }

 private:
  std::optional<std::uint64_t> keep_;
  std::uint64_t free_ = 0, mark_ = 0;
  bool low_ = false;
};

}  // namespace hr
