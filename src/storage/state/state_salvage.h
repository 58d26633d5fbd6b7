// Reading what is left of a damaged checkpoint, for `headrace store repair`.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "os/disk.h"
#include "storage/log/record.h"
#include "storage/state/block.h"

#include <functional>

namespace hr::storage {

// As StateFiles::load(), past blocks that cannot be read: `lost` hears of each. Files that are not of the
// state are passed over. Answers the checkpoint's position; kCorrupt: its list cannot be read, or a file is
// missing. Nothing is changed.
Result<Lsn> salvage_state(os::Disk& disk, const std::function<Status(BlockKey key, ByteView bytes)>& take,
                          const std::function<void(BlockKey key, const Error& why)>& lost);

}  // namespace hr::storage
