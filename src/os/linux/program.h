// Which file a name of a program means: a path, or what PATH finds.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace hr::os {

inline constexpr std::string_view kUsualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// `name` itself when it has a slash, else the first of the folders in `path` ("" is the current one, an empty
// `path` is kUsualPath) that holds it. kNotFound: there is none; kInvalid: it is no file that may be run.
Result<std::string> find_program(const std::string& name, std::string_view path);

}  // namespace hr::os
