// The object index: ordered keys in a few tables, changed by whole batches. It has no log of its own: each
// batch carries the lsn it brings the index to, and after a crash the log is replayed from applied().
// RocksDB in the product, a map in simulation; one conformance suite runs against both.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "storage/log/record.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hr::storage {

// kBuckets: bucket name -> bucket. kObjects: bucket id (8 bytes, big-endian) + key -> object.
// kBodies: the same key -> body of at most 16 KiB, or the manifest of one that was uploaded in parts; apart
// from kObjects so that listing does not read it. kUploads: bucket id + key + NUL + upload id (8 bytes,
// big-endian) -> upload going on. kParts: upload id + part number (2 bytes, big-endian) -> part. kVersions:
// bucket id + key + NUL + version (8 bytes, big-endian, inverted: the newest first) -> object or delete
// marker that is not the current object. kNulls: bucket id + key -> the version, among kVersions, that has no
// id of its own.
enum class Table : std::uint8_t { kBuckets, kObjects, kBodies, kUploads, kParts, kVersions, kNulls };
inline constexpr std::size_t kTables = 7;

struct IndexChange {
  Table table = Table::kObjects;
  Bytes key;
  std::optional<Bytes> value;  // none: erase
};

// Ascending key order, over one consistent moment. Not thread-safe; must not outlive its index.
class Cursor {
 public:
  virtual ~Cursor() = default;
  virtual Status seek(ByteView key) = 0;  // to the first key >= `key`
  virtual Status next() = 0;
  virtual bool valid() const = 0;  // false: past the end
  virtual ByteView key() const = 0;
  virtual ByteView value() const = 0;
};

// kMemory: answer kBusy rather than wait for the device (ask again with kAny, off the reactor).
enum class Patience : std::uint8_t { kMemory, kAny };

// Reads are thread-safe; apply() and flush() come from one thread.
class Index {
 public:
  virtual ~Index() = default;
  virtual Result<std::optional<Bytes>> get(Table table, ByteView key, Patience patience) const = 0;
  virtual std::unique_ptr<Cursor> cursor(Table table) const = 0;
  // One for each, all over the same moment.
  virtual std::vector<std::unique_ptr<Cursor>> cursors(std::span<const Table> tables) const = 0;
  // All changes and the new position at once. Visible to reads when it returns; durable only after flush().
  virtual Status apply(const std::vector<IndexChange>& changes, Lsn upto) = 0;
  virtual Status flush() = 0;       // everything applied is durable
  virtual Lsn applied() const = 0;  // the position of the newest batch
  virtual Lsn durable() const = 0;  // the position a crash falls back to
  // All of it as it is now, durable, as an index of its own in a folder that is not there yet; its files are
  // shared with this one. Any thread. kUnsupported where there are no files.
  virtual Status copy_to(const std::string& /*path*/) const {
    return fail(Errc::kUnsupported, "this index has no files");
  }
};

// Of an index that is there; apply() and flush() answer kUnsupported, and no file is changed.
Result<std::unique_ptr<Index>> open_rocksdb_index_read_only(const std::string& path);
// `path`: an absolute folder, created if missing.
Result<std::unique_ptr<Index>> open_rocksdb_index(const std::string& path);
std::unique_ptr<Index> make_memory_index();

}  // namespace hr::storage
