// The applier: brings the object records of the log into the index, in log order, and removes the files of
// bodies nobody refers to any more. A batch of groups becomes one change of the index; a file goes only after
// the change that drops the last reference to it. Owns nothing; one thread at a time. Any error is the end:
// what was applied is known again only from the index and the log.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "object/batch.h"
#include "object/engine.h"
#include "storage/blob/blob.h"
#include "storage/index/index.h"
#include "storage/log/record.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace hr::object {

// A durable record of the object engine's kinds.
struct AppliedRecord {
  storage::Lsn lsn = 0;
  std::uint8_t kind = 0;
  Bytes payload;
};

struct ApplierLimits {
  std::uint64_t held_bytes_max = 256U << 20;  // of records applied and not flushed
  Duration held_max = 60s;
  std::size_t batch_bytes_max = 8U << 20;  // a larger batch is applied in several, cut between groups
};

class Applier {
 public:
  Applier(storage::Index& index, storage::BlobStore& blobs, ApplierLimits limits = {})
      : index_(index), blobs_(blobs), limits_(limits), batch_(index) {}

  // Whole groups, in log order; those the index has already are skipped. `upto`: the log holds no other
  // object records up to there (0: up to the last record given). Returns the position readers see.
  Result<storage::Lsn> apply(std::span<const AppliedRecord> records, storage::Lsn upto = 0);

  // Flushes what is held back if it is much or old. Call after each apply(), and when idle.
  Status maybe_flush(Time now);
  Status flush();  // everything applied is durable, and so is the position

 private:
  Status gather(const AppliedRecord& record);
  // What becomes of the row of an object or a part, and of the files it named before.
  Result<std::vector<storage::BlobName>> blobs_named_by(const Bytes& value, const Bytes& body_key) const;
  Status put_object(const Bytes& key, Bytes value, const Bytes& body_key, std::optional<Bytes> body);
  Status drop_object(const Bytes& key);
  Status put_part(const Bytes& key, const std::optional<Bytes>& value);
  Status close_parts(const ClosedUpload& closed);
  Status write(storage::Lsn upto);

  // Versions of a key.
  struct Row {
    Bytes value;
    Object object;
  };
  Result<std::optional<Row>> row_of(storage::Table table, const Bytes& key) const;
  Status change_version(const VersionChange& change);
  Status put_version(const VersionChange& change);
  Status set_version(const VersionChange& change);
  Status remove_version(const VersionChange& change);
  Status drop_version(const VersionChange& change, const Bytes& key, const Row& row, storage::Table table);
  Status drop_null(const VersionChange& change);
  Status archive(const VersionChange& change, Row current);
  Status promote(const VersionChange& change);

  storage::Index& index_;
  storage::BlobStore& blobs_;
  const ApplierLimits limits_;

  // The batch in the making.
  Batch batch_;
  std::size_t batch_bytes_ = 0;
  std::vector<storage::BlobName> garbage_;

  storage::Lsn seen_ = 0;  // the index is complete up to here, though its own position may be older
  std::uint64_t held_bytes_ = 0;
  std::optional<Time> held_since_;
};

// The blobs that an object of the index names; `body`: its row of kBodies.
Result<std::vector<storage::BlobName>> blobs_of_object(ByteView value, const std::optional<Bytes>& body);

struct SweepReport {
  std::uint64_t blobs = 0;    // of earlier epochs, looked at
  std::uint64_t removed = 0;  // orphans
};

// Removes the blobs of epochs other than `epoch` that no object and no part refers to: what crashes left
// behind. Run it after recovery, when every logged record is applied; writes may go on meanwhile. Memory is
// bounded: it looks at about `batch` blobs at a time and scans parts and objects once for each such batch.
Result<SweepReport> sweep_orphans(storage::BlobStore& blobs, const storage::Index& index, std::uint64_t epoch,
                                  std::size_t batch = 1U << 20);

}  // namespace hr::object
