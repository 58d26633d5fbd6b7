#include "host/tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace hr::host {
namespace {

constexpr std::size_t kTextBytesMax = 16U << 20;
constexpr std::string_view kDraft = ".headrace-new";

std::unexpected<Error> failed(std::string_view path, std::string_view what) {
  const int error = errno;
  const Errc code = error == EACCES || error == EPERM || error == EROFS ? Errc::kPermission
                    : error == ENOENT                                   ? Errc::kNotFound
                    : error == ENOSPC                                   ? Errc::kNoSpace
                    : error == ELOOP || error == ENOTDIR                ? Errc::kInvalid
                                                                        : Errc::kIo;
  const std::string_view link =
      error == ELOOP || error == ENOTDIR ? " (a link, or no folder, is in the way)" : "";
  return fail(code, fmt::format("{}: cannot {}: {}{}", path, what, std::strerror(error), link));
}

std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> out;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    if (slash != 0) out.emplace_back(path.substr(0, slash));
    path.remove_prefix(slash == path.npos ? path.size() : slash + 1);
  }
  return out;
}

// The folder that holds the last name of a path, opened name by name.
struct Spot {
  os::Fd folder;
  std::string name;
};

constexpr std::uint32_t kDoNotMake = 0;

Result<Spot> spot_of(int root, std::string_view path, std::uint32_t make_mode) {
  const auto parts = parts_of(path);
  if (parts.empty() ||
      std::ranges::any_of(parts, [](const auto& each) { return each == "." || each == ".."; }))
    return fail(Errc::kInvalid, fmt::format("\"{}\" is no path of a file", path));
  os::Fd folder(::fcntl(root, F_DUPFD_CLOEXEC, 0));
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    const char* name = parts[i].c_str();
    if (make_mode != kDoNotMake && ::mkdirat(folder.get(), name, make_mode) == 0 &&
        ::fsync(folder.get()) != 0)
      return failed(path, "be made durable");
    os::Fd next(::openat(folder.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next.open()) return failed(path, "be reached");
    folder = std::move(next);
  }
  return Spot{.folder = std::move(folder), .name = parts.back()};
}

Result<std::string> contents(int fd, std::string_view path) {
  std::string out;
  std::array<char, 65'536> piece{};
  ssize_t n = 0;
  while ((n = os::retried([&] { return ::read(fd, piece.data(), piece.size()); })) > 0) {
    out.append(piece.data(), static_cast<std::size_t>(n));
    if (out.size() > kTextBytesMax) return fail(Errc::kLimit, fmt::format("{}: is larger than 16 MiB", path));
  }
  if (n < 0) return failed(path, "be read");
  return out;
}

Status write_all(int fd, std::string_view text, std::string_view path) {
  while (!text.empty()) {
    const ssize_t n = os::retried([&] { return ::write(fd, text.data(), text.size()); });
    if (n < 0) return failed(path, "be written");
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Status sync_folder(const Spot& spot, std::string_view path) {
  if (::fsync(spot.folder.get()) != 0) return failed(path, "be made durable");
  return {};
}

Result<std::vector<std::string>> names_in(int fd, std::string_view path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::fdopendir(::fcntl(fd, F_DUPFD_CLOEXEC, 0)), ::closedir);
  if (!folder) return failed(path, "be listed");
  std::vector<std::string> out;
  while (const dirent* entry =
             ::readdir(folder.get())) {  // NOLINT(concurrency-mt-unsafe): a stream of its own
    const std::string_view name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") out.emplace_back(name);
  }
  std::ranges::sort(out);
  return out;
}

Status remove_entry(int folder, const std::string& name, std::string_view path) {
  if (::unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return failed(path, "be removed");
  const os::Fd inner(::openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!inner.open()) return failed(path, "be removed");
  HR_ASSIGN(const auto names, names_in(inner.get(), path));
  for (const std::string& each : names) HR_TRY(remove_entry(inner.get(), each, path));
  if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) != 0) return failed(path, "be removed");
  return {};
}

bool missing(const Error& error) { return error.code == Errc::kNotFound; }

}  // namespace

Result<Tree> Tree::open(const std::string& root) {
  os::Fd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.open()) return failed(root, "be opened");
  std::string plain = root;
  while (plain.size() > 1 && plain.ends_with('/')) plain.pop_back();
  return Tree(std::move(plain), std::move(fd));
}

Result<std::optional<Seen>> Tree::read(std::string_view path) const {
  const auto spot = spot_of(fd_.get(), path, kDoNotMake);
  if (!spot && missing(spot.error())) return std::optional<Seen>();
  if (!spot) return std::unexpected(spot.error());
  const os::Fd file(
      ::openat(spot->folder.get(), spot->name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!file.open() && errno == ENOENT) return std::optional<Seen>();
  if (!file.open()) return failed(path, "be read");
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return failed(path, "be read");
  if (!S_ISREG(info.st_mode)) return fail(Errc::kInvalid, fmt::format("{}: is no regular file", path));
  HR_ASSIGN(std::string text, contents(file.get(), path));
  return std::optional(Seen{.text = std::move(text), .mode = info.st_mode & 07777U, .uid = info.st_uid});
}

Result<std::optional<Seen>> Tree::read_through_links(std::string_view path) const {
  const auto real_path = [](const std::string& of) {
    const std::unique_ptr<char, void (*)(void*)> real(::realpath(of.c_str(), nullptr), std::free);
    return real ? std::string(real.get()) : std::string();
  };
  const std::string real = real_path(at(path));
  if (real.empty() && errno == ENOENT) return std::optional<Seen>();
  if (real.empty()) return failed(path, "be followed");
  if (root_ == "/") return read(real);
  const std::string root = real_path(root_) + "/";
  if (!real.starts_with(root))
    return fail(Errc::kInvalid, fmt::format("{}: leads to {}, out of {}", path, real, root_));
  return read(std::string_view(real).substr(root.size() - 1));
}

Status Tree::write(std::string_view path, std::string_view text, std::uint32_t mode) const {
  HR_ASSIGN(const Spot spot, spot_of(fd_.get(), path, 0755));
  const std::string draft = fmt::format(".{}{}", spot.name, kDraft);
  ::unlinkat(spot.folder.get(), draft.c_str(), 0);
  {
    const os::Fd file(::openat(spot.folder.get(), draft.c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.open()) return failed(path, "be created");
    HR_TRY(write_all(file.get(), text, path));
    if (::fchmod(file.get(), mode) != 0 || ::fsync(file.get()) != 0) return failed(path, "be made durable");
  }
  if (::renameat(spot.folder.get(), draft.c_str(), spot.folder.get(), spot.name.c_str()) != 0)
    return failed(path, "be replaced");
  return sync_folder(spot, path);
}

Status Tree::make_folder(std::string_view path, std::uint32_t mode) const {
  HR_ASSIGN(const Spot spot, spot_of(fd_.get(), path, 0755));
  if (::mkdirat(spot.folder.get(), spot.name.c_str(), mode) != 0 && errno != EEXIST)
    return failed(path, "be made");
  const os::Fd made(
      ::openat(spot.folder.get(), spot.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!made.open() || ::fchmod(made.get(), mode) != 0) return failed(path, "be made");
  return sync_folder(spot, path);
}

Status Tree::remove(std::string_view path) const {
  const auto spot = spot_of(fd_.get(), path, kDoNotMake);
  if (!spot) return missing(spot.error()) ? Status() : std::unexpected(spot.error());
  if (::unlinkat(spot->folder.get(), spot->name.c_str(), 0) != 0 && errno != ENOENT)
    return failed(path, "be removed");
  return sync_folder(*spot, path);
}

Status Tree::remove_all(std::string_view path) const {
  const auto spot = spot_of(fd_.get(), path, kDoNotMake);
  if (!spot) return missing(spot.error()) ? Status() : std::unexpected(spot.error());
  HR_TRY(remove_entry(spot->folder.get(), spot->name, path));
  return sync_folder(*spot, path);
}

Status Tree::rename(std::string_view from, std::string_view to) const {
  HR_ASSIGN(const Spot old_spot, spot_of(fd_.get(), from, kDoNotMake));
  HR_ASSIGN(const Spot new_spot, spot_of(fd_.get(), to, 0755));
  if (::renameat(old_spot.folder.get(), old_spot.name.c_str(), new_spot.folder.get(),
                 new_spot.name.c_str()) != 0)
    return failed(from, fmt::format("become {}", to));
  HR_TRY(sync_folder(old_spot, from));
  return sync_folder(new_spot, to);
}

Result<std::vector<std::string>> Tree::list(std::string_view folder) const {
  const auto spot = spot_of(fd_.get(), folder, kDoNotMake);
  if (!spot && missing(spot.error())) return std::vector<std::string>();
  if (!spot) return std::unexpected(spot.error());
  const os::Fd fd(
      ::openat(spot->folder.get(), spot->name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.open() && errno == ENOENT) return std::vector<std::string>();
  if (!fd.open()) return failed(folder, "be listed");
  return names_in(fd.get(), folder);
}

}  // namespace hr::host
