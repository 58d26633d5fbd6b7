#include "storage/log/batch_queue.h"

#include "base/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hr::storage {
namespace {

constexpr std::size_t kFreeBuffersMax = 2;
constexpr std::uint8_t kKindMax = 127;
// The last sector of a segment is kept for the mark that says that the next segment exists.
constexpr std::uint32_t kSealBytes = kSectorBytes;

std::uint64_t bytes_of(std::span<const Record> group) {
  std::uint64_t bytes = 0;
  for (const Record& record : group) bytes += kRecordHeaderBytes + record.payload.size();
  return bytes;
}

Status check_kinds(std::span<const Record> group) {
  if (group.empty()) return fail(Errc::kInvalid, "a group without records");
  for (const Record& record : group) {
    if (record.kind == 0 || record.kind > kKindMax) {
      return fail(Errc::kInvalid,
                  fmt::format("record kind {} is not between 1 and {}", record.kind, kKindMax));
    }
  }
  return {};
}

}  // namespace

BatchQueue::BatchQueue(const LogOptions& options, Position next, std::uint32_t segment_bytes, Lsn next_lsn,
                       Time logged)
    : options_(options),
      next_(next),
      limit_(segment_bytes - kSealBytes),
      next_lsn_(next_lsn),
      logged_(logged) {}

// --- the sequencing thread ---

Status BatchQueue::check_size(std::uint64_t bytes) const {
  const std::uint64_t room = options_.segment_bytes - kSegmentHeaderBytes - kSealBytes - kBatchHeaderBytes;
  const std::uint64_t most = std::min<std::uint64_t>(options_.batch_bytes_max, room);
  if (bytes <= most) return {};
  return fail(Errc::kLimit, fmt::format("a group of {} bytes is larger than {}", bytes, most));
}

Status BatchQueue::check_pending(std::uint64_t bytes) const {
  if (dead_) return std::unexpected(*dead_);
  if (pending_bytes_ == 0 || pending_bytes_ + bytes <= options_.pending_bytes_max) return {};
  return fail(Errc::kBusy, fmt::format("{} bytes wait to be written to the log", pending_bytes_));
}

// What stands between the two calls: the log thread may seal the open batch and write a mark behind it. So
// the place is certain if there is room after both, or a segment to claim, whose number only append() lowers.
Status BatchQueue::admit(std::size_t records, std::uint64_t payload_bytes, Space space) {
  const std::uint64_t bytes = records * kRecordHeaderBytes + payload_bytes;
  HR_TRY(check_size(bytes));
  const std::lock_guard lock(mutex_);
  HR_TRY(check_pending(bytes));
  HR_TRY(check_reserve(space));
  const bool open = !batches_.empty() && batches_.back()->open;
  const std::uint64_t taken = (open ? sector_aligned(batches_.back()->bytes.size()) : 0) + kSectorBytes;
  if (taken + sector_aligned(kBatchHeaderBytes + bytes) > segment_room()) HR_TRY(check_claim(space));
  admitted_bytes_ = bytes;
  return {};
}

Result<SegmentedLog::Appended> BatchQueue::append(std::span<const Record> group, Space space, Release release,
                                                  Time now) {
  HR_TRY(check_kinds(group));
  const std::uint64_t bytes = bytes_of(group);
  HR_TRY(check_size(bytes));
  headers_.clear();
  for (std::size_t i = 0; i < group.size(); ++i)
    append_record_header(headers_, group[i], i + 1 == group.size());

  const std::lock_guard lock(mutex_);
  HR_TRY(check_pending(bytes));
  if (bytes > std::exchange(admitted_bytes_, 0)) HR_TRY(check_reserve(space));
  HR_TRY(make_room(bytes, space));
  pending_bytes_ += bytes;
  if (release == Release::kDurable) batches_.back()->durable = true;
  return put(group, now);
}

std::uint64_t BatchQueue::segment_room() const { return next_.offset < limit_ ? limit_ - next_.offset : 0; }

bool BatchQueue::fits_open_batch(std::uint64_t bytes) const {
  if (batches_.empty() || !batches_.back()->open) return false;
  const std::uint64_t whole = batches_.back()->bytes.size() + bytes;
  return whole - kBatchHeaderBytes <= options_.batch_bytes_max && sector_aligned(whole) <= segment_room();
}

Status BatchQueue::check_reserve(Space space) const {
  if (space == Space::kShrink || !refused_ || spares_ >= options_.reserve_segments) return {};
  return fail(Errc::kNoSpace, "the disk is full: the log keeps its reserve for deletes");
}

Status BatchQueue::check_claim(Space space) const {
  if (next_.segment == ~std::uint32_t{0}) return fail(Errc::kLimit, "the log has no further segment number");
  if (spares_ > (space == Space::kGrow ? options_.reserve_segments : 0)) return {};
  if (!refused_) return fail(Errc::kBusy, "the log's next segment is being prepared");
  return fail(Errc::kNoSpace, "the disk is full: the log has no further segment");
}

// Afterwards the last batch is open and has room.
Status BatchQueue::make_room(std::uint64_t bytes, Space space) {
  if (fits_open_batch(bytes)) return {};
  seal();
  if (sector_aligned(kBatchHeaderBytes + bytes) > segment_room()) {
    HR_TRY(check_claim(space));
    claim_segment();
  }
  open_batch();
  return {};
}

void BatchQueue::claim_segment() {
  --spares_;
  next_ = {next_.segment + 1, kSegmentHeaderBytes};
  limit_ = options_.segment_bytes - kSealBytes;
}

void BatchQueue::open_batch() {
  auto batch = std::make_unique<PendingBatch>();
  batch->at = next_;
  batch->first = next_lsn_;
  batch->time = logged_;
  if (!free_.empty()) {
    batch->bytes = std::move(free_.back());
    free_.pop_back();
  }
  batch->bytes.assign(kBatchHeaderBytes, '\0');
  batches_.push_back(std::move(batch));
}

void BatchQueue::seal() {
  if (batches_.empty() || !batches_.back()->open) return;
  PendingBatch& batch = *batches_.back();
  batch.open = false;
  batch.payload_bytes = static_cast<std::uint32_t>(batch.bytes.size() - kBatchHeaderBytes);
  batch.bytes.resize(sector_aligned(batch.bytes.size()), '\0');
  next_.offset = batch.at.offset + static_cast<std::uint32_t>(batch.bytes.size());
}

SegmentedLog::Appended BatchQueue::put(std::span<const Record> group, Time now) {
  PendingBatch& batch = *batches_.back();
  SegmentedLog::Appended appended{.lsn = next_lsn_++, .at = {}};
  appended.at.reserve(group.size());
  for (std::size_t i = 0; i < group.size(); ++i) {
    batch.bytes.append(headers_, i * kRecordHeaderBytes, kRecordHeaderBytes);
    appended.at.push_back({batch.at.segment, batch.at.offset + static_cast<std::uint32_t>(batch.bytes.size()),
                           static_cast<std::uint32_t>(group[i].payload.size())});
    batch.bytes.append(group[i].payload);
  }
  ++batch.groups;
  batch.records += static_cast<std::uint32_t>(group.size());
  logged_ = std::max(logged_, now);
  batch.time = logged_;
  return appended;
}

// --- the log thread ---

bool BatchQueue::has_work() const {
  const std::lock_guard lock(mutex_);
  return !batches_.empty() || dead_;
}

bool BatchQueue::wait(Duration patience) {
  std::unique_lock lock(mutex_);
  const auto news = [&] { return woken_ || dead_ || !batches_.empty(); };
  if (patience > 0ms) ready_.wait_for(lock, patience, news);
  woken_ = false;
  return dead_ || !batches_.empty();
}

void BatchQueue::kick() { ready_.notify_one(); }

void BatchQueue::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  ready_.notify_one();
}

PendingBatch* BatchQueue::front() {
  const std::lock_guard lock(mutex_);
  if (batches_.empty()) return nullptr;
  if (batches_.size() == 1) seal();
  return batches_.front().get();
}

void BatchQueue::pop() {
  const std::lock_guard lock(mutex_);
  HR_CHECK(!batches_.empty() && !batches_.front()->open);
  PendingBatch& batch = *batches_.front();
  pending_bytes_ -= batch.payload_bytes;
  if (free_.size() < kFreeBuffersMax) free_.push_back(std::move(batch.bytes));
  batches_.pop_front();
}

bool BatchQueue::push_mark() {
  const std::lock_guard lock(mutex_);
  if (dead_ || !batches_.empty()) return false;
  if (segment_room() < kSectorBytes && !check_claim(Space::kGrow)) return false;
  if (segment_room() < kSectorBytes) claim_segment();
  open_batch();
  seal();
  return true;
}

void BatchQueue::die(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (!dead_) dead_ = error;
  ready_.notify_one();
}

Status BatchQueue::alive() const {
  const std::lock_guard lock(mutex_);
  if (dead_) return std::unexpected(*dead_);
  return {};
}

std::uint32_t BatchQueue::spares_wanted() const {
  const std::lock_guard lock(mutex_);
  const std::uint32_t full = options_.reserve_segments + 1;
  return spares_ < full ? full - spares_ : 0;
}

void BatchQueue::spare_added() {
  const std::lock_guard lock(mutex_);
  ++spares_;
  refused_ = false;
}

void BatchQueue::spare_refused() {
  const std::lock_guard lock(mutex_);
  refused_ = true;
}

// --- any thread ---

std::optional<Bytes> BatchQueue::find(const Location& at) const {
  const std::lock_guard lock(mutex_);
  for (const auto& batch : batches_) {
    if (batch->at.segment != at.segment || at.offset < batch->at.offset + kBatchHeaderBytes) continue;
    const std::uint64_t from = at.offset - batch->at.offset;
    if (from + at.bytes <= batch->bytes.size()) return batch->bytes.substr(from, at.bytes);
  }
  return std::nullopt;
}

std::uint64_t BatchQueue::pending_bytes() const {
  const std::lock_guard lock(mutex_);
  return pending_bytes_;
}

bool BatchQueue::space_refused() const {
  const std::lock_guard lock(mutex_);
  return refused_ && spares_ <= options_.reserve_segments;
}

}  // namespace hr::storage
