// Result<T>: a value or an Error. Expected outcomes (not found, full, refused, corrupt on disk) are
// returned; broken invariants are HR_CHECK; exceptions mean a bug or no memory.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace hr {

enum class Errc : std::uint8_t {
  kInvalid,      // the input breaks a rule; the message names it
  kNotFound,     //
  kExists,       //
  kBusy,         // held by somebody else, or a bounded queue is full: try again later
  kCorrupt,      // stored bytes are not what was written; the message names file and byte
  kIo,           // the operating system said no; never retried after a failed sync
  kNoSpace,      // the device or a quota is full
  kPermission,   //
  kLimit,        // an explicit maximum was passed
  kUnavailable,  // the other side, or this service, cannot answer now
  kTimeout,      //
  kClosed,       // the peer or the service ended
  kUnsupported,  // known, and not done here
};

std::string_view to_string(Errc code);

struct Error {
  Errc code = Errc::kInvalid;
  std::string message;  // one sentence for a person: what, where, and the mend if there is one

  // The same error seen from one layer up: "context: message".
  Error in(std::string_view context) &&;

  bool operator==(const Error&) const = default;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> fail(Errc code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

}  // namespace hr

#define HR_CONCAT_INNER(a, b) a##b
#define HR_CONCAT(a, b) HR_CONCAT_INNER(a, b)

// HR_TRY(expr): returns the error of a Status or Result from the enclosing function.
#define HR_TRY(expr)                                        \
  do {                                                      \
    if (auto hr_status = (expr); !hr_status) {              \
      return std::unexpected(std::move(hr_status).error()); \
    }                                                       \
  } while (false)

// HR_ASSIGN(auto x, expr): x is the value of a Result, or its error is returned.
#define HR_ASSIGN(declaration, expr)                                            \
  auto HR_CONCAT(hr_result_, __LINE__) = (expr);                                \
  if (!HR_CONCAT(hr_result_, __LINE__)) {                                       \
    return std::unexpected(std::move(HR_CONCAT(hr_result_, __LINE__)).error()); \
  }                                                                             \
  declaration = std::move(*HR_CONCAT(hr_result_, __LINE__))
