// The files of the log: segments, the last of which is written, and spare files, allocated ahead, which
// become the next segments. Owned by the log thread; find() and the sums are for any thread.
//
// A name in the folder is durable before anything relies on it. Everything but add_spare() fails for good:
// the log is dead after it.
#pragma once

#include "base/result.h"
#include "os/disk.h"
#include "storage/log/format.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hr::storage {

inline constexpr std::string_view kLogFolder = "log";

std::string segment_path(std::uint32_t number);  // log/00000001.log
std::optional<std::uint32_t> segment_number(std::string_view file_name);
std::optional<std::uint64_t> spare_number(std::string_view file_name);  // of spare.1

struct SegmentFile {
  std::uint32_t number = 0;
  std::uint32_t bytes = 0;
  Lsn base = 1;
  std::shared_ptr<os::File> file;  // shared with readers: a segment may be dropped while it is read
};

class SegmentSet {
 public:
  SegmentSet(os::Disk& disk, std::uint32_t segment_bytes) : disk_(disk), segment_bytes_(segment_bytes) {}

  // --- while opening ---

  void adopt(SegmentFile segment);
  // Keeps a spare of an earlier run if it has the right size, else removes it.
  Status adopt_spare(std::uint64_t number);
  Status create_first(const SegmentHeader& header);

  // --- the log thread ---

  Status add_spare();  // an error is no harm: nothing is left behind
  std::size_t spares() const { return spares_.size(); }
  // A spare becomes the segment after the current one, durably.
  Status start(const SegmentHeader& header);
  // Removes the oldest, durably; never the current one.
  Status drop_oldest();
  // Where the second oldest begins, or nothing if there is only one.
  std::optional<Lsn> second_base() const;
  const SegmentFile& current() const { return segments_.back(); }

  // At the end of `file`: the segment that `seal.durable` names exists. What deletes that segment is noticed.
  static Status write_seal(os::File& file, const BatchHeader& seal);

  // --- any thread ---

  std::shared_ptr<os::File> find(std::uint32_t number) const;
  std::uint32_t first() const;  // number of the oldest
  std::size_t count() const;
  std::uint64_t bytes() const;  // spares not counted

 private:
  struct Spare {
    std::string path;
    std::unique_ptr<os::File> file;
  };

  Status allocate_spare(os::File& file);
  Status put_header(os::File& file, const std::string& from, const SegmentHeader& header);

  os::Disk& disk_;
  const std::uint32_t segment_bytes_;
  mutable std::mutex mutex_;  // segments_, which only the log thread changes
  std::deque<SegmentFile> segments_;
  std::deque<Spare> spares_;
  std::uint64_t next_spare_ = 1;
};

}  // namespace hr::storage
