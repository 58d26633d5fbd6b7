// Reads a segment from front to back through a window, so that recovery makes few large reads.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "os/disk.h"

#include <cstdint>

namespace hr::storage {

class SegmentReader {
 public:
  SegmentReader(os::File& file, std::uint64_t file_bytes) : file_(file), file_bytes_(file_bytes) {}

  // `n` bytes from `offset`; fewer at the end of the file. Valid until the next call.
  Result<ByteView> view(std::uint64_t offset, std::uint64_t n);
  // What was read is read again from the device: a bit may have been turned on its way.
  Status forget();
  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  static constexpr std::uint64_t kWindowBytes = 1U << 20;

  os::File& file_;
  const std::uint64_t file_bytes_;
  Bytes window_;
  std::uint64_t start_ = 0;
  std::uint64_t bytes_read_ = 0;
};

}  // namespace hr::storage
