#include "storage/log/segmented_log.h"

#include "base/check.h"
#include "codec/digest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace hr::storage {
namespace {

// While the disk is full and the log busy, a new segment is tried for once in so many writes.
constexpr std::uint32_t kSparePauseWrites = 64;

// A flush of bytes that a file never held changes its metadata too: on ext4 it waits for the journal, twice
// as long alone, ten times where others use the disk (measured). So zeros are written in advance, so many at
// once, when fewer than a small batch or two have room in them. Large batches have no use for it.
constexpr std::uint32_t kAheadBytes = 1U << 20;
constexpr std::uint32_t kAheadBytesLeast = 64U << 10;
constexpr std::size_t kAheadBatchMax = 128U << 10;

}  // namespace

DiskLog::DiskLog(const LogOptions& options, Start start)
    : options_(options),
      log_id_(start.end.log_id),
      epoch_(start.end.epoch),
      segments_(std::move(start.segments)),
      queue_(options, start.end.at, segments_->current().bytes, start.end.next, start.end.logged),
      written_{start.end.at, start.end.next - 1},
      durable_(written_),
      groups_end_(start.marked),
      marked_(start.marked),
      marked_if_synced_(start.marked),
      ahead_(start.end.at),
      shown_(durable_) {
  for (std::size_t i = 0; i < segments_->spares(); ++i) queue_.spare_added();
}

Status DiskLog::admit(std::size_t records, std::uint64_t payload_bytes, Space space) {
  return queue_.admit(records, payload_bytes, space);
}

Result<SegmentedLog::Appended> DiskLog::append(std::span<const Record> group, Space space, Release release,
                                               Time now) {
  return queue_.append(group, space, release, now);
}

bool DiskLog::wait(Duration patience) {
  if (!queue_.has_work()) make_spares();
  return queue_.wait(patience);
}

std::unexpected<Error> DiskLog::die(Error error) {
  queue_.die(error);
  return std::unexpected(std::move(error));
}

void DiskLog::make_spares() {
  spare_pause_ = 0;
  while (queue_.spares_wanted() > 0) {
    if (!segments_->add_spare()) {
      queue_.spare_refused();
      spare_pause_ = kSparePauseWrites;
      return;
    }
    queue_.spare_added();
  }
}

Result<Lsn> DiskLog::write() {
  HR_TRY(queue_.alive());
  if (queue_.spares_wanted() > 0 && (spare_pause_ == 0 || --spare_pause_ == 0)) make_spares();
  PendingBatch* batch = queue_.front();
  if (!batch) return written_.last;
  if (Status done = put(*batch); !done) return die(std::move(done).error());
  queue_.pop();
  return written_.last;
}

BatchHeader DiskLog::header_at(Position at, Lsn first, Time time) const {
  BatchHeader header;
  header.log_id = log_id_;
  header.epoch = epoch_;
  header.first = first;
  header.time = time;
  header.at = at;
  header.durable = durable_.at;
  return header;
}

Status DiskLog::put(PendingBatch& batch) {
  if (batch.at.segment != segments_->current().number) HR_TRY(rotate(batch.time));
  HR_CHECK(batch.at == written_.at && batch.first == written_.last + 1);
  BatchHeader header = header_at(batch.at, batch.first, batch.time);
  header.groups = batch.groups;
  header.records = batch.records;
  header.payload_bytes = batch.payload_bytes;
  header.payload_crc = codec::crc32c(ByteView(batch.bytes).substr(kBatchHeaderBytes, batch.payload_bytes));
  // Readers of this batch look past its header only, so it is filled in without the queue's lock.
  const Bytes encoded = encode(header);
  std::memcpy(batch.bytes.data(), encoded.data(), encoded.size());
  HR_TRY(segments_->current().file->write_at(batch.at.offset, batch.bytes, "log.write"));
  written_.at.offset += static_cast<std::uint32_t>(batch.bytes.size());
  written_.last += batch.groups;
  if (batch.groups > 0) groups_end_ = written_.at;
  marked_if_synced_ = header.durable;
  wants_sync_ = wants_sync_ || batch.durable;
  ++batches_;
  groups_ += batch.groups;
  written_bytes_ += batch.bytes.size();
  return batch.bytes.size() <= kAheadBatchMax ? write_ahead() : Status();
}

// Behind what is written there are zeros, or what a torn tail left, which means nothing: writing zeros
// changes nothing that anybody reads. They are synced with the batch before them.
Status DiskLog::write_ahead() {
  const std::uint32_t segment_end = segments_->current().bytes - kSectorBytes;
  const Position end = written_.at;
  ahead_ = std::max(ahead_, end);
  if (ahead_.offset >= std::min(segment_end, end.offset + kAheadBytesLeast)) return {};
  if (zeros_.empty()) zeros_.assign(std::min(kAheadBytes, segments_->current().bytes), '\0');
  const std::uint32_t upto = std::min(segment_end, end.offset + kAheadBytes);
  const ByteView zeros = ByteView(zeros_).substr(0, upto - ahead_.offset);
  HR_TRY(segments_->current().file->write_at(ahead_.offset, zeros, "log.ahead"));
  ahead_.offset += static_cast<std::uint32_t>(zeros.size());
  return {};
}

Status DiskLog::sync_written(os::Label label) {
  wants_sync_ = false;
  if (durable_.at == written_.at) return {};
  HR_TRY(segments_->current().file->sync(label));
  durable_ = written_;
  marked_ = marked_if_synced_;
  ++syncs_;
  show_durable();
  return {};
}

void DiskLog::show_durable() {
  const std::lock_guard lock(shown_mutex_);
  shown_ = durable_;
}

Result<Lsn> DiskLog::sync() {
  HR_TRY(queue_.alive());
  if (Status done = sync_written("log.sync"); !done) return die(std::move(done).error());
  return durable_.last;
}

// The order is what recovery relies on: the old segment whole, then the new one with its header and name,
// then a mark at the end of the old one that says that the new one exists.
Status DiskLog::rotate(Time time) {
  HR_TRY(sync_written("log.rotate_sync"));
  SegmentHeader header;
  header.segment = segments_->current().number + 1;
  header.segment_bytes = options_.segment_bytes;
  header.log_id = log_id_;
  header.epoch = epoch_;
  header.base = written_.last + 1;
  header.previous_epoch = epoch_;
  header.previous_end = written_.at.offset;
  header.time = time;
  const std::shared_ptr<os::File> previous = segments_->current().file;
  HR_TRY(segments_->start(header));
  BatchHeader seal = header_at(written_.at, header.base, time);
  seal.durable = {header.segment, kSegmentHeaderBytes};
  HR_TRY(SegmentSet::write_seal(*previous, seal));
  written_.at = durable_.at = marked_ = marked_if_synced_ = groups_end_ = seal.durable;
  show_durable();
  return {};
}

Status DiskLog::mark() {
  HR_TRY(queue_.alive());
  if (queue_.has_work()) return {};
  HR_TRY(sync());
  if (marked_ >= groups_end_ || !queue_.push_mark()) return {};
  HR_TRY(write());
  HR_TRY(sync());
  return {};
}

Result<Bytes> DiskLog::read(const Location& at) const {
  if (auto pending = queue_.find(at)) return std::move(*pending);
  const std::shared_ptr<os::File> file = segments_->find(at.segment);
  if (!file) return fail(Errc::kNotFound, fmt::format("{} is not in the log", segment_path(at.segment)));
  if (at.offset < kSegmentHeaderBytes + kBatchHeaderBytes + kRecordHeaderBytes ||
      at.bytes > kSegmentBytesMax) {
    return fail(Errc::kInvalid, fmt::format("no record stands at byte {} of a segment", at.offset));
  }
  Bytes bytes(kRecordHeaderBytes + at.bytes, '\0');
  HR_ASSIGN(const std::size_t got, file->read_at(at.offset - kRecordHeaderBytes, bytes, "log.read_record"));
  const auto record = decode_record_header(ByteView(bytes).substr(0, kRecordHeaderBytes));
  if (got != bytes.size() || !record || record->bytes != at.bytes ||
      record->crc != record_crc(record->kind, record->last, ByteView(bytes).substr(kRecordHeaderBytes))) {
    return fail(Errc::kCorrupt, fmt::format("{} is damaged at byte {}: a record's checksum is wrong",
                                            segment_path(at.segment), at.offset));
  }
  bytes.erase(0, kRecordHeaderBytes);
  return bytes;
}

Status DiskLog::drop_before(Lsn lsn, std::uint32_t segment) {
  HR_TRY(queue_.alive());
  for (;;) {
    const auto next_base = segments_->second_base();
    if (!next_base || *next_base > lsn || segments_->first() >= segment) return {};
    if (Status done = segments_->drop_oldest(); !done) return die(std::move(done).error());
    spare_pause_ = 0;
  }
}

SegmentedLog::Stats DiskLog::stats() const {
  const Reached durable = [this] {
    const std::lock_guard lock(shown_mutex_);
    return shown_;
  }();
  return {.segments = segments_->count(),
          .bytes = segments_->bytes(),
          .batches = batches_,
          .syncs = syncs_,
          .groups = groups_,
          .pending_bytes = queue_.pending_bytes(),
          .space_refused = queue_.space_refused(),
          .first_segment = segments_->first(),
          .written_bytes = written_bytes_,
          .durable = durable.last,
          .durable_segment = durable.at.segment,
          .durable_offset = durable.at.offset};
}

}  // namespace hr::storage
