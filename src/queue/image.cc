#include "queue/image.h"

#include "base/varint.h"
#include "queue/records.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>
#include <variant>

namespace hr::queue {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kCreated = 1;  // kind of the record whose bytes define a queue

enum Flags : std::uint8_t { kWhereMask = 7, kMovedIn = 8, kGrouped = 16, kRenamed = 32 };

void put(Writer& w, Time at) { w.varint(static_cast<std::uint64_t>(to_ms(at))); }

template <class R>
Time take_time(R& r, bool& good) {
  const std::uint64_t ms = r.varint();
  good = good && ms <= static_cast<std::uint64_t>(to_ms(kTimeMax));
  return good ? from_ms(static_cast<std::int64_t>(ms)) : Time();
}

template <class T, class R>
T take_number(R& r, bool& good, std::uint64_t most) {
  const std::uint64_t wide = r.varint();
  good = good && wide <= most;
  return static_cast<T>(wide);
}

std::unexpected<Error> corrupt() {
  return fail(Errc::kCorrupt, "queue state: its bytes do not follow the format");
}

// Entries up to the end of the block; take(Reader&, good) reads one.
template <class Entry, class Take>
Result<std::vector<Entry>> decode_block(ByteView block, Take&& take) {
  Reader r(block);
  const std::uint8_t version = r.u8();
  if (version > kVersion)
    return fail(Errc::kUnsupported, "queue state: written by a newer version of headrace");
  bool good = version == kVersion;
  std::vector<Entry> out;
  while (good && r.ok() && r.left() > 0) out.push_back(take(r, good));
  if (!good || !r.done()) return corrupt();
  return out;
}

Fingerprint take_print(Reader& r) {
  Fingerprint print;
  const ByteView bytes = r.raw(print.bytes.size());
  std::ranges::copy(bytes, print.bytes.begin());
  return print;
}

Uuid take_uuid(Reader& r) {
  Uuid id;
  const ByteView bytes = r.raw(id.bytes.size());
  std::ranges::copy(bytes, id.bytes.begin());
  return id;
}

template <class Value>
void append_key(Writer& w, const PlaceImage<Value>& place) {
  w.varint(static_cast<std::uint64_t>(place.queue));
  w.raw(place.print.view());
  put(w, place.at);
  w.boolean(place.value.has_value());
}

// The value, if there is one, is the caller's to read.
template <class Value>
PlaceImage<Value> take_key(Reader& r, bool& good) {
  PlaceImage<Value> place{.queue = QueueId{r.varint()}, .print = take_print(r), .at = {}, .value = {}};
  place.at = take_time(r, good);
  if (r.boolean()) place.value.emplace();
  return place;
}

}  // namespace

Bytes encode_head(const HeadImage& head) {
  Bytes out;
  begin_block(out);
  Writer w(out);
  put(w, head.now);
  w.varint(head.next_queue);
  return out;
}

Result<HeadImage> decode_head(ByteView block) {
  HR_ASSIGN(const auto heads, decode_block<HeadImage>(block, [](Reader& r, bool& good) {
              HeadImage head{.now = take_time(r, good)};
              head.next_queue = r.varint();
              good = good && head.next_queue >= 1 && head.next_queue <= kQueueIdMax + 1;
              return head;
            }));
  if (heads.size() != 1) return corrupt();
  return heads.front();
}

void begin_block(Bytes& out) { Writer(out).u8(kVersion); }

Bytes encode_definition(const Queue& queue) {
  Bytes out;
  Writer w(out);
  put(w, queue.modified);
  w.str(encode(QueueCreated{queue}).payload);
  return out;
}

void append_queue(Bytes& out, ByteView definition, Seq floor, Seq next) {
  Writer w(out);
  w.varint(static_cast<std::uint64_t>(floor));
  w.varint(static_cast<std::uint64_t>(next));
  w.raw(definition);
}

Result<std::vector<QueueImage>> decode_queues(ByteView block) {
  return decode_block<QueueImage>(block, [](Reader& r, bool& good) {
    QueueImage image{.queue = {}, .floor = Seq{r.varint()}, .next = Seq{r.varint()}};
    const Time modified = take_time(r, good);
    auto created = decode(kCreated, r.str());
    good = good && created.has_value() && image.floor <= image.next;
    if (!good) return image;
    image.queue = std::move(std::get<QueueCreated>(*created).queue);
    image.queue.modified = modified;
    return image;
  });
}

void append_message(Bytes& out, const MessageImage& image) {
  const Message& m = image.message;
  const bool grouped = image.group != GroupKey::kNone;
  Writer w(out);
  w.varint(image.index);
  w.u8(static_cast<std::uint8_t>(static_cast<unsigned>(m.where) | (m.moved ? kMovedIn : 0U) |
                                 (grouped ? kGrouped : 0U) | (m.renamed ? kRenamed : 0U)));
  w.varint(static_cast<std::uint64_t>(image.queue));
  w.varint(static_cast<std::uint64_t>(m.seq));
  if (grouped) w.u64(static_cast<std::uint64_t>(image.group));
  w.raw(m.id.view());
  put(w, m.sent);
  put(w, m.visible_at);
  w.varint(m.at.segment);
  w.varint(m.at.offset);
  w.varint(m.at.bytes);
  w.varint(m.receive_count);
  w.varint(m.first_received_ms);
  w.varint(m.lease_ms);
  if (m.moved) w.varint(m.source);
  w.varint(m.receives_here);
}

namespace {

// A Reader of an entry whose every field fits into what is left.
class Unbounded {
 public:
  explicit Unbounded(const char* at) : at_(at) {}

  std::uint64_t varint() { return read_varint(at_, good_); }
  std::uint8_t u8() { return static_cast<std::uint8_t>(*at_++); }
  std::uint64_t u64() {
    std::uint64_t v = 0;
    std::memcpy(&v, at_, sizeof v);
    at_ += sizeof v;
    return v;
  }
  ByteView raw(std::size_t n) { return {std::exchange(at_, at_ + n), n}; }
  bool ok() const { return good_; }
  const char* at() const { return at_; }

 private:
  const char* at_;
  bool good_ = true;
};

constexpr std::size_t kMessageBytesMax = 1 + 16 + 8 + 14 * kVarintBytesMax;

// Without a branch for each number: what is too large is remembered in `excess`.
template <class R>
bool take_message(R& r, MessageImage& out) {
  std::uint64_t excess = 0;
  const auto number = [&](auto& to, std::uint64_t most) {
    const std::uint64_t wide = r.varint();
    excess |= static_cast<std::uint64_t>(wide > most);
    to = static_cast<std::remove_reference_t<decltype(to)>>(wide);
  };
  const auto time = [&](Time& to) {
    const std::uint64_t ms = r.varint();
    excess |= static_cast<std::uint64_t>(ms > static_cast<std::uint64_t>(to_ms(kTimeMax)));
    to = from_ms(static_cast<std::int64_t>(ms & (UINT64_MAX >> 2)));
  };
  Message& m = out.message;
  number(out.index, Slab::kChunk - 1);
  const std::uint8_t flags = r.u8();
  excess |= static_cast<std::uint64_t>(flags > (kWhereMask | kMovedIn | kGrouped | kRenamed));
  m.where = static_cast<Where>(flags & kWhereMask);
  m.moved = (flags & kMovedIn) != 0;
  m.renamed = (flags & kRenamed) != 0;
  number(out.queue, kQueueIdMax);
  number(m.seq, UINT64_MAX);
  out.group = (flags & kGrouped) != 0 ? GroupKey{r.u64()} : GroupKey::kNone;
  if (const ByteView id = r.raw(sizeof m.id.bytes); id.size() == sizeof m.id.bytes)
    std::memcpy(m.id.bytes.data(), id.data(), sizeof m.id.bytes);
  time(m.sent);
  time(m.visible_at);
  number(m.at.segment, UINT32_MAX);
  number(m.at.offset, UINT32_MAX);
  number(m.at.bytes, UINT32_MAX);
  number(m.receive_count, UINT32_MAX);
  number(m.first_received_ms, UINT32_MAX);
  number(m.lease_ms, UINT32_MAX);
  m.source = 0;
  if (m.moved) number(m.source, UINT32_MAX);
  number(m.receives_here, UINT16_MAX);
  return excess == 0 && r.ok() && m.seq != Seq{} && m.at.bytes > 0;
}

}  // namespace

MessageBlock::MessageBlock(ByteView block) {
  if (block.empty()) return;
  version_ = static_cast<std::uint8_t>(block[0]);
  good_ = version_ == kVersion;
  rest_ = block.substr(1);
}

bool MessageBlock::next(MessageImage& out) {
  if (!good_ || rest_.empty()) return false;
  if (rest_.size() >= kMessageBytesMax) {
    Unbounded r(rest_.data());
    good_ = take_message(r, out);
    rest_.remove_prefix(static_cast<std::size_t>(r.at() - rest_.data()));
  } else {
    Reader r(rest_);
    good_ = take_message(r, out);
    rest_.remove_prefix(r.offset());
  }
  return good_;
}

Status MessageBlock::status() const {
  if (version_ > kVersion)
    return fail(Errc::kUnsupported, "queue state: written by a newer version of headrace");
  return good_ ? Status() : corrupt();
}

void append_move(Bytes& out, const MoveTask& task) {
  Writer w(out);
  w.raw(task.asked.id.view());
  w.varint(static_cast<std::uint64_t>(task.asked.source));
  w.varint(static_cast<std::uint64_t>(task.asked.destination));
  w.varint(task.asked.per_second);
  put(w, task.started);
  w.varint(task.to_move);
  w.varint(task.moved);
  w.u8(static_cast<std::uint8_t>(task.status));
  w.str(task.failure);
}

Result<std::vector<MoveTask>> decode_moves(ByteView block) {
  return decode_block<MoveTask>(block, [](Reader& r, bool& good) {
    MoveTask task;
    task.asked.id = take_uuid(r);
    task.asked.source = take_number<QueueId>(r, good, kQueueIdMax);
    task.asked.destination = take_number<QueueId>(r, good, kQueueIdMax);
    task.asked.per_second = take_number<std::uint32_t>(r, good, kMoveRateMax);
    task.started = take_time(r, good);
    task.to_move = r.varint();
    task.moved = r.varint();
    const std::uint8_t status = r.u8();
    task.failure = r.str();
    good = good && task.asked.per_second > 0 && status <= static_cast<std::uint8_t>(MoveStatus::kFailed);
    if (good) task.status = static_cast<MoveStatus>(status);
    return task;
  });
}

void append_place(Bytes& out, const PlaceImage<Original>& place) {
  Writer w(out);
  append_key(w, place);
  if (!place.value) return;
  w.varint(static_cast<std::uint64_t>(place.value->seq));
  w.raw(place.value->id.view());
}

Result<std::vector<PlaceImage<Original>>> decode_originals(ByteView block) {
  return decode_block<PlaceImage<Original>>(block, [](Reader& r, bool& good) {
    auto place = take_key<Original>(r, good);
    if (place.value) *place.value = {.seq = Seq{r.varint()}, .id = take_uuid(r)};
    return place;
  });
}

void append_place(Bytes& out, const PlaceImage<std::vector<Handed>>& place) {
  Writer w(out);
  append_key(w, place);
  if (!place.value) return;
  w.varint(place.value->size());
  for (const Handed& h : *place.value) {
    w.varint(static_cast<std::uint64_t>(h.seq));
    w.varint(h.receive);
    put(w, h.visible_at);
  }
}

Result<std::vector<PlaceImage<std::vector<Handed>>>> decode_attempts(ByteView block) {
  return decode_block<PlaceImage<std::vector<Handed>>>(block, [](Reader& r, bool& good) {
    auto place = take_key<std::vector<Handed>>(r, good);
    if (!place.value) return place;
    for (auto n = take_number<std::uint64_t>(r, good, r.left()); good && r.ok() && n > 0; --n) {
      Handed handed{.seq = Seq{r.varint()}, .receive = 0, .visible_at = {}};
      handed.receive = take_number<std::uint32_t>(r, good, UINT32_MAX);
      handed.visible_at = take_time(r, good);
      place.value->push_back(handed);
    }
    return place;
  });
}

}  // namespace hr::queue
