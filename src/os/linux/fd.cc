#include "os/linux/fd.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace hr::os {
namespace {

Errc code_of(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Errc::kNoSpace;
    case EACCES:
    case EPERM:
    case EROFS:
      return Errc::kPermission;
    case ENOENT:
      return Errc::kNotFound;
    case EEXIST:
      return Errc::kExists;
    case EWOULDBLOCK:
    case EBUSY:
      return Errc::kBusy;
    case EMFILE:
    case ENFILE:
      return Errc::kLimit;
    case ELOOP:
    case ENOTDIR:
    case EISDIR:
    case EINVAL:
    case ENAMETOOLONG:
      return Errc::kInvalid;
    case EOPNOTSUPP:
      return Errc::kUnsupported;
    default:
      return Errc::kIo;
  }
}

}  // namespace

std::unexpected<Error> system_error(int error, Label label, std::string_view path) {
  return fail(code_of(error),
              fmt::format("{} of {} failed: {}", label, path.empty() ? "the root folder" : path,
                          std::generic_category().message(error)));
}

}  // namespace hr::os
