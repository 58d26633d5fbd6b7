// The user's interpreter, as app.python or a command line names it.
#pragma once

#include "base/result.h"

#include <string>

namespace hr {

// A path, or what PATH finds. kNotFound, kInvalid: one sentence; an ordinary program is told from a Python by
// its name, so that nothing else is started with a Python's arguments.
Result<std::string> find_python(const std::string& named);

}  // namespace hr
