#include "storage/log/segment_reader.h"

#include <algorithm>

namespace hr::storage {

Result<ByteView> SegmentReader::view(std::uint64_t offset, std::uint64_t n) {
  if (offset >= file_bytes_) return ByteView{};
  n = std::min(n, file_bytes_ - offset);
  if (offset < start_ || offset + n > start_ + window_.size()) {
    start_ = offset;
    const std::uint64_t wanted = std::min(std::max(n, kWindowBytes), file_bytes_ - offset);
    Result<std::size_t> got = 0;
    window_.resize_and_overwrite(wanted, [&](char* out, std::size_t bytes) {
      got = file_.read_at(offset, {out, bytes}, "log.read");
      return got.value_or(0);
    });
    if (!got) return std::unexpected(got.error());
    bytes_read_ += *got;
  }
  return ByteView(window_).substr(offset - start_, n);
}

Status SegmentReader::forget() {
  window_.clear();
  return file_.drop_cache("log.drop_cache");
}

}  // namespace hr::storage
