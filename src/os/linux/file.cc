#include "os/linux/file.h"

#include <fmt/format.h>

#include <algorithm>
#include <fcntl.h>
#include <limits>
#include <sys/stat.h>

namespace hr::os {
namespace {

constexpr std::size_t kStartWritingBytes = 256U << 10;
constexpr std::uint64_t kOffsetMax = std::numeric_limits<off_t>::max();

Status check_range(std::uint64_t offset, std::uint64_t bytes, Label label, const std::string& path) {
  if (offset <= kOffsetMax && bytes <= kOffsetMax - offset) return {};
  return fail(Errc::kLimit, fmt::format("{} of {} at byte {}: past the largest file", label, path, offset));
}

}  // namespace

Result<std::size_t> LinuxFile::read_at(std::uint64_t offset, std::span<char> out, Label label) {
  HR_TRY(check_range(offset, out.size(), label, path_));
  std::size_t done = 0;
  while (done < out.size()) {
    const auto at = static_cast<off_t>(offset + done);
    const ssize_t n = retried([&] { return ::pread(fd_.get(), out.data() + done, out.size() - done, at); });
    if (n < 0) return system_error(errno, label, path_);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

Status LinuxFile::write_at(std::uint64_t offset, ByteView data, Label label) {
  HR_TRY(check_range(offset, data.size(), label, path_));
  const auto begin = static_cast<off_t>(offset);
  const std::size_t bytes = data.size();
  while (!data.empty()) {
    const ssize_t n =
        retried([&] { return ::pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset)); });
    if (n < 0) return system_error(errno, label, path_);
    data.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  // Much at once will be synced: the device may begin. It promises nothing, and what fails is sync()'s to
  // say.
  if (bytes >= kStartWritingBytes)
    static_cast<void>(::sync_file_range(fd_.get(), begin, static_cast<off_t>(bytes), SYNC_FILE_RANGE_WRITE));
  return {};
}

Status LinuxFile::sync(Label label) {
  if (retried([&] { return ::fdatasync(fd_.get()); }) != 0) return system_error(errno, label, path_);
  return {};
}

Status LinuxFile::allocate(std::uint64_t bytes, Label label) {
  HR_TRY(check_range(0, bytes, label, path_));
  if (bytes == 0) return {};
  if (retried([&] { return ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(bytes)); }) == 0) return {};
  if (errno == EOPNOTSUPP || errno == ENOSYS) return write_zeros(bytes, label);
  return system_error(errno, label, path_);
}

// For file systems without fallocate: what is written is allocated.
Status LinuxFile::write_zeros(std::uint64_t bytes, Label label) {
  HR_ASSIGN(std::uint64_t at, size(label));
  const Bytes zeros(256U << 10, '\0');
  while (at < bytes) {
    const std::uint64_t n = std::min<std::uint64_t>(zeros.size(), bytes - at);
    HR_TRY(write_at(at, ByteView(zeros).substr(0, n), label));
    at += n;
  }
  return {};
}

Status LinuxFile::truncate(std::uint64_t bytes, Label label) {
  HR_TRY(check_range(0, bytes, label, path_));
  if (retried([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(bytes)); }) != 0) {
    return system_error(errno, label, path_);
  }
  return {};
}

Result<std::uint64_t> LinuxFile::size(Label label) {
  struct stat info{};
  if (::fstat(fd_.get(), &info) != 0) return system_error(errno, label, path_);
  return static_cast<std::uint64_t>(info.st_size);
}

Status LinuxFile::drop_cache(Label label) {
  const int error = ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED);
  if (error != 0) return system_error(error, label, path_);
  return {};
}

}  // namespace hr::os
