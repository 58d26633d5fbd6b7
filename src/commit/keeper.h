// What keeps the store's files short and its start quick: checkpoints of the queue engine's state, copies of
// records that keep an old segment alive, and the cutting of the log. Log bytes stay within 4 times what is
// live and 2 segments; what a start replays stays within Limits::checkpoint_bytes, the newest round of
// changes, and what the index has not flushed.
//
// A round: copy what stands in the oldest segments, if the log is too long; then a checkpoint as of one lsn
// B, block by block, written beside the work and committed when the log is durable up to B; then, when the
// index is durable up to B too, the segments go that end before B and in which nothing stood at B.
//
// One small step at a time, each on the thread that next() names, and none of them while another runs.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "commit/store.h"
#include "queue/engine.h"
#include "storage/index/index.h"
#include "storage/log/log.h"
#include "storage/state/state_files.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace hr::commit {

class Keeper {
 public:
  struct Limits {
    std::uint64_t checkpoint_bytes = 256U << 20;  // of log since the newest checkpoint: time for another
    std::uint64_t segment_bytes = 64U << 20;
    std::uint64_t copy_bytes = 256U << 10;  // of records copied as one group; at least one of any size
  };
  struct Parts {
    Store& store;
    queue::Engine& queues;
    storage::SegmentedLog& log;
    storage::StateFiles& files;
    const storage::Index& index;
    // Soon everything that is durable in the log is durable in the index. Sequencing thread.
    std::function<void()> flush_index;
    // SegmentedLog::drop_before(), on the log thread, soon. Sequencing thread.
    std::function<void(storage::Lsn, std::uint32_t)> drop_log;
    hr::Log diary;
  };
  // `replayed`: bytes of log that recovery read: they are not in the newest checkpoint.
  Keeper(Parts parts, Limits limits, std::uint64_t replayed);

  // kSequencer: the sequencing thread. kOwn: a thread that may block.
  enum class Where : std::uint8_t { kSequencer, kOwn };
  Where next() const;
  // Before that: while there is nothing to do, or something else has to happen first.
  Duration pause() const;
  // An error is the end of the store. kNoSpace and kBusy are none, only the end of the round. Nor is a
  // damaged record that was to be copied: it is told once, and its segment and those after it stay.
  Status step();

  std::uint64_t rounds() const { return rounds_; }

 private:
  enum class Stage : std::uint8_t {
    kIdle,
    kWalk,
    kRead,
    kCopy,
    kBegin,
    kOpen,
    kBlock,
    kAdd,
    kDurable,
    kCommit,
    kIndexed
  };
  struct Record {
    queue::Standing at;
    Bytes payload;
  };

  Status run();
  void decide();
  void walk();
  Status read();
  Status copy();
  void begin();
  Status open();
  void block();
  Status add();
  Status commit();
  void cut();
  void note_damage(const Error& error);
  Status given_up(Status why);

  Parts parts_;
  const Limits limits_;
  Stage stage_ = Stage::kIdle;
  bool rest_ = false;
  std::uint64_t rounds_ = 0;
  std::uint64_t known_bytes_ = 0;  // SegmentedLog::Stats::written_bytes at the newest checkpoint...
  std::uint64_t replayed_ = 0;     // ... and what came before this run

  // Copying.
  std::uint32_t clean_before_ = 0;  // segments below it are to hold nothing
  std::uint32_t cursor_ = 0;
  std::vector<queue::Standing> standing_;  // of the walk so far, not read yet; the last is next
  std::vector<Record> records_;
  bool damaged_ = false;  // a record could not be read: nothing is copied any more, so its segment stays

  // The checkpoint.
  bool capturing_ = false;
  bool whole_ = false;
  storage::Lsn position_ = 0;
  std::uint32_t oldest_ = 0;  // the first segment in which something stood then
  std::uint64_t begun_bytes_ = 0;
  std::optional<queue::CapturedBlock> block_;
};

}  // namespace hr::commit
