// One seeded life of the log on a disk that lies: appends, writes, syncs, power cuts, kills, faults, full
// disks, damage, and recovery after each. The oracle knows every group appended and what was promised for it.
#pragma once

#include "os/disk.h"
#include "storage/log/log.h"
#include "storage/log/segmented_log.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace hr::sim {

using DiskMaker = std::function<std::unique_ptr<os::Disk>(os::Disk& below)>;
using LogMaker = std::function<std::unique_ptr<storage::SegmentedLog>(
    std::unique_ptr<storage::SegmentedLog> below, os::Disk& disk)>;

// What is run: the product as it is, or with a wrong part between it and the disk, above it, or in recovery.
struct LogSubject {
  DiskMaker disk;  // none: the simulated disk itself
  LogMaker log;    // none: the log itself
  std::shared_ptr<const storage::RecoveryRules> rules = std::make_shared<storage::RecoveryRules>();
};

struct LogRun {
  std::uint64_t operations = 0;
  std::uint64_t groups = 0;
  std::uint64_t cuts = 0;  // power cuts, those during recovery included
  std::uint64_t kills = 0;
  std::uint64_t faults = 0;
  std::uint64_t full = 0;     // full disks
  std::uint64_t damages = 0;  // flipped bits and tampered files
  std::uint64_t refused = 0;  // of those, refused with their place named; the others harmed nothing
  std::optional<std::string> difference;

  void add(const LogRun& other);
};

LogRun run_log(std::uint64_t seed, std::uint64_t operations, const LogSubject& subject);

}  // namespace hr::sim
