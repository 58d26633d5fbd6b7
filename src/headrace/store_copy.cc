#include "headrace/store_copy.h"

#include "os/linux/fd.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace hr {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPieceBytes = 4U << 20;
constexpr mode_t kFolderMode = 0700;
constexpr mode_t kFileMode = 0600;
constexpr std::size_t kSmallFileMax = 1U << 20;

std::unexpected<Error> failed(std::string_view what, const std::string& path) {
  const Errc code = errno == ENOSPC || errno == EDQUOT  ? Errc::kNoSpace
                    : errno == ENOENT                   ? Errc::kNotFound
                    : errno == EEXIST                   ? Errc::kExists
                    : errno == EACCES || errno == EPERM ? Errc::kPermission
                                                        : Errc::kIo;
  return fail(code, fmt::format("{} {}: {}", what, path, std::strerror(errno)));
}

Result<os::Fd> open_file(const std::string& path, int flags) {
  os::Fd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, kFileMode));
  if (!fd.open()) return failed("opening", path);
  return fd;
}

// In the kernel, sharing blocks where the file system can; through memory where it cannot do even that.
ssize_t copy_piece(int from, int to, std::size_t bytes, std::vector<char>& buffer) {
  const ssize_t copied = ::copy_file_range(from, nullptr, to, nullptr, bytes, 0);
  if (copied >= 0 || (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS))
    return copied;
  buffer.resize(kPieceBytes);
  const ssize_t got = ::read(from, buffer.data(), std::min(bytes, buffer.size()));
  for (ssize_t put = 0; put < got;) {
    const ssize_t wrote = ::write(to, buffer.data() + put, static_cast<std::size_t>(got - put));
    if (wrote < 0) return -1;
    put += wrote;
  }
  return got;
}

}  // namespace

Status StoreCopy::count(std::uint64_t bytes) {
  copied_.bytes += bytes;
  untold_ += bytes;
  if (untold_ < kPieceBytes) return {};
  untold_ = 0;
  return tell_ ? tell_(copied_) : Status();
}

Status StoreCopy::folder(const std::string& path) {
  if (::mkdir(path.c_str(), kFolderMode) != 0) return failed("making", path);
  return {};
}

Status StoreCopy::file(const std::string& from, const std::string& to) {
  struct stat info{};
  if (::stat(from.c_str(), &info) != 0) return failed("reading", from);
  const auto size = static_cast<std::uint64_t>(info.st_size);
  return file_part(from, to, size, size);
}

Status StoreCopy::file_part(const std::string& from, const std::string& to, std::uint64_t bytes,
                            std::uint64_t size) {
  HR_ASSIGN(const os::Fd in, open_file(from, O_RDONLY));
  HR_ASSIGN(const os::Fd out, open_file(to, O_WRONLY | O_CREAT | O_EXCL));
  std::vector<char> buffer;
  for (std::uint64_t left = bytes; left > 0;) {
    const ssize_t got = copy_piece(in.get(), out.get(), std::min<std::uint64_t>(left, kPieceBytes), buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("copying", from);
    if (got == 0) return fail(Errc::kCorrupt, fmt::format("{} is shorter than it should be", from));
    left -= static_cast<std::uint64_t>(got);
    HR_TRY(count(static_cast<std::uint64_t>(got)));
  }
  if (::ftruncate(out.get(), static_cast<off_t>(size)) != 0) return failed("sizing", to);
  ++copied_.files;
  return {};
}

Status StoreCopy::link(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) != 0) {
    if (errno != EXDEV && errno != EPERM && errno != EMLINK) return failed("linking", from);
    return file(from, to);
  }
  ++copied_.files;
  ++copied_.linked;
  return count(1);
}

Status StoreCopy::files(const std::string& from, const std::string& to, How how, const Wanted& wanted) {
  HR_TRY(folder(to));
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(from, error)) {
    const std::string name = entry.path().filename().string();
    std::error_code ignored;
    if (!wanted(name) || !entry.is_regular_file(ignored)) continue;
    HR_TRY(how == How::kLink ? link(entry.path().string(), to + "/" + name)
                             : file(entry.path().string(), to + "/" + name));
  }
  if (error) return fail(Errc::kIo, fmt::format("listing {}: {}", from, error.message()));
  return {};
}

Status sync_file_system(const std::string& path) {
  HR_ASSIGN(const os::Fd fd, open_file(path, O_RDONLY | O_DIRECTORY));
  if (::syncfs(fd.get()) != 0) return failed("making durable", path);
  return {};
}

Status write_durably(const std::string& path, std::string_view text) {
  const std::string draft = path + ".new";
  {
    HR_ASSIGN(const os::Fd fd, open_file(draft, O_WRONLY | O_CREAT | O_TRUNC));
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(fd.get()) != 0)
      return failed("writing", draft);
  }
  if (::rename(draft.c_str(), path.c_str()) != 0) return failed("naming", path);
  const std::string above = fs::path(path).parent_path().string();
  HR_ASSIGN(const os::Fd folder, open_file(above, O_RDONLY | O_DIRECTORY));
  if (::fsync(folder.get()) != 0) return failed("making durable", above);
  return {};
}

Result<std::string> read_small_file(const std::string& path) {
  HR_ASSIGN(const os::Fd fd, open_file(path, O_RDONLY));
  std::string text(kSmallFileMax, '\0');
  const ssize_t got = ::read(fd.get(), text.data(), text.size());
  if (got < 0) return failed("reading", path);
  text.resize(static_cast<std::size_t>(got));
  return text;
}

bool is_free(const std::string& path) {
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(path, ignored))) return true;
  return fs::is_directory(path, ignored) && fs::is_empty(path, ignored) && !ignored;
}

Status give_to_owner(const std::string& path) {
  struct stat owner{};
  if (::geteuid() != 0 || ::stat(path.c_str(), &owner) != 0 || owner.st_uid == 0) return {};
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(path, error)) {
    if (::lchown(entry.path().c_str(), owner.st_uid, owner.st_gid) != 0)
      return fail(Errc::kPermission,
                  fmt::format("{}: cannot be given to uid {}", entry.path().string(), owner.st_uid));
  }
  return {};
}

}  // namespace hr
