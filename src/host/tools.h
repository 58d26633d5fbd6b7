// Other programs of the host, asked and waited for: nginx -t, nft -j list ruleset, systemctl show. An
// interface, so that what is made of their answers is tested without them.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "os/process.h"

#include <memory>
#include <string>
#include <vector>

namespace hr::host {

struct Said {
  int code = -1;     // what it exited with; -1: a signal ended it
  std::string text;  // standard output and error, at most 16 MiB
};

class Tools {
 public:
  virtual ~Tools() = default;
  // kNotFound: there is no such program; kTimeout: it was killed after a minute.
  virtual Result<Said> run(const std::vector<std::string>& command) = 0;
};

// The real ones, found in `path` (folders between colons) and where Debian keeps those of root.
std::unique_ptr<Tools> make_tools(os::Processes& processes, const std::string& path);

}  // namespace hr::host
