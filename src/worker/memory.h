// How much memory a process and its descendants use, from /proc. Anonymous memory only: what they map from
// files costs nothing that could not be had back.
#pragma once

#include <cstdint>
#include <sys/types.h>

namespace hr::worker {

// Zero when it is gone. Exact from `exact_from` bytes on; below, pages that processes of the tree share may
// be counted for each of them, and nothing more is looked at.
std::uint64_t tree_bytes(pid_t root, std::uint64_t exact_from);

}  // namespace hr::worker
