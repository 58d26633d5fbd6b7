#include "headrace/host_ground.h"

#include "codec/digest.h"
#include "headrace/client_settings.h"
#include "headrace/command.h"
#include "headrace/config_file.h"
#include "headrace/up_state.h"
#include "host/render/host.h"
#include "os/linux/linux.h"
#include "os/linux/process.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

namespace hr {
namespace {

constexpr const char* kHostConfig = "/etc/headrace/headrace.toml";
constexpr const char* kInstalled = "/usr/bin/headrace";

std::string absolute(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::absolute(path, ignored).lexically_normal().string();
}

std::string config_file(const HostFlags& flags) {
  if (!flags.config_file.empty()) return absolute(flags.config_file);
  std::error_code ignored;
  if (std::filesystem::exists(kHostConfig, ignored)) return kHostConfig;
  const std::string found = locate_config();
  return found.empty() ? "" : absolute(found);
}

// The installed program where there is one: units must not name a folder that somebody builds in.
std::string program() {
  std::error_code ignored;
  if (std::filesystem::exists(kInstalled, ignored)) return kInstalled;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).string();
}

}  // namespace

void add_host_flags(CLI::App& line, HostFlags& flags) {
  line.add_option(
      "--config", flags.config_file,
      "Configuration file (default: /etc/headrace/headrace.toml, else the nearest headrace.toml)");
  line.add_option("--root", flags.root, "A folder that stands for the host: only its files are looked at");
  line.add_flag("--json", flags.json, "Print JSON");
}

Result<HostGround> host_ground(const HostFlags& flags) {
  const std::string file = config_file(flags);
  if (file.empty())
    return fail(Errc::kNotFound,
                fmt::format("no {} and no headrace.toml in this folder or above; name one with "
                            "--config FILE",
                            kHostConfig));
  HR_ASSIGN(Config config, read_config(file));
  config.file = file;
  HR_ASSIGN(const std::string text, read_text(file));
  HostGround out;
  out.processes = os::make_processes();
  out.clock = os::make_clock(Time{});
  out.entropy = os::make_entropy();
  const char* path = std::getenv("PATH");
  out.tools = host::make_tools(*out.processes, path != nullptr ? path : "/usr/bin:/bin");
  HR_ASSIGN(host::Tree tree, host::Tree::open(absolute(flags.root)));
  out.tree.emplace(std::move(tree));
  host::HostFacts facts = host::gather_facts(*out.tools, *out.tree, program());
  // With the program's version: an upgrade is a change, which the next apply makes.
  facts.config_digest = codec::sha256_hex(std::string(kVersion) + "\n" + text).substr(0, 16);
  facts.config_text = text;
  HR_ASSIGN(out.machine, host::machine_of(config, facts));
  out.files = host::render_host(out.machine);
  return out;
}

}  // namespace hr
