// The real clock, randomness and disk, on Linux. A disk owns the descriptor of its root folder: everything it
// opens is opened below that, so that renaming or replacing the path to the root does not move the store.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "os/clock.h"
#include "os/disk.h"
#include "os/entropy.h"

#include <memory>
#include <string>

namespace hr::os {

// now() starts at the wall clock or at `floor`, whichever is later, and is advanced by CLOCK_BOOTTIME.
std::unique_ptr<Clock> make_clock(Time floor);

std::unique_ptr<Entropy> make_entropy();

// `root` is created with mode 0700 if it is missing, and so are the folders above it. Links are not followed
// below it, nor at its last name.
Result<std::unique_ptr<Disk>> open_disk(const std::string& root);

}  // namespace hr::os
