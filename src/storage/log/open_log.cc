#include "storage/log/log.h"
#include "storage/log/salvage.h"
#include "storage/log/segmented_log.h"

#include <fmt/format.h>

namespace hr::storage {
namespace {

Status check(const LogOptions& options) {
  if (options.segment_bytes < kSegmentBytesMin || options.segment_bytes > kSegmentBytesMax ||
      options.segment_bytes % 4096 != 0) {
    return fail(Errc::kInvalid,
                fmt::format("a log segment of {} bytes: it must be a multiple of 4096 from {} to {}",
                            options.segment_bytes, kSegmentBytesMin, kSegmentBytesMax));
  }
  if (options.batch_bytes_max < kSectorBytes || options.batch_bytes_max > kSegmentBytesMax) {
    return fail(Errc::kInvalid, fmt::format("log batches of up to {} bytes: it must be {} to {}",
                                            options.batch_bytes_max, kSectorBytes, kSegmentBytesMax));
  }
  return {};
}

std::uint64_t nonzero(os::Entropy& entropy) {
  for (;;) {
    if (const std::uint64_t value = entropy.u64()) return value;
  }
}

// Turns what was found into a log that can be written: its end durable and in an epoch of its own, so that
// nothing that an earlier run left behind the end can ever be taken for its continuation.
class Opener {
 public:
  Opener(os::Disk& disk, os::Entropy& entropy, const LogOptions& options)
      : disk_(disk), entropy_(entropy), options_(options) {}

  Result<DiskLog::Start> create(Lsn first = 1);
  Result<DiskLog::Start> resume(Survey survey);

 private:
  Status remove_unfinished(const Survey& survey);
  Status ensure_seal(Position at, const Chain& end);
  Status start_epoch(Chain& end);
  Status start_epoch_in_next_segment(Chain& end);

  os::Disk& disk_;
  os::Entropy& entropy_;
  const LogOptions& options_;
  std::unique_ptr<SegmentSet> segments_ = std::make_unique<SegmentSet>(disk_, options_.segment_bytes);
};

Result<DiskLog::Start> Opener::create(Lsn first) {
  SegmentHeader header;
  header.segment = 1;
  header.segment_bytes = options_.segment_bytes;
  header.log_id = nonzero(entropy_);
  header.epoch = nonzero(entropy_);
  header.base = first;
  HR_TRY(segments_->create_first(header));
  const Position at{1, kSegmentHeaderBytes};
  return DiskLog::Start{
      std::move(segments_), {header.log_id, header.epoch, header.base, at, header.time}, at};
}

Status Opener::remove_unfinished(const Survey& survey) {
  if (!survey.unfinished) return {};
  HR_TRY(disk_.remove(segment_path(*survey.unfinished), "log.remove"));
  return disk_.sync_dir(kLogFolder, "log.syncdir");
}

BatchHeader header_at(Position at, Position durable, const Chain& end) {
  BatchHeader header;
  header.log_id = end.log_id;
  header.epoch = end.epoch;
  header.first = end.next;
  header.time = end.logged;
  header.at = at;
  header.durable = durable;
  return header;
}

// A crash can have come between a new segment and the seal of the one before.
Status Opener::ensure_seal(Position at, const Chain& end) {
  if (at.segment == 0) return {};
  const Position next{at.segment + 1, kSegmentHeaderBytes};
  const std::shared_ptr<os::File> file = segments_->find(at.segment);
  Bytes sector(kSectorBytes, '\0');
  HR_TRY(file->read_at(at.offset, sector, "log.read"));
  const auto found = decode_batch_header(sector);
  if (found && found->log_id == end.log_id && found->at == at && found->durable == next) return {};
  return SegmentSet::write_seal(*file, header_at(at, next, end));
}

// The mark of the new epoch's first batch is the end found: all before it has been made durable.
Status Opener::start_epoch(Chain& end) {
  const SegmentFile& segment = segments_->current();
  if (end.at.offset + 2 * kSectorBytes > segment.bytes) return start_epoch_in_next_segment(end);
  BatchHeader header = header_at(end.at, end.at, end);
  header.flags = kEpochStart;
  header.epoch = nonzero(entropy_);
  header.previous_epoch = end.epoch;
  Bytes sector = encode(header);
  sector.resize(kSectorBytes, '\0');
  HR_TRY(segment.file->write_at(end.at.offset, sector, "log.epoch"));
  HR_TRY(segment.file->sync("log.epoch_sync"));
  end.epoch = header.epoch;
  end.at.offset += kSectorBytes;
  return {};
}

Status Opener::start_epoch_in_next_segment(Chain& end) {
  if (segments_->spares() == 0) HR_TRY(segments_->add_spare());
  SegmentHeader header;
  header.segment = end.at.segment + 1;
  header.segment_bytes = options_.segment_bytes;
  header.log_id = end.log_id;
  header.epoch = nonzero(entropy_);
  header.base = end.next;
  header.previous_epoch = end.epoch;
  header.previous_end = end.at.offset;
  header.time = end.logged;
  const std::shared_ptr<os::File> previous = segments_->current().file;
  HR_TRY(segments_->start(header));
  const Position next{header.segment, kSegmentHeaderBytes};
  HR_TRY(SegmentSet::write_seal(*previous, header_at(end.at, next, end)));
  end.epoch = header.epoch;
  end.at = next;
  return {};
}

Result<DiskLog::Start> Opener::resume(Survey survey) {
  HR_TRY(remove_unfinished(survey));
  for (SegmentFile& segment : survey.segments) segments_->adopt(std::move(segment));
  for (const std::uint64_t spare : survey.spares) HR_TRY(segments_->adopt_spare(spare));
  Chain end = survey.end;
  HR_TRY(ensure_seal(survey.sealed, end));
  HR_TRY(start_epoch(end));
  return DiskLog::Start{std::move(segments_), end, end.at};
}

RecoveryReport report_of(const Survey& survey) {
  return {.first = survey.first,
          .last = survey.end.next - 1,
          .segments_read = survey.segments_read,
          .logged = survey.end.logged,
          .segments = survey.segments.size(),
          .bytes_read = survey.bytes_read,
          .torn_bytes = survey.torn_bytes,
          .torn_segment = survey.torn_bytes > 0 ? survey.end.at.segment : 0};
}

}  // namespace

Result<std::unique_ptr<SegmentedLog>> open_log_with(
    const RecoveryRules& rules, os::Disk& disk, os::Entropy& entropy, const LogOptions& options,
    const std::function<Status(const RecoveredRecord&)>& replay, RecoveryReport& report) {
  HR_TRY(check(options));
  HR_ASSIGN(Survey survey, survey_log(disk, rules, options.replay_from, replay));
  report = report_of(survey);
  Opener opener(disk, entropy, options);
  auto start = survey.segments.empty() ? opener.create() : opener.resume(std::move(survey));
  if (!start) return std::unexpected(std::move(start).error());
  auto log = std::make_unique<DiskLog>(options, std::move(*start));
  log->make_spares();
  return log;
}

Result<std::unique_ptr<SegmentedLog>> create_log(os::Disk& disk, os::Entropy& entropy,
                                                 const LogOptions& options, Lsn first) {
  HR_TRY(check(options));
  HR_ASSIGN(auto start, Opener(disk, entropy, options).create(first));
  auto log = std::make_unique<DiskLog>(options, std::move(start));
  log->make_spares();
  return log;
}

Status read_log(os::Disk& disk, const std::function<Status(const RecoveredRecord&)>& replay,
                RecoveryReport& report) {
  HR_ASSIGN(const Survey survey, survey_log(disk, RecoveryRules(), 0, replay));
  report = report_of(survey);
  return {};
}

Result<std::unique_ptr<SegmentedLog>> open_log(os::Disk& disk, os::Entropy& entropy,
                                               const LogOptions& options,
                                               const std::function<Status(const RecoveredRecord&)>& replay,
                                               RecoveryReport& report) {
  return open_log_with(RecoveryRules(), disk, entropy, options, replay, report);
}

}  // namespace hr::storage
