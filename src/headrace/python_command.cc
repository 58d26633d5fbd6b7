// `headrace python install PATH`: finds the wheel that ships with the program and the interpreter, and
// becomes that interpreter, which runs the installer out of the wheel (python/headrace/_install.py).
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/python_program.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/utsname.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace hr {
namespace {

namespace fs = std::filesystem;

// Runs in every Python from 2.7 on, so that an old one is refused by its name. The first entry of sys.path is
// the current folder, whose modules are nobody's business here.
constexpr const char* kBootstrap = R"(
import sys
sys.path.pop(0)
wheel = sys.argv[1]
if sys.version_info < (3, 11):
    sys.stderr.write('headrace: %s is Python %s; headrace needs CPython 3.11 or newer\n'
                     % (sys.executable, sys.version.split()[0]))
    sys.exit(2)
import zipfile
source = zipfile.ZipFile(wheel).read('headrace/_install.py')
exec(compile(source, wheel + '/headrace/_install.py', 'exec'), {'__name__': '__main__', 'WHEEL': wheel})
)";

std::string machine() {
  utsname names{};
  return ::uname(&names) == 0 ? names.machine : "x86_64";
}

// $HEADRACE_WHEEL, else beside the program, else where a package puts it.
std::optional<fs::path> find_wheel(std::string& tried) {
  std::vector<fs::path> candidates;
  if (const char* named = std::getenv("HEADRACE_WHEEL"); named != nullptr && *named != '\0') {
    candidates.emplace_back(named);
  } else {
    std::error_code error;
    const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
    const std::string file = fmt::format("headrace-{}-cp311-abi3-linux_{}.whl", kVersion, machine());
    candidates = {folder / file, folder.parent_path() / "share" / "headrace" / file};
  }
  for (const fs::path& candidate : candidates) {
    std::error_code error;
    if (fs::is_regular_file(candidate, error)) return fs::absolute(candidate, error);
    tried += (tried.empty() ? "" : ", ") + candidate.string();
  }
  return std::nullopt;
}

// A virtual environment's folder stands for the Python in it; anything else is a program, by path or by name.
std::optional<std::string> python_of(const std::string& named) {
  std::error_code error;
  if (!fs::is_directory(named, error)) return named;
  for (const char* inside : {"bin/python", "bin/python3"}) {
    const fs::path candidate = fs::path(named) / inside;
    if (fs::exists(candidate, error)) return candidate.string();
  }
  return std::nullopt;
}

int run(const std::string& named) {
  std::string tried;
  const auto wheel = find_wheel(tried);
  if (!wheel) {
    return usage_error(fmt::format(
        "the wheel of the Python package is not at {}: install Headrace again, or set HEADRACE_WHEEL",
        tried));
  }
  const auto python = python_of(named);
  if (!python) {
    return usage_error(fmt::format(
        "{} holds no Python (bin/python): make an environment with `python3 -m venv {}`", named, named));
  }
  const auto program = find_python(*python);
  if (!program) return usage_error(program.error().message + "; or name a venv's folder");
  std::array<const char*, 7> arguments = {program->c_str(), "-E",           "-s",   "-c",
                                          kBootstrap,       wheel->c_str(), nullptr};
  ::execv(program->c_str(), const_cast<char* const*>(arguments.data()));
  return usage_error(fmt::format("{} cannot be run: {}; name a venv's folder or an interpreter", *python,
                                 std::strerror(errno)));
}

}  // namespace

Command python_command(CLI::App& app) {
  const auto path = std::make_shared<std::string>();
  CLI::App* python = app.add_subcommand("python", "Bring the Python package into an interpreter");
  python->require_subcommand(1);
  CLI::App* install =
      python->add_subcommand("install", "Install the package headrace, without a network and without pip");
  install->add_option("PATH", *path, "Folder of a virtual environment, or a Python program")->required();
  install->footer("Exit codes: 0 installed, 1 failed, 2 this Python or folder cannot have it.");
  return {python, [path] { return run(*path); }};
}

}  // namespace hr
