#include "storage/log/format.h"

#include "codec/digest.h"

#include <fmt/format.h>

#include <array>

namespace hr::storage {
namespace {

constexpr ByteView kSegmentMagic = "HRLOGSEG";
constexpr std::uint32_t kBatchMagic = 0x54425248;  // "HRBT"
constexpr std::uint8_t kLastOfGroup = 1;
constexpr std::size_t kSegmentCrcAt = kSegmentHeaderBytes - 4;
constexpr std::size_t kBatchCrcAt = kBatchHeaderBytes - 4;

bool crc_holds(ByteView bytes, std::size_t crc_at) {
  return Reader(bytes.substr(crc_at, 4)).u32() == codec::crc32c(bytes.substr(0, crc_at));
}

}  // namespace

Bytes encode(const SegmentHeader& header) {
  Bytes out;
  Writer w(out);
  w.raw(kSegmentMagic);
  w.u32(kLogVersion);
  w.u32(header.segment);
  w.u64(header.log_id);
  w.u64(header.epoch);
  w.u64(header.base);
  w.u64(header.previous_epoch);
  w.u32(header.previous_end);
  w.u32(header.segment_bytes);
  w.i64(to_ms(header.time));
  out.resize(kSegmentCrcAt, '\0');
  w.u32(codec::crc32c(out));
  return out;
}

Result<SegmentHeader> decode_segment_header(ByteView sector) {
  if (sector.size() != kSegmentHeaderBytes || !sector.starts_with(kSegmentMagic)) {
    return fail(Errc::kCorrupt, "not a segment header");
  }
  if (!crc_holds(sector, kSegmentCrcAt))
    return fail(Errc::kCorrupt, "the segment header's checksum is wrong");
  Reader r(sector.substr(kSegmentMagic.size()));
  if (const std::uint32_t version = r.u32(); version != kLogVersion) {
    return fail(Errc::kUnsupported,
                fmt::format("written in log format {}; this program reads {}", version, kLogVersion));
  }
  SegmentHeader header;
  header.segment = r.u32();
  header.log_id = r.u64();
  header.epoch = r.u64();
  header.base = r.u64();
  header.previous_epoch = r.u64();
  header.previous_end = r.u32();
  header.segment_bytes = r.u32();
  header.time = from_ms(r.i64());
  return header;
}

Bytes encode(const BatchHeader& header) {
  Bytes out;
  out.reserve(kBatchHeaderBytes);
  Writer w(out);
  w.u32(kBatchMagic);
  w.u32(header.flags);
  w.u64(header.log_id);
  w.u64(header.epoch);
  w.u64(header.previous_epoch);
  w.u64(header.first);
  w.i64(to_ms(header.time));
  w.u32(header.at.segment);
  w.u32(header.at.offset);
  w.u32(header.groups);
  w.u32(header.records);
  w.u32(header.payload_bytes);
  w.u32(header.durable.segment);
  w.u32(header.durable.offset);
  w.u32(header.payload_crc);
  w.u32(0);
  w.u32(codec::crc32c(out));
  return out;
}

std::optional<BatchHeader> decode_batch_header(ByteView bytes) {
  if (bytes.size() < kBatchHeaderBytes) return std::nullopt;
  bytes = bytes.substr(0, kBatchHeaderBytes);
  Reader r(bytes);
  if (r.u32() != kBatchMagic || !crc_holds(bytes, kBatchCrcAt)) return std::nullopt;
  BatchHeader header;
  header.flags = r.u32();
  header.log_id = r.u64();
  header.epoch = r.u64();
  header.previous_epoch = r.u64();
  header.first = r.u64();
  header.time = from_ms(r.i64());
  header.at.segment = r.u32();
  header.at.offset = r.u32();
  header.groups = r.u32();
  header.records = r.u32();
  header.payload_bytes = r.u32();
  header.durable.segment = r.u32();
  header.durable.offset = r.u32();
  header.payload_crc = r.u32();
  return header;
}

std::uint32_t record_crc(std::uint8_t kind, bool last, ByteView payload) {
  const std::array<char, 2> head{static_cast<char>(kind), static_cast<char>(last ? kLastOfGroup : 0)};
  return codec::crc32c(payload, codec::crc32c({head.data(), head.size()}));
}

void append_record_header(Bytes& out, const Record& record, bool last) {
  Writer w(out);
  w.u32(static_cast<std::uint32_t>(record.payload.size()));
  w.u8(record.kind);
  w.u8(last ? kLastOfGroup : 0);
  w.u16(0);
  w.u32(record_crc(record.kind, last, record.payload));
}

std::optional<RecordHeader> decode_record_header(ByteView bytes) {
  Reader r(bytes);
  RecordHeader header;
  header.bytes = r.u32();
  header.kind = r.u8();
  const std::uint8_t flags = r.u8();
  const std::uint16_t zero = r.u16();
  header.crc = r.u32();
  if (!r.ok() || flags > kLastOfGroup || zero != 0) return std::nullopt;
  header.last = flags == kLastOfGroup;
  return header;
}

}  // namespace hr::storage
