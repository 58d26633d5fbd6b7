#include "storage/log/segment_reader.h"

#include <algorithm>

namespace hr::storage {

Result<ByteView> SegmentReader::view(std::uint64_t offset, std::uint64_t n) {
  if (offset >= file_bytes_) return ByteView{};
  n = std::min(n, file_bytes_ - offset);
  if (offset < start_ || offset + n > start_ + window_.size()) {
    window_.resize(std::min(std::max(n, kWindowBytes), file_bytes_ - offset));
    start_ = offset;
    const auto got = file_.read_at(offset, window_, "log.read");
    window_.resize(got.value_or(0));
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
