// `headrace manual FOLDER`: writes the man pages and completions. For whoever packs the program.
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/manual.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

namespace hr {
namespace {

bool write(const std::filesystem::path& path, const std::string& text) {
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  return static_cast<bool>(out.flush());
}

int run(const CLI::App& app, const std::filesystem::path& folder) {
  bool good = write(folder / "bash/headrace", bash_completion(app)) &&
              write(folder / "zsh/_headrace", zsh_completion(app)) &&
              write(folder / "fish/headrace.fish", fish_completion(app));
  for (const auto& [name, text] : man_pages(app, kVersion)) good = good && write(folder / "man" / name, text);
  if (good) return kExitOk;
  fmt::print(stderr, "headrace: {} cannot be written\n", folder.string());
  return kExitUnavailable;
}

}  // namespace

Command manual_command(CLI::App& app) {
  const auto folder = std::make_shared<std::string>();
  CLI::App* line = app.add_subcommand("manual", "Write man pages and shell completions into a folder");
  line->add_option("folder", *folder, "Where: man/, bash/, zsh/ and fish/ are made in it")->required();
  line->footer("Exit codes: 0 written, 2 usage, 4 the folder cannot be written.");
  return {line, [folder, &app] { return run(app, *folder); }};
}

}  // namespace hr
