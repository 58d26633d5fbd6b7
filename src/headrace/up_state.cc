#include "headrace/up_state.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hr {
namespace {

constexpr std::size_t kTextBytesMax = 16U << 20;

std::unexpected<Error> failed(const std::string& path, std::string_view what) {
  const Errc code = errno == EACCES || errno == EPERM ? Errc::kPermission
                    : errno == ENOSPC                 ? Errc::kNoSpace
                                                      : Errc::kIo;
  return fail(code, fmt::format("{}: cannot {}: {}", path, what, std::strerror(errno)));
}

std::string user_text(uid_t uid) {
  const passwd* user = ::getpwuid(uid);
  return user != nullptr ? fmt::format("{} (uid {})", user->pw_name, uid) : fmt::format("uid {}", uid);
}

Status make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failed(path, "be made");
  return {};
}

Status check_owner(const std::string& path) {
  struct stat seen{};
  if (::lstat(path.c_str(), &seen) != 0) return failed(path, "be looked at");
  if (!S_ISDIR(seen.st_mode))
    return fail(Errc::kInvalid, path + ": is not a folder; give another with --state");
  if (seen.st_uid != ::geteuid()) {
    return fail(Errc::kPermission,
                fmt::format("{}: this state folder belongs to {}, and this is {}; run as its "
                            "owner, or give another folder with --state",
                            path, user_text(seen.st_uid), user_text(::geteuid())));
  }
  if ((seen.st_mode & 077) != 0 && ::chmod(path.c_str(), 0700) != 0) return failed(path, "be made private");
  return {};
}

Result<os::Fd> lock(const std::string& folder) {
  const std::string path = folder + "/up.lock";
  os::Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.open()) return failed(path, "be opened");
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed(path, "be locked");
    std::array<char, 16> pid{};
    const ssize_t n = ::pread(file.get(), pid.data(), pid.size(), 0);
    return fail(Errc::kBusy,
                fmt::format("{}: another `headrace up` (process {}) runs with this state folder; stop "
                            "it, or give another folder with --state",
                            folder, std::string_view(pid.data(), n > 0 ? static_cast<std::size_t>(n) : 0)));
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(file.get(), 0) != 0 ||
      ::pwrite(file.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
    return failed(path, "be written");
  return file;
}

}  // namespace

Result<StateFolder> StateFolder::open(const std::string& path) {
  HR_TRY(make_folder(path));
  HR_TRY(check_owner(path));
  HR_ASSIGN(os::Fd held, lock(path));
  for (const char* folder : {"/run", "/store", "/tls", "/nginx", "/log"}) HR_TRY(make_folder(path + folder));
  return StateFolder(std::move(held));
}

Status write_private(const std::string& path, std::string_view text) {
  const std::string draft = path + ".new";
  ::unlink(draft.c_str());
  {
    const os::Fd file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.open()) return failed(draft, "be created");
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      return failed(draft, "be written");
  }
  if (::rename(draft.c_str(), path.c_str()) != 0) return failed(path, "be created");
  return {};
}

Result<std::string> read_text(const std::string& path) {
  const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) {
    if (errno == ENOENT) return std::string();
    return failed(path, "be read");
  }
  std::string text;
  std::array<char, 65'536> piece{};
  for (ssize_t n = 0; (n = ::read(file.get(), piece.data(), piece.size())) > 0;) {
    text.append(piece.data(), static_cast<std::size_t>(n));
    if (text.size() > kTextBytesMax) return fail(Errc::kLimit, path + ": is larger than 16 MiB");
  }
  return text;
}

void rotate(const std::string& path, std::uintmax_t bytes_max) {
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  if (!error && bytes > bytes_max) std::filesystem::rename(path, path + ".1", error);
}

}  // namespace hr
