// The real `Outside`: this process's environment, files, programs and blocking HTTP. For threads that may
// wait.
#pragma once

#include "remote/outside.h"

#include <memory>

namespace hr::remote {

// `authorities`: who vouches for https hosts, a PEM file; empty: the system's. `interrupt`: asked while
// waiting whether to break off.
std::unique_ptr<Outside> make_host_outside(std::string authorities = "", bool (*interrupt)() = nullptr);

}  // namespace hr::remote
