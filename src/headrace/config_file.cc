#include "headrace/config_file.h"

#include "host/machine.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace hr {
namespace {

// Paths are relative to the file; the copy that roles of a host read says where the file is.
std::filesystem::path folder_of(const std::string& path, std::string_view text) {
  const std::size_t last = text.rfind('\n', text.size() - 2);
  std::string_view line = text.substr(last == text.npos ? 0 : last + 1);
  std::error_code ignored;
  if (path != host::kAppliedConfig || !line.starts_with(host::kPathsBegin))
    return std::filesystem::absolute(path, ignored).parent_path();
  line.remove_prefix(host::kPathsBegin.size());
  return {line.substr(0, line.find('\n'))};
}

}  // namespace

Result<Config> read_config(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return fail(Errc::kNotFound, fmt::format("{}: no such configuration file", path));
  }
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return fail(Errc::kPermission, fmt::format("{}: cannot be read", path));
  std::string text;
  char buffer[4096];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
  std::fclose(file);
  HR_ASSIGN(Config config, parse_config(text, path));
  const auto folder = folder_of(path, text);
  const auto resolve = [&](std::string& relative) {
    if (relative.empty() || relative.front() == '/') return;
    relative = (folder / relative).lexically_normal().string();
    while (relative.size() > 1 && relative.ends_with('/')) relative.pop_back();  // of "."
  };
  for (std::string* each :
       {&config.store.path, &config.store.socket, &config.app.root, &config.site.certificate,
        &config.site.key, &config.site.files, &config.host.logs_authority})
    resolve(*each);
  for (std::string& each : config.app.writable) resolve(each);
  if (config.app.python.contains('/')) resolve(config.app.python);
  return config;
}

Result<Config> find_config(const std::string& named) {
  if (!named.empty()) return read_config(named);
  std::error_code ignored;
  if (std::filesystem::exists("headrace.toml", ignored)) return read_config("headrace.toml");
  return Config{};
}

}  // namespace hr
