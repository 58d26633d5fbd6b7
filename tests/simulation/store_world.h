// One simulated store: the real commit path, engines, log and applier over a disk that lies, on one thread
// and a clock that moves only when told. Commands come from a seed; an oracle holds what was acknowledged and
// compares after every crash. A planted bug replaces one part by a broken one (store_plants.h).
#pragma once

#include "base/time.h"
#include "commit/keeper.h"
#include "commit/recovery.h"
#include "commit/store.h"
#include "sim/random.h"
#include "sim/sim.h"
#include "sim/sim_disk.h"
#include "storage/index/memory_index.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace hr::sim {

// What a planted bug may replace. The defaults are the product.
struct StoreParts {
  using WrapDisk = std::function<std::unique_ptr<os::Disk>(os::Disk&)>;
  using WrapLog =
      std::function<std::unique_ptr<storage::SegmentedLog>(std::unique_ptr<storage::SegmentedLog>)>;
  using WrapIndex = std::function<std::unique_ptr<storage::Index>(storage::Index&)>;
  WrapDisk disk;
  WrapLog log;
  WrapIndex index;
  storage::Release delete_release = storage::Release::kDurable;
  bool durable_is_written = false;  // the log thread reports what it wrote as durable
  using WrapState = std::function<std::unique_ptr<storage::StateFiles>(std::unique_ptr<storage::StateFiles>)>;
  WrapState state;
};

struct StoreRun {
  std::optional<std::string> difference;  // none: the store kept its promises
  std::uint64_t operations = 0, crashes = 0, acknowledged = 0, rounds = 0, dropped = 0, clock_jumps = 0;
};

StoreRun run_store_world(std::uint64_t seed, std::uint64_t operations, const StoreParts& parts);

}  // namespace hr::sim
