// How much memory a process and its descendants use, from /proc. Anonymous memory only: what they map from
// files costs nothing that could not be had back.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace hr::worker {

// Zero when it is gone. Exact from `exact_from` bytes on; below, pages that processes of the tree share may
// be counted for each of them, and nothing more is looked at.
std::uint64_t tree_bytes(pid_t root, std::uint64_t exact_from);

// A file of /proc. Empty when its process is gone.
std::string read_proc(const std::string& path);

}  // namespace hr::worker
