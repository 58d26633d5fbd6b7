// A file system of four files, for tests of power cuts: "disk", whose writes and flushes are remembered in
// their order (a loop device and a real file system stand on it); "notes", whose writes are put into that
// order; "control", which takes commands; "journal", to read what happened. disk_image.h says what they do.
//
//   powerloss_disk FOLDER MIB      serves them in FOLDER until it is unmounted, or whoever started it ends
//
// One thread: the order in which it takes requests is the order of things.
#define FUSE_USE_VERSION 31
#include "disk_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fuse3/fuse.h>
#include <memory>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/prctl.h>

namespace {

using hr::powerloss::DiskImage;

constexpr std::array<std::string_view, 4> kFiles = {"/disk", "/notes", "/control", "/journal"};

struct Served {
  DiskImage disk;
  std::string journal;  // as of its last opening
};

Served& served() { return *static_cast<Served*>(fuse_get_context()->private_data); }

bool is_disk(const char* path) { return kFiles[0] == path; }

int get_attributes(const char* path, struct stat* out, fuse_file_info* /*file*/) {
  std::memset(out, 0, sizeof *out);
  if (std::string_view(path) == "/") {
    out->st_mode = S_IFDIR | 0700;
    out->st_nlink = 2;
    return 0;
  }
  if (std::ranges::find(kFiles, path) == kFiles.end()) return -ENOENT;
  out->st_mode = S_IFREG | 0600;
  out->st_nlink = 1;
  out->st_size = is_disk(path) ? static_cast<off_t>(served().disk.bytes()) : 0;
  return 0;
}

int open_file(const char* path, fuse_file_info* file) {
  if (std::ranges::find(kFiles, path) == kFiles.end()) return -ENOENT;
  file->direct_io = 1;  // nothing may stand between: what is read is what is there now
  if (std::string_view(path) == "/journal") served().journal = served().disk.journal();
  return 0;
}

int truncate_file(const char* /*path*/, off_t /*bytes*/, fuse_file_info* /*file*/) { return 0; }

int read_file(const char* path, char* out, std::size_t size, off_t offset, fuse_file_info* /*file*/) {
  const auto at = static_cast<std::uint64_t>(offset);
  if (is_disk(path)) {
    if (at >= served().disk.bytes()) return 0;
    size = std::min<std::size_t>(size, served().disk.bytes() - at);
    served().disk.read(at, std::span(out, size));
    return static_cast<int>(size);
  }
  const std::string& text = served().journal;
  if (at >= text.size()) return 0;
  size = std::min<std::size_t>(size, text.size() - at);
  std::memcpy(out, text.data() + at, size);
  return static_cast<int>(size);
}

int write_file(const char* path, const char* data, std::size_t size, off_t offset, fuse_file_info* /*file*/) {
  const std::string_view bytes(data, size);
  const std::string_view name = path;
  if (is_disk(path)) {
    const auto at = static_cast<std::uint64_t>(offset);
    if (at + size > served().disk.bytes()) return -ENOSPC;
    if (const int error = served().disk.write(at, bytes); error != 0) return -error;
  } else if (name == "/notes") {
    served().disk.note(bytes.substr(0, bytes.find('\n')));
  } else if (name == "/control") {
    if (const auto done = served().disk.command(bytes); !done) {
      fmt::print(stderr, "powerloss_disk: {}\n", done.error().message);
      return -EINVAL;
    }
  } else {
    return -EACCES;
  }
  return static_cast<int>(size);
}

int sync_file(const char* path, int /*data_only*/, fuse_file_info* /*file*/) {
  if (!is_disk(path)) return 0;
  if (const auto delay = served().disk.delay(); delay.count() > 0) {
    ::poll(nullptr, 0, static_cast<int>(delay.count()));  // a slow disk: the delay is what is tested
  }
  return -served().disk.flush();
}

fuse_operations operations() {
  fuse_operations known{};
  known.getattr = get_attributes;
  known.open = open_file;
  known.truncate = truncate_file;
  known.read = read_file;
  known.write = write_file;
  known.fsync = sync_file;
  return known;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t mib = 0;
  if (argc == 3) std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), mib);
  if (mib == 0 || mib > 64 << 10) {
    fmt::print(stderr, "usage: powerloss_disk FOLDER MIB\n");
    return 2;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // not longer than the test
  Served state{.disk = DiskImage(mib << 20), .journal = {}};
  std::array<std::string, 6> arguments = {argv[0], argv[1], "-f", "-s", "-o", "default_permissions"};
  std::array<char*, 6> pointers{};
  std::ranges::transform(arguments, pointers.begin(), [](std::string& s) { return s.data(); });
  const fuse_operations known = operations();
  return fuse_main(static_cast<int>(pointers.size()), pointers.data(), &known, &state);
}
