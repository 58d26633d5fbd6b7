#include "storage/log/salvage.h"

#include "storage/log/segment_reader.h"
#include "storage/log/survey.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

namespace hr::storage {
namespace {

struct Part {
  std::uint32_t number = 0;
  std::uint64_t bytes = 0;
  std::unique_ptr<os::File> file;
  std::optional<SegmentHeader> header;
};

class Salvager {
 public:
  Salvager(os::Disk& disk, const std::function<Status(const RecoveredRecord&)>& take)
      : disk_(disk), take_(take) {}

  Result<SalvageReport> run();

 private:
  struct Limit {
    std::uint64_t durable = 0;
    bool exact = false;  // all of it was written
  };

  Status list();
  Status open(Part& part);
  Status note_marks(Part& part);
  void enter(const Part& part, const Part* before);
  Status walk(Part& part, const Limit& limit);
  std::optional<BatchHeader> header_at(SegmentReader& reader, std::uint32_t segment, std::uint64_t offset);
  Result<bool> take_batch(SegmentReader& reader, const BatchHeader& header, bool in_chain);
  using What = LostGroups::What;
  // Up to, not including, the group `next`.
  void lost(What what, std::uint32_t segment, Lsn next, std::uint64_t from = 0, std::uint64_t to = 0);
  void drop_unfinished();
  Limit limit_of(std::size_t index) const;

  os::Disk& disk_;
  const std::function<Status(const RecoveredRecord&)>& take_;
  RecoveryRules rules_;
  std::vector<Part> parts_;
  Chain chain_;
  Position durable_;
  bool begun_ = false;  // the first group's number is known
  SalvageReport out_;
};

Status Salvager::list() {
  const auto entries = disk_.list(kLogFolder, "salvage.list");
  if (!entries && entries.error().code == Errc::kNotFound) return {};
  if (!entries) return std::unexpected(entries.error());
  for (const os::DirEntry& entry : *entries) {
    if (const auto number = segment_number(entry.name)) {
      Part part{.number = *number, .bytes = entry.bytes, .file = nullptr, .header = {}};
      HR_TRY(open(part));
      parts_.push_back(std::move(part));
    } else if (!spare_number(entry.name) && entry.name != "create.tmp") {
      out_.strangers.push_back(entry.name);
    }
  }
  std::ranges::sort(parts_, {}, &Part::number);
  return {};
}

// A header under another name, or of another log than the first good one, is none.
Status Salvager::open(Part& part) {
  HR_ASSIGN(part.file, disk_.open(segment_path(part.number), os::OpenMode::kRead, "salvage.open"));
  SegmentReader reader(*part.file, part.bytes);
  HR_ASSIGN(const ByteView sector, reader.view(0, kSegmentHeaderBytes));
  auto header = decode_segment_header(sector);
  if (!header && header.error().code == Errc::kUnsupported) return std::unexpected(header.error());
  if (header && header->segment == part.number) part.header = *header;
  return {};
}

Status Salvager::note_marks(Part& part) {
  SegmentReader reader(*part.file, part.bytes);
  for (std::uint64_t offset = kSegmentHeaderBytes; offset < part.bytes; offset += kSectorBytes) {
    HR_ASSIGN(const ByteView sector, reader.view(offset, kSectorBytes));
    const auto header = decode_batch_header(sector);
    if (!header || header->at != Position{part.number, static_cast<std::uint32_t>(offset)}) continue;
    if (chain_.log_id == 0) chain_.log_id = header->log_id;
    if (header->log_id == chain_.log_id) durable_ = std::max(durable_, header->durable);
  }
  return {};
}

void Salvager::lost(What what, std::uint32_t segment, Lsn next, std::uint64_t from, std::uint64_t to) {
  out_.lost.push_back({what, segment, from, to, chain_.next, next - 1});
}

void Salvager::enter(const Part& part, const Part* before) {
  const Lsn base = part.header ? part.header->base : chain_.next;
  for (std::uint32_t n = before == nullptr ? part.number : before->number + 1; n < part.number; ++n) {
    lost(What::kSegment, n, std::max(base, chain_.next));
    chain_.next = std::max(chain_.next, base);
  }
  if (before == nullptr) out_.first = chain_.next = base;
  begun_ = begun_ || part.header.has_value();
  if (base > chain_.next) {
    lost(What::kGroups, part.number, base);
    chain_.next = base;
  }
  if (!part.header) return lost(What::kHeader, part.number, chain_.next);
  if (part.bytes != part.header->segment_bytes) lost(What::kLength, part.number, chain_.next);
  chain_.epoch = part.header->epoch;
  chain_.logged = std::max(chain_.logged, part.header->time);
}

std::optional<BatchHeader> Salvager::header_at(SegmentReader& reader, std::uint32_t segment,
                                               std::uint64_t offset) {
  const auto bytes = reader.view(offset, kBatchHeaderBytes);
  if (!bytes) return std::nullopt;
  auto header = decode_batch_header(*bytes);
  if (!header || header->log_id != chain_.log_id || header->first < chain_.next) return std::nullopt;
  if (header->at != Position{segment, static_cast<std::uint32_t>(offset)}) return std::nullopt;
  return header;
}

// False: it is not whole. A batch is taken as a whole or not at all.
Result<bool> Salvager::take_batch(SegmentReader& reader, const BatchHeader& header, bool in_chain) {
  if (!in_chain && !rules_.continues(header, chain_)) return false;
  HR_ASSIGN(const ByteView bytes,
            reader.view(header.at.offset, std::uint64_t{kBatchHeaderBytes} + header.payload_bytes));
  if (bytes.size() != std::uint64_t{kBatchHeaderBytes} + header.payload_bytes) return false;
  const ByteView payload = bytes.substr(kBatchHeaderBytes);
  if (!rules_.intact(header, payload)) return false;
  Lsn lsn = header.first;
  for (std::size_t at = 0; at < payload.size();) {
    const auto record = decode_record_header(payload.substr(at, kRecordHeaderBytes));
    at += kRecordHeaderBytes;
    if (!record || record->bytes > payload.size() - at) return false;
    const Location place{header.at.segment,
                         header.at.offset + kBatchHeaderBytes + static_cast<std::uint32_t>(at),
                         record->bytes};
    HR_TRY(take_({lsn, record->kind, payload.substr(at, record->bytes), place}));
    at += record->bytes;
    lsn += record->last ? 1 : 0;
  }
  return true;
}

// Below `durable`, what does not look like a batch is damage, and what does was in the log.
Status Salvager::walk(Part& part, const Limit& limit) {
  const std::uint64_t durable = limit.durable;
  bool written = limit.exact;  // something stood in the gap
  SegmentReader reader(*part.file, part.bytes);
  std::optional<std::uint64_t> gap;
  std::uint64_t offset = kSegmentHeaderBytes;
  while (offset + kBatchHeaderBytes <= part.bytes) {
    const auto header = header_at(reader, part.number, offset);
    bool whole = false;
    if (header) {
      if (!begun_) {
        out_.first = chain_.next = header->first;
        begun_ = true;
      } else if (header->first > chain_.next && offset < durable) {
        lost(What::kBytes, part.number, header->first, gap.value_or(offset), offset);
        chain_.next = header->first;
        gap.reset();
      }
      HR_ASSIGN(whole, take_batch(reader, *header, offset < durable));
    }
    if (whole) {
      if (gap) lost(What::kMark, part.number, header->first, *gap, offset);
      gap.reset();
      chain_.epoch = header->epoch;
      chain_.next = header->first + header->groups;
      chain_.logged = std::max(chain_.logged, header->time);
      offset += header->bytes();
    } else if (offset < durable) {
      gap = gap.value_or(offset);
      HR_ASSIGN(const ByteView sector, reader.view(offset, kSectorBytes));
      written = written || sector.find_first_not_of('\0') != sector.npos;
      offset += kSectorBytes;
    } else {
      break;
    }
    chain_.at = {part.number, static_cast<std::uint32_t>(offset)};
  }
  if (!gap && offset < durable) gap = offset;
  if (gap && written) lost(What::kBytes, part.number, chain_.next, *gap, durable);
  out_.bytes += reader.bytes_read();
  return {};
}

// A last segment whose header never became durable, and to which no mark points.
void Salvager::drop_unfinished() {
  if (parts_.size() > 1 && !parts_.back().header && durable_.segment < parts_.back().number)
    parts_.pop_back();
}

Salvager::Limit Salvager::limit_of(std::size_t index) const {
  const Part& part = parts_[index];
  if (index + 1 == parts_.size()) {
    if (durable_.segment > part.number) return {part.bytes - kSectorBytes, false};
    return {durable_.segment == part.number ? durable_.offset : 0, true};
  }
  const Part& next = parts_[index + 1];
  if (next.header && next.number == part.number + 1) return {next.header->previous_end, true};
  return {part.bytes > kSectorBytes ? part.bytes - kSectorBytes : 0, false};  // all but its seal
}

Result<SalvageReport> Salvager::run() {
  HR_TRY(list());
  for (const Part& part : parts_) {
    if (part.header && chain_.log_id == 0) chain_.log_id = part.header->log_id;
  }
  for (std::size_t i = parts_.size() - std::min<std::size_t>(parts_.size(), 2); i < parts_.size(); ++i)
    HR_TRY(note_marks(parts_[i]));
  drop_unfinished();
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    enter(parts_[i], i == 0 ? nullptr : &parts_[i - 1]);
    HR_TRY(walk(parts_[i], limit_of(i)));
  }
  if (!parts_.empty() && durable_.segment > parts_.back().number)
    lost(What::kSegment, durable_.segment, chain_.next);
  out_.last = chain_.next - 1;
  out_.logged = chain_.logged;
  out_.segments = parts_.size();
  return std::move(out_);
}

}  // namespace

std::string LostGroups::text() const {
  const std::string path = segment_path(segment);
  if (what == What::kHeader) return path + ": its header";
  if (what == What::kLength) return path + ": its length";
  std::string where = fmt::format("{}, bytes {} to {}", path, from, to);
  if (what == What::kMark) return where + ": no group stood there";
  if (what == What::kSegment) where = path + " is missing";
  if (what == What::kGroups) where = "before " + path;
  if (last < first) return where + ": how many groups stood there is not known";
  if (last == first) return fmt::format("{}: group {}", where, first);
  return fmt::format("{}: groups {} to {}", where, first, last);
}

Result<SalvageReport> salvage_log(os::Disk& disk, const std::function<Status(const RecoveredRecord&)>& take) {
  return Salvager(disk, take).run();
}

Result<Bytes> RecordReader::read(const Location& at) {
  const auto none = [&] {
    return fail(Errc::kCorrupt,
                fmt::format("{}: no record stands at byte {}", segment_path(at.segment), at.offset));
  };
  if (file_ == nullptr || segment_ != at.segment) {
    auto file = disk_.open(segment_path(at.segment), os::OpenMode::kRead, "salvage.open");
    if (!file && file.error().code == Errc::kNotFound) return none();
    if (!file) return std::unexpected(std::move(file).error());
    file_ = std::move(*file);
    segment_ = at.segment;
  }
  if (at.offset < kRecordHeaderBytes) return none();
  Bytes bytes(std::uint64_t{kRecordHeaderBytes} + at.bytes, '\0');
  HR_ASSIGN(const std::size_t got, file_->read_at(at.offset - kRecordHeaderBytes, bytes, "salvage.read"));
  const auto header = decode_record_header(ByteView(bytes).substr(0, kRecordHeaderBytes));
  if (got != bytes.size() || !header || header->bytes != at.bytes) return none();
  bytes.erase(0, kRecordHeaderBytes);
  if (record_crc(header->kind, header->last, bytes) != header->crc) return none();
  return bytes;
}

}  // namespace hr::storage
