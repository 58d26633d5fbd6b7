#include "os/linux/fd.h"
#include "os/linux/file.h"
#include "os/linux/linux.h"
#include "os/path.h"

#include <fmt/format.h>

#include <algorithm>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace hr::os {
namespace {

constexpr mode_t kFolderMode = 0700;
constexpr mode_t kFileMode = 0600;

class FlockLock final : public DirLock {
 public:
  explicit FlockLock(Fd fd) : fd_(std::move(fd)) {}

 private:
  Fd fd_;  // closing it lets go
};

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT | O_EXCL;
  }
  return O_RDONLY;
}

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

class LinuxDisk final : public Disk {
 public:
  LinuxDisk(Fd root, std::string path) : root_(std::move(root)), path_(std::move(path)) {}

  Result<std::unique_ptr<File>> open(std::string_view path, OpenMode mode, Label label) override;
  Status rename(std::string_view from, std::string_view to, Label label) override;
  Status remove(std::string_view path, Label label) override;
  Status make_dir(std::string_view path, Label label) override;
  Result<std::vector<DirEntry>> list(std::string_view dir, Label label) override;
  Status sync_dir(std::string_view dir, Label label) override;
  Result<Space> space(Label label) override;
  Result<std::unique_ptr<DirLock>> lock(Label label) override;

 private:
  Result<Fd> open_at(std::string_view path, int flags, Label label) const;
  Result<Fd> open_folder(std::string_view dir, Label label) const;

  const Fd root_;
  const std::string path_;
};

Result<Fd> LinuxDisk::open_at(std::string_view path, int flags, Label label) const {
  const std::string name(path.empty() ? std::string_view(".") : path);
  Fd fd(retried(
      [&] { return ::openat(root_.get(), name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, kFileMode); }));
  if (!fd.open()) return system_error(errno, label, path);
  return fd;
}

Result<Fd> LinuxDisk::open_folder(std::string_view dir, Label label) const {
  HR_TRY(check_dir_path(dir));
  return open_at(dir, O_RDONLY | O_DIRECTORY, label);
}

Result<std::unique_ptr<File>> LinuxDisk::open(std::string_view path, OpenMode mode, Label label) {
  HR_TRY(check_file_path(path));
  // O_NONBLOCK: opening a pipe that somebody put there must not hang. It means nothing for regular files.
  HR_ASSIGN(Fd fd, open_at(path, flags_of(mode) | O_NONBLOCK, label));
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return system_error(errno, label, path);
  if (!S_ISREG(info.st_mode)) {
    return fail(Errc::kInvalid, fmt::format("{} of {} failed: not a regular file", label, path));
  }
  return std::make_unique<LinuxFile>(std::move(fd), std::string(path));
}

Status LinuxDisk::rename(std::string_view from, std::string_view to, Label label) {
  HR_TRY(check_file_path(from));
  HR_TRY(check_file_path(to));
  if (::renameat(root_.get(), std::string(from).c_str(), root_.get(), std::string(to).c_str()) != 0) {
    return system_error(errno, label, from);
  }
  return {};
}

Status LinuxDisk::remove(std::string_view path, Label label) {
  HR_TRY(check_file_path(path));
  if (::unlinkat(root_.get(), std::string(path).c_str(), 0) != 0) return system_error(errno, label, path);
  return {};
}

Status LinuxDisk::make_dir(std::string_view path, Label label) {
  HR_TRY(check_file_path(path));
  if (::mkdirat(root_.get(), std::string(path).c_str(), kFolderMode) == 0) return {};
  if (errno != EEXIST) return system_error(errno, label, path);
  HR_TRY(open_folder(path, label));  // there is something: a folder?
  return {};
}

Result<std::vector<DirEntry>> LinuxDisk::list(std::string_view dir, Label label) {
  HR_ASSIGN(Fd fd, open_folder(dir, label));
  const std::unique_ptr<DIR, CloseDir> stream(::fdopendir(fd.get()));
  if (!stream) return system_error(errno, label, dir);
  const int folder = fd.release();  // the stream owns it now
  std::vector<DirEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* found = ::readdir(stream.get());
    if (!found) break;
    const std::string_view name(found->d_name);
    if (name == "." || name == "..") continue;
    struct stat info{};
    if (::fstatat(folder, found->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // removed meanwhile
      return system_error(errno, label, dir);
    }
    const bool directory = S_ISDIR(info.st_mode);
    entries.push_back(
        {std::string(name), directory ? 0 : static_cast<std::uint64_t>(info.st_size), directory});
  }
  if (errno != 0) return system_error(errno, label, dir);
  std::ranges::sort(entries, {}, &DirEntry::name);
  return entries;
}

Status LinuxDisk::sync_dir(std::string_view dir, Label label) {
  HR_ASSIGN(const Fd fd, open_folder(dir, label));
  if (retried([&] { return ::fsync(fd.get()); }) != 0) return system_error(errno, label, dir);
  return {};
}

Result<Space> LinuxDisk::space(Label label) {
  struct statvfs info{};
  if (::fstatvfs(root_.get(), &info) != 0) return system_error(errno, label, "");
  return Space{info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize};
}

Result<std::unique_ptr<DirLock>> LinuxDisk::lock(Label label) {
  HR_ASSIGN(Fd fd, open_at("lock", O_RDWR | O_CREAT, label));
  if (retried([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) return system_error(errno, label, "lock");
    return fail(Errc::kBusy,
                fmt::format("{}: another process holds {}/lock; one store owns a folder", label, path_));
  }
  return std::make_unique<FlockLock>(std::move(fd));
}

// Like mkdir -p. A name is there after a power cut only once the folder above it was synced.
Status make_root(const std::string& root) {
  for (std::size_t end = root.find('/', 1);; end = root.find('/', end + 1)) {
    const std::string path = root.substr(0, end);
    if (::mkdir(path.c_str(), kFolderMode) == 0) {
      const std::string above = path.substr(0, path.rfind('/') + 1);
      const Fd fd(::open(above.empty() ? "." : above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!fd.open() || ::fsync(fd.get()) != 0) return system_error(errno, "disk.open", above);
    } else if (errno != EEXIST && end == std::string::npos) {
      return system_error(errno, "disk.open", path);
    }
    if (end == std::string::npos) return {};
  }
}

}  // namespace

Result<std::unique_ptr<Disk>> open_disk(const std::string& given) {
  std::string root = given;
  while (root.size() > 1 && root.ends_with('/')) root.pop_back();
  if (root.empty()) return fail(Errc::kInvalid, "disk.open: the path of the store's folder is empty");
  HR_TRY(make_root(root));
  Fd fd(retried([&] { return ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW); }));
  if (!fd.open()) return system_error(errno, "disk.open", root);
  return std::make_unique<LinuxDisk>(std::move(fd), std::move(root));
}

}  // namespace hr::os
