#include "worker/memory.h"

#include <fmt/format.h>

#include <charconv>
#include <dirent.h>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace hr::worker {
namespace {

constexpr std::size_t kProcessesMax = 4'096;  // of one tree; a fork bomb is not counted to its end

// The numbers of a text, as far as there are any.
std::vector<std::uint64_t> numbers(std::string_view text) {
  std::vector<std::uint64_t> out;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    std::uint64_t value = 0;
    const auto [after, error] = std::from_chars(at, end, value);
    if (error == std::errc()) out.push_back(value);
    at = error == std::errc() ? after : at + 1;
  }
  return out;
}

// Each thread has the children that it forked.
void add_children(pid_t pid, std::vector<pid_t>& out) {
  const std::string folder = fmt::format("/proc/{}/task", pid);
  DIR* threads = ::opendir(folder.c_str());
  if (threads == nullptr) return;
  while (const dirent* entry = ::readdir(threads)) {  // NOLINT(concurrency-mt-unsafe): one stream, one thread
    if (entry->d_name[0] == '.') continue;
    for (const auto child : numbers(read_proc(fmt::format("{}/{}/children", folder, entry->d_name)))) {
      out.push_back(static_cast<pid_t>(child));
    }
  }
  ::closedir(threads);
}

// Pages in memory that are not a file's.
std::uint64_t roughly(pid_t pid) {
  const auto pages = numbers(read_proc(fmt::format("/proc/{}/statm", pid)));
  if (pages.size() < 3 || pages[1] < pages[2]) return 0;
  return (pages[1] - pages[2]) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// Each page divided by how many have it; swapped ones too.
std::uint64_t exactly(pid_t pid) {
  const std::string text = read_proc(fmt::format("/proc/{}/smaps_rollup", pid));
  std::uint64_t kib = 0;
  for (const std::string_view name : {"\nPss_Anon:", "\nSwapPss:"}) {
    const std::size_t at = text.find(name);
    if (at == text.npos) continue;
    const std::size_t from = at + name.size();
    const auto found = numbers(std::string_view(text).substr(from, text.find('\n', from) - from));
    if (!found.empty()) kib += found.front();
  }
  return kib * 1024;
}

}  // namespace

std::string read_proc(const std::string& path) {
  std::string out;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return out;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof buffer)) > 0;)
    out.append(buffer, static_cast<std::size_t>(n));
  ::close(fd);
  return out;
}

std::uint64_t tree_bytes(pid_t root, std::uint64_t exact_from) {
  std::vector<pid_t> tree = {root};
  for (std::size_t i = 0; i < tree.size() && tree.size() < kProcessesMax; ++i) add_children(tree[i], tree);
  std::uint64_t bytes = 0;
  for (const pid_t pid : tree) bytes += roughly(pid);
  if (bytes < exact_from) return bytes;
  bytes = 0;
  for (const pid_t pid : tree) bytes += exactly(pid);
  return bytes;
}

}  // namespace hr::worker
