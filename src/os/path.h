// The names a Disk takes: relative paths of one or more names, '/' between them, each 1 to 255 bytes of
// [A-Za-z0-9._-] and neither "." nor "..". "" is the root, for calls that take a folder.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <string_view>

namespace hr::os {

inline constexpr std::size_t kNameBytesMax = 255;
inline constexpr std::size_t kPathBytesMax = 1024;

Status check_file_path(std::string_view path);
Status check_dir_path(std::string_view path);  // "" too

// "a/b/c" -> "a/b"; "c" -> "".
std::string_view parent_of(std::string_view path);
// "a/b/c" -> "c".
std::string_view name_of(std::string_view path);

}  // namespace hr::os
