// HR_CHECK: a broken invariant ends the process with file, line and the expression, in every build.
// Never for input or for bytes read from disk: those are errors.
#pragma once

namespace hr {

[[noreturn]] void check_failed(const char* file, int line, const char* expression);

}  // namespace hr

#define HR_CHECK(expression) \
  ((expression) ? static_cast<void>(0) : ::hr::check_failed(__FILE__, __LINE__, #expression))
