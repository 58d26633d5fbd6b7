#include "os/linux/program.h"

#include <fmt/format.h>

#include <filesystem>
#include <unistd.h>

namespace hr::os {
namespace {

bool runs(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

Result<std::string> find_program(const std::string& name, std::string_view path) {
  if (name.contains('/')) {
    if (runs(name)) return name;
    std::error_code ignored;
    if (!std::filesystem::exists(name, ignored))
      return fail(Errc::kNotFound, fmt::format("{}: no such program", name));
    return fail(Errc::kInvalid, fmt::format("{}: is not a program that may be run", name));
  }
  for (std::string_view left = path.empty() ? kUsualPath : path; !left.empty();) {
    const std::size_t colon = left.find(':');
    const std::string_view folder = left.substr(0, colon);
    std::string candidate = fmt::format("{}/{}", folder.empty() ? "." : folder, name);
    if (runs(candidate)) return candidate;
    left = colon == left.npos ? std::string_view() : left.substr(colon + 1);
  }
  return fail(Errc::kNotFound, fmt::format("{}: no such program in PATH", name));
}

}  // namespace hr::os
