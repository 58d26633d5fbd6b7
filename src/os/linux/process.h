// The real processes: fork and exec, waitpid, /proc. Spawn from a thread that lives as long as the children
// that have a death signal.
#pragma once

#include "os/process.h"

#include <memory>

namespace hr::os {

std::unique_ptr<Processes> make_processes();

// Descendants whose parent ends become children of this process, so that reap() sees them
// (PR_SET_CHILD_SUBREAPER).
Status adopt_orphans();

}  // namespace hr::os
