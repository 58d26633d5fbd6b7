// Brings a store up from its folder: state, index, log, engines, in the one order that is safe. The queue
// engine is what the newest checkpoint says and takes back the queue records after it; the index falls back
// to its durable position, and the log's records after it are applied again (idempotent). Nothing here
// decides anything.
#pragma once

#include "base/result.h"
#include "object/applier.h"
#include "object/engine.h"
#include "os/disk.h"
#include "os/entropy.h"
#include "queue/engine.h"
#include "storage/blob/blob.h"
#include "storage/index/index.h"
#include "storage/log/log.h"
#include "storage/state/state_files.h"

#include <memory>

namespace hr::commit {

struct RecoveryOptions {
  storage::LogOptions log;
  queue::Limits queues;
  object::Limits objects;
};

// Everything below the Store, recovered. The order of members is the order of construction.
struct Recovered {
  std::unique_ptr<storage::Index> index;
  std::unique_ptr<storage::StateFiles> state;
  std::unique_ptr<queue::Engine> queues;
  std::unique_ptr<object::Engine> objects;
  std::unique_ptr<storage::SegmentedLog> log;
  std::unique_ptr<storage::BlobStore> blobs;
  std::unique_ptr<object::Applier> applier;
  storage::RecoveryReport report;
  std::uint64_t replayed_object_records = 0;
};

// Takes ownership of an index that is open. kCorrupt names what is damaged; then nothing was changed.
Result<Recovered> recover(os::Disk& disk, os::Entropy& entropy, std::unique_ptr<storage::Index> index,
                          const RecoveryOptions& options);

}  // namespace hr::commit
