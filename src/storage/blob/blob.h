// Bodies too large for the log: immutable files under "blob/", written and fsynced under their final, never
// reused name before the log record that refers to them is appended. A crash leaves at worst an orphan.
// Names are "<epoch, 16 hex>-<number, 16 hex>" in one of 256 folders by the last two digits; never made from
// a key. See docs/formats/blob.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "os/disk.h"

namespace hr::storage {

struct BlobName {
  std::uint64_t epoch = 0;
  std::uint64_t number = 0;

  bool operator==(const BlobName&) const = default;
  auto operator<=>(const BlobName&) const = default;
  std::string path() const;  // relative to the store's folder
};

// One upload. Destroyed before commit() it removes its file.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  virtual Status append(ByteView data) = 0;
  virtual Result<BlobName> commit() = 0;  // fsyncs the file and its folder
  virtual std::uint64_t bytes() const = 0;
};

// Thread-safe. All calls block: not for the reactor.
class BlobStore {
 public:
  virtual ~BlobStore() = default;
  virtual Result<std::unique_ptr<BlobWriter>> create() = 0;
  virtual Result<std::unique_ptr<os::File>> open(const BlobName& name) const = 0;
  virtual Status remove(const BlobName& name) = 0;  // fine if it is gone
  virtual Result<std::vector<BlobName>> list() const = 0;
};

Result<std::unique_ptr<BlobStore>> open_blobs(os::Disk& disk, std::uint64_t epoch);

}  // namespace hr::storage
