#include "storage/log/segment_set.h"

#include "base/check.h"

#include <fmt/format.h>

#include <charconv>

namespace hr::storage {
namespace {

using os::OpenMode;

constexpr std::string_view kSparePrefix = "spare.";
constexpr std::string_view kFirstInMaking = "log/create.tmp";

std::string spare_path(std::uint64_t number) {
  return fmt::format("{}/{}{}", kLogFolder, kSparePrefix, number);
}

template <class T>
std::optional<T> number_in(std::string_view digits) {
  T number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size() || number == 0) return std::nullopt;
  return number;
}

}  // namespace

std::string segment_path(std::uint32_t number) { return fmt::format("{}/{:08}.log", kLogFolder, number); }

std::optional<std::uint32_t> segment_number(std::string_view file_name) {
  const auto number = number_in<std::uint32_t>(file_name.substr(0, file_name.find('.')));
  if (!number || segment_path(*number) != fmt::format("{}/{}", kLogFolder, file_name)) return std::nullopt;
  return number;
}

std::optional<std::uint64_t> spare_number(std::string_view file_name) {
  if (!file_name.starts_with(kSparePrefix)) return std::nullopt;
  const auto number = number_in<std::uint64_t>(file_name.substr(kSparePrefix.size()));
  if (!number || spare_path(*number) != fmt::format("{}/{}", kLogFolder, file_name)) return std::nullopt;
  return number;
}

void SegmentSet::adopt(SegmentFile segment) {
  const std::lock_guard lock(mutex_);
  segments_.push_back(std::move(segment));
}

Status SegmentSet::adopt_spare(std::uint64_t number) {
  next_spare_ = std::max(next_spare_, number + 1);
  const std::string path = spare_path(number);
  HR_ASSIGN(std::unique_ptr<os::File> file, disk_.open(path, OpenMode::kReadWrite, "log.open"));
  HR_ASSIGN(const std::uint64_t bytes, file->size("log.size"));
  if (bytes != segment_bytes_) return disk_.remove(path, "log.remove");
  spares_.push_back({path, std::move(file)});
  return {};
}

// No spare exists before the first segment's name is durable, so that a folder with spares and without
// segments is known to have lost them.
Status SegmentSet::create_first(const SegmentHeader& header) {
  HR_TRY(disk_.make_dir(kLogFolder, "log.create"));
  HR_TRY(disk_.sync_dir("", "log.syncdir"));
  if (Status gone = disk_.remove(kFirstInMaking, "log.remove");
      !gone && gone.error().code != Errc::kNotFound) {
    return gone;
  }
  HR_ASSIGN(std::unique_ptr<os::File> file, disk_.open(kFirstInMaking, OpenMode::kCreate, "log.create"));
  HR_TRY(file->allocate(segment_bytes_, "log.allocate"));
  HR_TRY(put_header(*file, std::string(kFirstInMaking), header));
  adopt({header.segment, segment_bytes_, header.base, std::move(file)});
  return {};
}

Status SegmentSet::allocate_spare(os::File& file) {
  HR_TRY(file.allocate(segment_bytes_, "log.allocate"));
  HR_TRY(file.sync("log.spare_sync"));
  return disk_.sync_dir(kLogFolder, "log.syncdir");
}

Status SegmentSet::add_spare() {
  const std::string path = spare_path(next_spare_);
  auto file = disk_.open(path, OpenMode::kCreate, "log.create");
  if (!file) return std::unexpected(std::move(file).error());
  ++next_spare_;
  if (Status allocated = allocate_spare(**file); !allocated) {
    // If this fails too, the next start removes the file: its size is wrong.
    (void)disk_.remove(path, "log.remove");
    return allocated;
  }
  spares_.push_back({path, std::move(*file)});
  return {};
}

// The header is durable before the name is, so that a segment always has one.
Status SegmentSet::put_header(os::File& file, const std::string& from, const SegmentHeader& header) {
  HR_TRY(file.write_at(0, encode(header), "log.header"));
  HR_TRY(file.sync("log.header_sync"));
  HR_TRY(disk_.rename(from, segment_path(header.segment), "log.rename"));
  return disk_.sync_dir(kLogFolder, "log.syncdir");
}

Status SegmentSet::start(const SegmentHeader& header) {
  HR_CHECK(!spares_.empty());
  Spare spare = std::move(spares_.front());
  spares_.pop_front();
  HR_TRY(put_header(*spare.file, spare.path, header));
  adopt({header.segment, segment_bytes_, header.base, std::move(spare.file)});
  return {};
}

Status SegmentSet::write_seal(os::File& file, const BatchHeader& seal) {
  Bytes sector = encode(seal);
  sector.resize(kSectorBytes, '\0');
  HR_TRY(file.write_at(seal.at.offset, sector, "log.seal"));
  return file.sync("log.seal_sync");
}

Status SegmentSet::drop_oldest() {
  HR_CHECK(segments_.size() > 1);
  HR_TRY(disk_.remove(segment_path(segments_.front().number), "log.remove"));
  {
    const std::lock_guard lock(mutex_);
    segments_.pop_front();
  }
  // One at a time: what a power cut leaves has no gap.
  return disk_.sync_dir(kLogFolder, "log.drop_syncdir");
}

std::optional<Lsn> SegmentSet::second_base() const {
  if (segments_.size() < 2) return std::nullopt;
  return segments_[1].base;
}

std::shared_ptr<os::File> SegmentSet::find(std::uint32_t number) const {
  const std::lock_guard lock(mutex_);
  if (segments_.empty() || number < segments_.front().number) return nullptr;
  const std::size_t index = number - segments_.front().number;
  return index < segments_.size() ? segments_[index].file : nullptr;
}

std::uint32_t SegmentSet::first() const {
  const std::lock_guard lock(mutex_);
  return segments_.front().number;
}

std::size_t SegmentSet::count() const {
  const std::lock_guard lock(mutex_);
  return segments_.size();
}

std::uint64_t SegmentSet::bytes() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t sum = 0;
  for (const SegmentFile& segment : segments_) sum += segment.bytes;
  return sum;
}

}  // namespace hr::storage
