// headrace.toml as a file: where it is looked for, and what its relative paths mean.
#pragma once

#include "base/result.h"
#include "codec/config.h"

#include <string>

namespace hr {

// Reads and checks a whole file. Relative paths become absolute, from the file's folder, but for a python
// without a slash: PATH finds that one. kInvalid: "FILE:LINE:COLUMN: what is wrong; the mend". kNotFound.
Result<Config> read_config(const std::string& path);

// The file that was named, else headrace.toml of this folder if there is one, else the defaults.
Result<Config> find_config(const std::string& named);

}  // namespace hr
