// A disk on the way to another, which leaves out, repeats or spoils operations by their label.
#pragma once

#include "os/disk.h"

#include <memory>
#include <string>
#include <vector>

namespace hr::sim {

struct Taps {
  std::vector<std::string> skipped = {};  // answered with success and not done
  std::string skipped_but_fifth = {};     // of these, every fifth is done
  std::string retried = {};               // done again, and its second answer believed, if it fails
  std::string last_write_lost_on = {};    // the last "log.write" to the file is undone when this comes
};

std::unique_ptr<os::Disk> tapped(os::Disk& below, const Taps& taps);

}  // namespace hr::sim
