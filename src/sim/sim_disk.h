// A disk that lies as reality does. What was not synced survives a power cut in part: every 512-byte sector,
// file size and directory entry on its own, in any combination (strict POSIX, not the kindness of one file
// system). Any operation can be made to fail by its label. Deterministic for one seed and one order of calls.
//
// Three ends: crash() is a power cut, restart() is kill -9 (the page cache survives), and crash_after_ops(n)
// lets the power fail in the middle of somebody's work: every later operation answers kClosed until one of
// the other two is called. All of them kill the open files and locks.
#pragma once

#include "os/disk.h"
#include "sim/inode.h"
#include "sim/random.h"

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace hr::sim {

enum class Fault : std::uint8_t {
  kIo,          // EIO; nothing was done. On a sync: what was dirty will never be written
  kNoSpace,     // ENOSPC; nothing was done
  kShortWrite,  // a write stores its first half, then EIO
  kBitFlip,     // a read answers with one bit turned
};

struct CrashOptions {
  std::optional<CutOdds> odds;  // drawn from the seed otherwise
  bool half_sectors = false;    // when drawn: sectors may be torn inside too
};

struct SimDiskOptions {
  std::uint64_t capacity_bytes = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t seed = 1;  // for the place of a flipped bit
};

// Thread-safe.
class SimDisk final : public os::Disk {
 public:
  using Options = SimDiskOptions;

  explicit SimDisk(Options options = {});
  ~SimDisk() override;

  Result<std::unique_ptr<os::File>> open(std::string_view path, os::OpenMode mode, os::Label label) override;
  Status rename(std::string_view from, std::string_view to, os::Label label) override;
  Status remove(std::string_view path, os::Label label) override;
  Status make_dir(std::string_view path, os::Label label) override;
  Result<std::vector<os::DirEntry>> list(std::string_view dir, os::Label label) override;
  Status sync_dir(std::string_view dir, os::Label label) override;
  Result<os::Space> space(os::Label label) override;
  Result<std::unique_ptr<os::DirLock>> lock(os::Label label) override;

  // --- faults ---

  // The nth operation (from 1, counted from this call) with this label fails, and `times` - 1 after it; 0 is
  // "from then on". The label "" means every operation.
  void fail(std::string_view label, Fault fault, std::uint64_t nth = 1, std::uint64_t times = 1);
  void clear_faults();
  void set_capacity(std::uint64_t bytes);
  // Overwrites stored bytes, durably, as rot or a stray hand does. False: no such file.
  bool damage(std::string_view path, std::uint64_t offset, ByteView data);

  // --- ends ---

  void crash_after_ops(std::uint64_t n);
  void crash(std::uint64_t seed, const CrashOptions& options = {});
  void restart();

  // --- for the test that watches ---

  std::uint64_t ops() const;  // all operations so far, failed ones included
  std::uint64_t ops(std::string_view label) const;
  std::uint64_t used_bytes() const;
  std::optional<Bytes> contents(std::string_view path) const;  // as a reader sees them now
  std::string trace() const;                                   // the last labels, oldest first

  class Core;  // what the disk shares with its open files

 private:
  const std::shared_ptr<Core> core_;
};

}  // namespace hr::sim
