#include "s3/parts_file.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

namespace hr::s3 {
namespace {

struct Extent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  storage::BlobName blob;
};

class PartsFile final : public os::File {
 public:
  PartsFile(storage::BlobStore& blobs, const object::Manifest& manifest) : blobs_(blobs) {
    std::vector<storage::BlobName> names;
    std::uint64_t at = 0;
    for (const object::Piece& piece : manifest) {
      if (!piece.blob) continue;
      extents_.push_back({.begin = at, .end = at + piece.bytes, .blob = *piece.blob});
      names.push_back(*piece.blob);
      at += piece.bytes;
    }
    pin_ = blobs_.pin(std::move(names));
  }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out, os::Label label) override {
    std::size_t done = 0;
    while (done < out.size()) {
      HR_ASSIGN(const std::size_t got, read_piece(offset + done, out.subspan(done), label));
      if (got == 0) break;
      done += got;
    }
    return done;
  }
  Result<std::uint64_t> size(os::Label) override { return extents_.empty() ? 0 : extents_.back().end; }
  int native_handle() const override { return -1; }
  Status write_at(std::uint64_t, ByteView, os::Label) override { return read_only(); }
  Status sync(os::Label) override { return read_only(); }
  Status allocate(std::uint64_t, os::Label) override { return read_only(); }
  Status truncate(std::uint64_t, os::Label) override { return read_only(); }

 private:
  static Status read_only() { return fail(Errc::kUnsupported, "the parts of an object are never written"); }

  // Up to the end of one extent; 0: behind the last one.
  Result<std::size_t> read_piece(std::uint64_t offset, std::span<char> out, os::Label label) {
    const auto at = std::ranges::upper_bound(extents_, offset, {}, &Extent::end);
    if (at == extents_.end()) return 0;
    HR_ASSIGN(const auto file, file_of(at->blob));
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), at->end - offset));
    HR_ASSIGN(const std::size_t got, file->read_at(offset - at->begin, out.first(most), label));
    if (got < most) return fail(Errc::kCorrupt, at->blob.path() + " is shorter than its part");
    return got;
  }

  Result<std::shared_ptr<os::File>> file_of(const storage::BlobName& blob) {
    const std::lock_guard lock(mutex_);
    if (!open_ || open_blob_ != blob) {
      HR_ASSIGN(open_, blobs_.open(blob));
      open_blob_ = blob;
    }
    return open_;
  }

  storage::BlobStore& blobs_;
  std::vector<Extent> extents_;
  std::shared_ptr<void> pin_;
  std::mutex mutex_;
  std::shared_ptr<os::File> open_;  // shared with a read that is going on
  storage::BlobName open_blob_;
};

}  // namespace

std::unique_ptr<os::File> open_parts(storage::BlobStore& blobs, const object::Manifest& manifest) {
  return std::make_unique<PartsFile>(blobs, manifest);
}

}  // namespace hr::s3
