// Bodies too large for the log: immutable files under "blob/", written and fsynced under their final, never
// reused name before the log record that refers to them is appended. A crash leaves at worst an orphan.
// Names are "<epoch, 16 hex>-<number, 16 hex>" in one of 256 folders by the last two digits; never made from
// a key. See docs/formats/blob.md.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "os/disk.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hr::storage {

inline constexpr unsigned kBlobFolders = 256;

struct BlobName {
  std::uint64_t epoch = 0;
  std::uint64_t number = 0;

  bool operator==(const BlobName&) const = default;
  auto operator<=>(const BlobName&) const = default;
  std::string path() const;  // relative to the store's folder
};
std::optional<BlobName> parse_blob_name(std::string_view name);  // the last part of a path

// One upload, by one thread at a time. Destroyed before commit() it removes its file. After an error only its
// destructor may be called.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  virtual Status append(ByteView data) = 0;
  virtual Result<BlobName> commit() = 0;  // fsyncs the file and its folder; then the writer is done
  virtual std::uint64_t bytes() const = 0;
};

// Thread-safe. All calls block: not for the reactor. A blob that was committed and whose record was then
// refused is the caller's to remove().
class BlobStore {
 public:
  virtual ~BlobStore() = default;
  virtual Result<std::unique_ptr<BlobWriter>> create() = 0;
  // kNotFound when it was removed: the object has changed since its name was read.
  virtual Result<std::unique_ptr<os::File>> open(const BlobName& name) const = 0;
  virtual Status remove(const BlobName& name) = 0;  // fine if it is gone
  // While the pin lives, remove() of these names only takes note; the files go with the first removal or
  // creation after it. For readers of many files, which cannot hold all of them open. Does not block.
  virtual std::shared_ptr<void> pin(std::vector<BlobName> names) = 0;
  // While it lives, remove() of any name only takes note; the files go as with pin(). For whoever copies all.
  virtual std::shared_ptr<void> hold() = 0;
  // Blobs of this name and later ones of its epoch are yet to be created.
  virtual BlobName next() const = 0;
  // What stands in one of the kBlobFolders folders. Files with other names are left alone.
  virtual Result<std::vector<BlobName>> list(unsigned folder) const = 0;
};

// `epoch`: of this run, never used before. Makes the folders that are missing.
Result<std::unique_ptr<BlobStore>> open_blobs(os::Disk& disk, std::uint64_t epoch);

}  // namespace hr::storage
