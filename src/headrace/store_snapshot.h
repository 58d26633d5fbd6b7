// One moment of a running store, held for whoever copies it (`headrace store backup`): the log's segments and
// the newest checkpoint as links, the index as a copy that shares its files, and no body's file is removed.
// At most one at a time; it goes when its holder ends it, or has not been heard of for kPatience.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "commit/threads.h"
#include "os/clock.h"
#include "storage/blob/blob.h"
#include "storage/index/index.h"
#include "storage/log/log.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace hr {

inline constexpr std::string_view kSnapshotFolder = "snapshot";  // in the data folder

// What there is to copy. As JSON it is what the store answers.
struct Snapshot {
  std::string id;
  storage::Lsn last = 0;               // all groups up to here
  std::uint32_t segment = 0, end = 0;  // where they end in the log
  storage::BlobName next_blob;         // this one and later ones of its epoch came afterwards

  bool operator==(const Snapshot&) const = default;
};
std::string to_json(const Snapshot& snapshot);
Result<Snapshot> parse_snapshot(std::string_view json);

class Snapshots {
 public:
  static constexpr Duration kPatience = 10s;

  struct Parts {
    std::string path;  // the data folder
    const storage::SegmentedLog& log;
    const storage::Index& index;
    storage::BlobStore& blobs;
    commit::Threads& threads;
    const os::Clock& clock;
    os::Entropy& entropy;
    hr::Log diary;
  };
  explicit Snapshots(Parts parts) : parts_(std::move(parts)) {}

  // What a killed process left. Before anything else.
  static Status clear(const std::string& path);

  // These three block: not for the reactor. kBusy: another is held. kNotFound: it is gone.
  Result<Snapshot> take();
  Status keep(std::string_view id);  // its holder is still there
  Status end(std::string_view id);

  // Whether end_overdue() has something to do.
  bool is_overdue() const;
  void end_overdue();

 private:
  struct Held {
    Snapshot snapshot;
    std::shared_ptr<void> blobs;
    Time heard;
  };

  Status link_files(Snapshot& snapshot);
  Status end_held();

  const Parts parts_;
  mutable std::mutex mutex_;
  std::optional<Held> held_;
};

}  // namespace hr
