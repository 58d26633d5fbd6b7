#include "base/result.h"

namespace hr {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::kInvalid:
      return "invalid";
    case Errc::kNotFound:
      return "not found";
    case Errc::kExists:
      return "exists";
    case Errc::kBusy:
      return "busy";
    case Errc::kCorrupt:
      return "corrupt";
    case Errc::kIo:
      return "I/O error";
    case Errc::kNoSpace:
      return "no space";
    case Errc::kPermission:
      return "permission denied";
    case Errc::kLimit:
      return "limit";
    case Errc::kUnavailable:
      return "unavailable";
    case Errc::kTimeout:
      return "timeout";
    case Errc::kClosed:
      return "closed";
    case Errc::kUnsupported:
      return "unsupported";
  }
  return "unknown";
}

Error Error::in(std::string_view context) && {
  message.insert(0, ": ");
  message.insert(0, context);
  return std::move(*this);
}

}  // namespace hr
