#include "headrace/python_program.h"

#include "os/linux/program.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

namespace hr {

Result<std::string> find_python(const std::string& named) {
  const char* path = std::getenv("PATH");
  HR_ASSIGN(std::string found, os::find_program(named, path != nullptr ? path : ""));
  const std::string name = std::filesystem::path(found).filename().string();
  if (!name.starts_with("python") && !name.starts_with("pypy"))
    return fail(Errc::kInvalid, fmt::format("{} is no Python: name an interpreter", named));
  return found;
}

}  // namespace hr
