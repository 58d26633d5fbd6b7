// One HTTP request of a command to a role on this host, over a listening socket's address or a unix socket.
// Blocks, with a deadline.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "headrace/notify.h"

#include <string>
#include <string_view>

namespace hr {

struct UnixAnswer {
  int status = 0;
  std::string body;
};

// kUnavailable: nobody answers. `name`: the other side's, for errors.
Result<UnixAnswer> ask(const Reach& where, const std::string& name, std::string_view method,
                       std::string_view target, Duration patience);
Result<UnixAnswer> ask(const std::string& socket, std::string_view method, std::string_view target,
                       Duration patience);

}  // namespace hr
