// Checkpoints of the queue engine's state: "state/", beside the log. A checkpoint is a list of blocks, as of
// one lsn; a file holds the blocks that changed since the one before and names where the others stand. The
// newest file is the checkpoint; the older ones stay as long as it needs a block of theirs. Format and rules:
// docs/formats/state.md.
//
// Durable, under its final name, is what commit() returned for: a crash before that leaves the checkpoint
// that was there. Whoever writes one has made sure that the log is durable up to its lsn. Not thread-safe.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "os/disk.h"
#include "storage/log/record.h"
#include "storage/state/block.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace hr::storage {

inline constexpr std::uint32_t kBlockBytesMax = 64U << 20;

class StateFiles {
 public:
  virtual ~StateFiles() = default;

  // Of the newest checkpoint; 0 where there is none yet.
  virtual Lsn position() const = 0;
  // Hands over every block of it, in the order of the keys, checksums verified. kCorrupt names file and byte.
  using Take = std::function<Status(BlockKey key, ByteView bytes)>;
  virtual Status load(const Take& take) const = 0;

  // More than half of the bytes in the files are of no use any more: the next checkpoint should be a whole
  // one.
  virtual bool wasteful() const = 0;

  // --- one checkpoint; begin() again starts another one, and forgets what was not committed ---

  // `carried`: blocks of this kind that are not added again stay as they are; those of other kinds go. None:
  // a whole checkpoint, nothing stays.
  virtual Status begin(std::optional<std::uint8_t> carried) = 0;
  virtual Status add(BlockKey key, ByteView bytes) = 0;  // each key once; an empty one is gone from here on
  // kNoSpace from any of the three: the checkpoint before stays, and the space is given back.
  virtual Status commit(Lsn position) = 0;

  struct Stats {
    std::uint64_t files = 0, bytes = 0, live_bytes = 0, checkpoints = 0;
  };
  virtual Stats stats() const = 0;
};

// kReadOnly: nothing is made or removed, and nothing may be written.
enum class StateMode : std::uint8_t { kReadWrite, kReadOnly };

// kCorrupt: the newest checkpoint is damaged, or needs a file that is not there; nothing was changed.
Result<std::unique_ptr<StateFiles>> open_state_files(os::Disk& disk, StateMode mode = StateMode::kReadWrite);

}  // namespace hr::storage
