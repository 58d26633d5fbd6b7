#include "storage/log/survey.h"

#include "codec/digest.h"
#include "storage/log/segment_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace hr::storage {
namespace {

using Replay = std::function<Status(const RecoveredRecord&)>;

std::unexpected<Error> damaged(Position at, std::string_view why) {
  return fail(Errc::kCorrupt, fmt::format("{} is damaged at byte {}: {}; nothing was changed",
                                          segment_path(at.segment), at.offset, why));
}

std::unexpected<Error> missing(std::uint32_t segment) {
  return fail(Errc::kCorrupt,
              fmt::format("{} is missing: the log needs it; nothing was changed", segment_path(segment)));
}

bool all_zero(ByteView bytes) {
  static constexpr std::array<char, kSectorBytes> kZeros{};
  return std::memcmp(bytes.data(), kZeros.data(), bytes.size()) == 0;
}

struct Batch {
  BatchHeader header;
  ByteView payload;
};

class Surveyor {
 public:
  Surveyor(os::Disk& disk, const RecoveryRules& rules, Lsn from, const Replay& replay)
      : disk_(disk), rules_(rules), from_(from), replay_(replay) {}

  Result<Survey> run();

 private:
  Status list_folder();
  Status open_segments();
  Status settle(os::File& file);
  Status read_headers();
  Status check_header(const SegmentFile& segment, const SegmentHeader& header) const;
  Status enter(std::size_t index);
  void pass(std::size_t index);
  Status walk(std::size_t index);
  Result<std::optional<Batch>> next_batch(SegmentReader& reader);
  Result<std::optional<Batch>> try_batch(SegmentReader& reader) const;
  Status replay_batch(const Batch& batch);
  Status take_marks(SegmentReader& reader, std::uint32_t segment, std::uint64_t from, bool count_torn);
  Status judge_end(SegmentReader& reader);
  Status judge_unfinished();

  os::Disk& disk_;
  const RecoveryRules& rules_;
  const Lsn from_;
  const Replay& replay_;
  Survey out_;
  std::vector<SegmentHeader> headers_;  // of out_.segments
  std::optional<SegmentFile> unfinished_;
  Position durable_;  // the highest place that anything valid says was durable
};

Result<Survey> Surveyor::run() {
  HR_TRY(list_folder());
  if (out_.segments.empty()) return std::move(out_);
  HR_TRY(open_segments());
  HR_TRY(read_headers());
  for (std::size_t i = 0; i < out_.segments.size(); ++i) {
    HR_TRY(enter(i));
    if (i + 1 < out_.segments.size() && headers_[i + 1].base <= from_) {
      pass(i);
    } else {
      HR_TRY(walk(i));
    }
  }
  HR_TRY(judge_unfinished());
  return std::move(out_);
}

Status Surveyor::list_folder() {
  const auto entries = disk_.list(kLogFolder, "log.list");
  if (!entries && entries.error().code == Errc::kNotFound) return {};
  if (!entries) return std::unexpected(entries.error());
  for (const os::DirEntry& entry : *entries) {
    if (const auto number = segment_number(entry.name)) {
      out_.segments.push_back({.number = *number, .file = nullptr});
    } else if (const auto spare = spare_number(entry.name)) {
      out_.spares.push_back(*spare);
    } else if (entry.name != "create.tmp") {
      return fail(Errc::kCorrupt,
                  fmt::format("{}/{} is not part of the log: move it away", kLogFolder, entry.name));
    }
  }
  std::ranges::sort(out_.segments, {}, &SegmentFile::number);
  if (out_.segments.empty() && !out_.spares.empty()) return missing(1);
  return {};
}

Status Surveyor::open_segments() {
  // Names that a killed process left in the page cache become durable before anything is built on them.
  HR_TRY(disk_.sync_dir(kLogFolder, "log.recover_sync"));
  const std::uint32_t first = out_.segments.front().number;
  for (std::size_t i = 0; i < out_.segments.size(); ++i) {
    SegmentFile& segment = out_.segments[i];
    if (segment.number != first + i) return missing(first + static_cast<std::uint32_t>(i));
    HR_ASSIGN(segment.file, disk_.open(segment_path(segment.number), os::OpenMode::kReadWrite, "log.open"));
    // Only the last two can have been written since the last successful sync.
    if (i + 2 >= out_.segments.size()) HR_TRY(settle(*segment.file));
  }
  return {};
}

// What is read from here on is what the device holds, and stays.
Status Surveyor::settle(os::File& file) {
  HR_TRY(file.sync("log.recover_sync"));
  return file.drop_cache("log.drop_cache");
}

Status Surveyor::read_headers() {
  for (std::size_t i = 0; i < out_.segments.size(); ++i) {
    SegmentFile& segment = out_.segments[i];
    HR_ASSIGN(const std::uint64_t file_bytes, segment.file->size("log.size"));
    SegmentReader reader(*segment.file, std::min<std::uint64_t>(file_bytes, kSegmentHeaderBytes));
    HR_ASSIGN(const ByteView sector, reader.view(0, kSegmentHeaderBytes));
    auto header = decode_segment_header(sector);
    if (!header) {
      HR_TRY(reader.forget());
      HR_ASSIGN(const ByteView again, reader.view(0, kSegmentHeaderBytes));
      header = decode_segment_header(again);
    }
    if (!header && header.error().code == Errc::kUnsupported) {
      return fail(Errc::kUnsupported,
                  fmt::format("{}: {}", segment_path(segment.number), header.error().message));
    }
    if (!header && i > 0 && i + 1 == out_.segments.size()) {
      segment.bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(file_bytes, kSegmentBytesMax));
      unfinished_ = segment;
      out_.segments.pop_back();
      return {};
    }
    if (!header) return damaged({segment.number, 0}, header.error().message);
    HR_TRY(check_header(segment, *header));
    if (file_bytes != header->segment_bytes) {
      return damaged(
          {segment.number, static_cast<std::uint32_t>(std::min<std::uint64_t>(file_bytes, kSegmentBytesMax))},
          fmt::format("the file is {} bytes long instead of {}", file_bytes, header->segment_bytes));
    }
    segment.bytes = header->segment_bytes;
    segment.base = header->base;
    headers_.push_back(*header);
  }
  return {};
}

Status Surveyor::check_header(const SegmentFile& segment, const SegmentHeader& header) const {
  const Position at{segment.number, 0};
  if (header.segment != segment.number) {
    return damaged(at, fmt::format("it says that it is {}: it was renamed", segment_path(header.segment)));
  }
  if (header.segment_bytes < kSegmentBytesMin || header.segment_bytes > kSegmentBytesMax) {
    return damaged(at, "its header states an impossible size");
  }
  if (!headers_.empty() && header.log_id != headers_.front().log_id)
    return damaged(at, "it is of another log");
  return {};
}

// From the end of one segment into the next.
Status Surveyor::enter(std::size_t index) {
  const SegmentHeader& header = headers_[index];
  if (index == 0) {
    out_.first = header.base;
    out_.end = {header.log_id, header.epoch, header.base, {}, header.time};
  } else if (header.base != out_.end.next || header.previous_epoch != out_.end.epoch) {
    return damaged({header.segment, 0}, "it does not continue the segment before");
  } else {
    out_.sealed = out_.end.at;
  }
  out_.end.epoch = header.epoch;
  out_.end.at = {header.segment, kSegmentHeaderBytes};
  out_.end.logged = std::max(out_.end.logged, header.time);
  return {};
}

// To the end of a segment that is not read: the next one's header says where that is.
void Surveyor::pass(std::size_t index) {
  const SegmentHeader& next = headers_[index + 1];
  out_.end.epoch = next.previous_epoch;
  out_.end.next = next.base;
  out_.end.at.offset = next.previous_end;
}

Status Surveyor::walk(std::size_t index) {
  const SegmentFile& segment = out_.segments[index];
  const bool last = index + 1 == out_.segments.size();
  // A segment is made durable before the next one begins: damage before its end is never a torn tail.
  const std::uint32_t end = last ? segment.bytes : headers_[index + 1].previous_end;
  SegmentReader reader(*segment.file, segment.bytes);
  while (out_.end.at.offset < end) {
    HR_ASSIGN(const std::optional<Batch> batch, next_batch(reader));
    if (!batch) break;
    HR_TRY(replay_batch(*batch));
    durable_ = std::max(durable_, batch->header.durable);
    out_.end.epoch = batch->header.epoch;
    out_.end.next += batch->header.groups;
    out_.end.logged = std::max(out_.end.logged, batch->header.time);
    out_.end.at.offset += static_cast<std::uint32_t>(batch->header.bytes());
  }
  if (last) {
    HR_TRY(judge_end(reader));
  } else if (out_.end.at.offset != end) {
    return damaged(out_.end.at,
                   fmt::format("{} follows, so all of it was durable", segment_path(segment.number + 1)));
  }
  out_.bytes_read += reader.bytes_read();
  ++out_.segments_read;
  return {};
}

Result<std::optional<Batch>> Surveyor::next_batch(SegmentReader& reader) {
  HR_ASSIGN(std::optional<Batch> batch, try_batch(reader));
  if (batch) return batch;
  HR_ASSIGN(const ByteView sector, reader.view(out_.end.at.offset, kSectorBytes));
  if (all_zero(sector)) return std::nullopt;  // never written
  HR_TRY(reader.forget());
  return try_batch(reader);
}

Result<std::optional<Batch>> Surveyor::try_batch(SegmentReader& reader) const {
  const Chain& chain = out_.end;
  HR_ASSIGN(ByteView bytes, reader.view(chain.at.offset, kBatchHeaderBytes));
  const auto header = decode_batch_header(bytes);
  if (!header || header->at != chain.at || !rules_.continues(*header, chain)) return std::nullopt;
  HR_ASSIGN(bytes, reader.view(chain.at.offset, std::uint64_t{kBatchHeaderBytes} + header->payload_bytes));
  if (bytes.size() != std::uint64_t{kBatchHeaderBytes} + header->payload_bytes) return std::nullopt;
  const ByteView payload = bytes.substr(kBatchHeaderBytes);
  if (!rules_.intact(*header, payload)) return std::nullopt;
  return Batch{*header, payload};
}

Status Surveyor::replay_batch(const Batch& batch) {
  const Position at = batch.header.at;
  Lsn lsn = batch.header.first;
  std::uint32_t records = 0;
  bool whole = true;  // no group is open
  for (std::size_t offset = 0; offset < batch.payload.size();) {
    const auto record = decode_record_header(batch.payload.substr(offset, kRecordHeaderBytes));
    offset += kRecordHeaderBytes;
    if (!record || record->bytes > batch.payload.size() - offset)
      return damaged(at, "its batch holds a bad record");
    const Location location{at.segment, at.offset + kBatchHeaderBytes + static_cast<std::uint32_t>(offset),
                            record->bytes};
    HR_TRY(replay_({lsn, record->kind, batch.payload.substr(offset, record->bytes), location}));
    offset += record->bytes;
    whole = record->last;
    lsn += record->last ? 1 : 0;
    ++records;
  }
  if (!whole || lsn != batch.header.first + batch.header.groups || records != batch.header.records) {
    return damaged(at, "its batch does not hold what it counts");
  }
  return {};
}

// Every batch header of this log counts, of whatever epoch: none can promise more than was durable.
Status Surveyor::take_marks(SegmentReader& reader, std::uint32_t segment, std::uint64_t from,
                            bool count_torn) {
  for (std::uint64_t offset = from;; offset += kSectorBytes) {
    HR_ASSIGN(const ByteView sector, reader.view(offset, kSectorBytes));
    if (sector.empty()) return {};
    if (all_zero(sector)) continue;
    if (count_torn) out_.torn_bytes = offset + sector.size() - from;
    const auto header = decode_batch_header(sector);
    if (header && header->log_id == out_.end.log_id &&
        header->at == Position{segment, static_cast<std::uint32_t>(offset)}) {
      durable_ = std::max(durable_, header->durable);
    }
  }
}

Status Surveyor::judge_end(SegmentReader& reader) {
  const Position end = out_.end.at;
  HR_TRY(take_marks(reader, end.segment, end.offset, true));
  if (!rules_.is_damage(end, durable_)) return {};
  if (durable_.segment > end.segment) {
    if (!unfinished_) return missing(end.segment + 1);
    return damaged({end.segment + 1, 0}, "its header is bad, and it holds durable groups");
  }
  return damaged(end, fmt::format("the log was durable up to byte {}", durable_.offset));
}

Status Surveyor::judge_unfinished() {
  if (!unfinished_) return {};
  SegmentReader reader(*unfinished_->file, unfinished_->bytes);
  HR_TRY(take_marks(reader, unfinished_->number, kSegmentHeaderBytes, false));
  if (rules_.is_damage({unfinished_->number, 0}, durable_)) {
    return damaged({unfinished_->number, 0}, "its header is bad, and it holds durable groups");
  }
  out_.unfinished = unfinished_->number;
  return {};
}

}  // namespace

bool RecoveryRules::intact(const BatchHeader& header, ByteView payload) const {
  return codec::crc32c(payload) == header.payload_crc;
}

bool RecoveryRules::continues(const BatchHeader& header, const Chain& chain) const {
  if (header.log_id != chain.log_id || header.first != chain.next) return false;
  if ((header.flags & kEpochStart) != 0) return header.previous_epoch == chain.epoch;
  return header.epoch == chain.epoch;
}

Result<Survey> survey_log(os::Disk& disk, const RecoveryRules& rules, Lsn from, const Replay& replay) {
  return Surveyor(disk, rules, from, replay).run();
}

}  // namespace hr::storage
