#include "os/path.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr::os {
namespace {

bool allowed(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == '-';
}

bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && name != "." && name != ".." &&
         std::ranges::all_of(name, allowed);
}

}  // namespace

Status check_file_path(std::string_view path) {
  if (path.size() > kPathBytesMax) {
    return fail(Errc::kInvalid,
                fmt::format("a path of {} bytes is longer than {}", path.size(), kPathBytesMax));
  }
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    if (!valid_name(path.substr(at, end - at))) {
      return fail(Errc::kInvalid, fmt::format("\"{}\" is not a path of names made of A-Za-z0-9._-", path));
    }
    at = end + 1;
  }
  return {};
}

Status check_dir_path(std::string_view path) {
  if (path.empty()) return {};
  return check_file_path(path);
}

std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace hr::os
