#include "headrace/host_python.h"

#include "headrace/command.h"

#include <fmt/format.h>

#include <filesystem>
#include <pwd.h>
#include <sys/stat.h>
#include <vector>

namespace hr {
namespace {

namespace fs = std::filesystem;

bool has_package(const fs::path& environment) {
  std::error_code ignored;
  const std::string package = fmt::format("headrace-{}.dist-info", kVersion);
  for (const auto& each : fs::directory_iterator(environment / "lib", ignored))
    if (fs::exists(each.path() / "site-packages" / package, ignored)) return true;
  return false;
}

}  // namespace

std::string bring_python_package(const HostGround& ground) {
  const host::Machine& machine = ground.machine;
  if (!machine.has_web() && machine.of(host::Kind::kWorker).empty()) return "";
  const fs::path environment = fs::path(machine.config.app.python).parent_path().parent_path();
  std::error_code ignored;
  if (!fs::exists(environment / "pyvenv.cfg", ignored) || has_package(environment)) return "";
  struct stat seen{};
  if (::stat(environment.c_str(), &seen) != 0) return "";
  std::vector<std::string> command;
  // Programs in it are its owner's: root does not run them.
  if (seen.st_uid != 0) {
    const passwd* owner = ::getpwuid(seen.st_uid);
    if (owner == nullptr) return fmt::format("{} belongs to nobody who is known", environment.string());
    command = {"runuser", "-u", owner->pw_name, "--"};
  }
  command.insert(command.end(), {machine.facts.program, "python", "install", environment.string()});
  const auto said = ground.tools->run(command);
  if (!said) return said.error().message;
  return said->code == 0 ? "" : said->text;
}

}  // namespace hr
