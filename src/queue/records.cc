#include "queue/records.h"

#include <utility>

namespace hr::queue {
namespace {

constexpr std::uint8_t kVersion = 3;

// The oldest version that has all the fields of the record, so that what older programs can read stays so.
template <class R>
std::uint8_t version_of(const R&) {
  return 1;
}
std::uint8_t version_of(const MessageSent& r) {
  if (r.group == GroupKey::kNone) return r.deduplication ? 2 : 1;
  return r.deduplication ? 2 : 3;
}
std::uint8_t version_of(const MessageCopied& r) { return version_of(r.sent); }
std::uint8_t version_of(const MessagesReceived& r) { return r.attempt ? 2 : 1; }

// --- writing; the order of the fields is the format ---

class Coder {
 public:
  Coder(Bytes& out, std::uint8_t version) : w_(out) { w_.u8(version); }

  template <class Id>
  void id(Id v) {
    w_.varint(static_cast<std::uint64_t>(v));
  }
  void time(Time v) { w_.varint(static_cast<std::uint64_t>(to_ms(v))); }
  void span(Duration v) { w_.varint(static_cast<std::uint64_t>(v.count())); }
  void text(const std::map<std::string, std::string>& map) {
    w_.varint(map.size());
    for (const auto& [key, value] : map) w_.str(key), w_.str(value);
  }
  void attributes(const Attributes& a) {
    for (const Duration v : {a.delay, a.visibility_timeout, a.retention, a.receive_wait}) span(v);
    w_.varint(a.maximum_message_size);
    w_.boolean(a.redrive.has_value());
    if (a.redrive) id(a.redrive->dead_letter), w_.varint(a.redrive->max_receive_count);
    text(a.stored);
  }
  void print(const std::optional<Fingerprint>& v) { w_.raw(v.value_or(Fingerprint{}).view()); }
  Writer& raw() { return w_; }

 private:
  Writer w_;
};

void body(Coder& c, const QueueCreated& r) {
  c.id(r.queue.id);
  c.time(r.queue.created);
  c.raw().str(r.queue.account);
  c.raw().str(r.queue.name);
  c.attributes(r.queue.attributes);
  c.text(r.queue.tags);
}
void body(Coder& c, const QueueChanged& r) {
  c.id(r.queue);
  c.time(r.at);
  c.attributes(r.attributes);
  c.text(r.tags);
}
void body(Coder& c, const QueueRemoved& r) { c.id(r.queue), c.time(r.at); }
void body(Coder& c, const QueuePurged& r) { c.id(r.queue), c.time(r.at); }
void body(Coder& c, const MessageSent& r) {
  c.id(r.queue);
  c.id(r.seq);
  c.raw().raw(r.id.view());
  c.time(r.sent);
  c.span(r.delay);
  if (version_of(r) >= 2) c.raw().u64(static_cast<std::uint64_t>(r.group));
  if (version_of(r) == 2) c.print(r.deduplication);
  c.raw().raw(r.content);
}

void body(Coder& c, const MessageCopied& r) { body(c, r.sent); }

void entry(Coder& c, Seq v) { c.id(v); }
void entry(Coder& c, const MessagesReceived::Entry& v) { c.id(v.seq), c.raw().varint(v.receive); }
void entry(Coder& c, const VisibilityChanged::Entry& v) { c.id(v.seq), c.span(v.timeout); }
void entry(Coder& c, const MessagesDeadLettered::Entry& v) { c.id(v.from), c.id(v.to); }

template <class R>
void list(Coder& c, const R& r) {
  c.raw().varint(r.messages.size());
  for (const auto& v : r.messages) entry(c, v);
}
void body(Coder& c, const MessagesReceived& r) {
  c.id(r.queue), c.time(r.at), c.span(r.lease);
  if (version_of(r) >= 2) c.print(r.attempt);
  list(c, r);
}
void body(Coder& c, const ReceiveRepeated& r) {
  c.id(r.queue), c.time(r.at), c.span(r.lease), c.print(r.attempt), list(c, r);
}
void body(Coder& c, const MessagesErased& r) { c.id(r.queue), c.time(r.at), list(c, r); }
void body(Coder& c, const VisibilityChanged& r) { c.id(r.queue), c.time(r.at), list(c, r); }
void body(Coder& c, const MessagesExpired& r) { c.id(r.queue), c.time(r.at), list(c, r); }
void body(Coder& c, const MessagesDeadLettered& r) {
  c.id(r.queue), c.id(r.dead_letter), c.time(r.at), list(c, r);
}

void body(Coder& c, const MoveStarted& r) {
  c.raw().raw(r.asked.id.view());
  c.id(r.asked.source), c.id(r.asked.destination);
  c.raw().varint(r.asked.per_second);
  c.time(r.at);
  c.raw().varint(r.to_move);
}
void body(Coder& c, const MessagesRedriven& r) {
  c.raw().raw(r.task.view());
  c.id(r.destination), c.time(r.at), list(c, r);
}
void body(Coder& c, const MoveEnded& r) {
  c.raw().raw(r.task.view());
  c.time(r.at);
  c.raw().u8(static_cast<std::uint8_t>(r.status));
  c.raw().str(r.failure);
}

// --- reading ---

class Decoder {
 public:
  explicit Decoder(ByteView in) : r_(in), version_(r_.u8()) { good_ = version_ >= 1 && version_ <= kVersion; }

  std::uint8_t version() const { return version_; }
  void print(Fingerprint& v) {
    const ByteView bytes = r_.raw(v.bytes.size());
    std::copy(bytes.begin(), bytes.end(), v.bytes.begin());
  }

  template <class Id>
  void id(Id& v) {
    v = Id{r_.varint()};
  }
  void uuid(Uuid& v) {
    const ByteView bytes = r_.raw(v.bytes.size());
    std::copy(bytes.begin(), bytes.end(), v.bytes.begin());
  }
  void status(MoveStatus& v) {
    const std::uint8_t status = r_.u8();
    good_ = good_ && status >= 1 && status <= static_cast<std::uint8_t>(MoveStatus::kFailed);
    if (good_) v = static_cast<MoveStatus>(status);
  }
  void number(std::uint32_t& v) {
    const std::uint64_t wide = r_.varint();
    v = static_cast<std::uint32_t>(wide);
    good_ = good_ && wide == v;
  }
  void time(Time& v) {
    const std::uint64_t ms = r_.varint();
    good_ = good_ && ms <= static_cast<std::uint64_t>(to_ms(kTimeMax));
    if (good_) v = from_ms(static_cast<std::int64_t>(ms));
  }
  void span(Duration& v) {
    const std::uint64_t ms = r_.varint();
    good_ = good_ && ms <= UINT32_MAX;
    if (good_) v = Duration(static_cast<std::int64_t>(ms));
  }
  void text(std::map<std::string, std::string>& map) {
    for (std::uint64_t n = count(); n > 0 && ok(); --n) {
      const ByteView key = r_.str();
      map.insert_or_assign(std::string(key), std::string(r_.str()));
    }
  }
  void attributes(Attributes& a) {
    for (Duration* v : {&a.delay, &a.visibility_timeout, &a.retention, &a.receive_wait}) span(*v);
    number(a.maximum_message_size);
    const std::uint8_t has_redrive = r_.u8();
    good_ = good_ && has_redrive <= 1;
    if (has_redrive != 0) {
      a.redrive.emplace();
      id(a.redrive->dead_letter), number(a.redrive->max_receive_count);
    }
    text(a.stored);
    good_ = good_ && in_range(a);
  }
  // Every entry takes at least one byte: a larger count is a lie.
  std::uint64_t count() {
    const std::uint64_t n = r_.varint();
    good_ = good_ && n <= r_.left();
    return good_ ? n : 0;
  }
  bool ok() const { return good_ && r_.ok(); }
  bool done() const { return good_ && r_.done(); }
  Reader& raw() { return r_; }

 private:
  Reader r_;
  std::uint8_t version_;
  bool good_ = false;
};

void body(Decoder& d, QueueCreated& r) {
  d.id(r.queue.id);
  d.time(r.queue.created);
  r.queue.account = d.raw().str();
  r.queue.name = d.raw().str();
  d.attributes(r.queue.attributes);
  d.text(r.queue.tags);
  r.queue.modified = r.queue.created;
}
void body(Decoder& d, QueueChanged& r) {
  d.id(r.queue);
  d.time(r.at);
  d.attributes(r.attributes);
  d.text(r.tags);
}
void body(Decoder& d, QueueRemoved& r) { d.id(r.queue), d.time(r.at); }
void body(Decoder& d, QueuePurged& r) { d.id(r.queue), d.time(r.at); }
void body(Decoder& d, MessageSent& r) {
  d.id(r.queue);
  d.id(r.seq);
  d.uuid(r.id);
  d.time(r.sent);
  d.span(r.delay);
  if (d.version() >= 2) r.group = GroupKey{d.raw().u64()};
  if (d.version() == 2) d.print(r.deduplication.emplace());
  r.content = d.raw().raw(d.raw().left());
}

void body(Decoder& d, MessageCopied& r) { body(d, r.sent); }

void entry(Decoder& d, Seq& v) { d.id(v); }
void entry(Decoder& d, MessagesReceived::Entry& v) { d.id(v.seq), d.number(v.receive); }
void entry(Decoder& d, VisibilityChanged::Entry& v) { d.id(v.seq), d.span(v.timeout); }
void entry(Decoder& d, MessagesDeadLettered::Entry& v) { d.id(v.from), d.id(v.to); }

template <class R>
void list(Decoder& d, R& r) {
  for (std::uint64_t n = d.count(); n > 0 && d.ok(); --n) entry(d, r.messages.emplace_back());
}
void body(Decoder& d, MessagesReceived& r) {
  d.id(r.queue), d.time(r.at), d.span(r.lease);
  if (d.version() >= 2) d.print(r.attempt.emplace());
  list(d, r);
}
void body(Decoder& d, ReceiveRepeated& r) {
  d.id(r.queue), d.time(r.at), d.span(r.lease), d.print(r.attempt), list(d, r);
}
void body(Decoder& d, MessagesErased& r) { d.id(r.queue), d.time(r.at), list(d, r); }
void body(Decoder& d, VisibilityChanged& r) { d.id(r.queue), d.time(r.at), list(d, r); }
void body(Decoder& d, MessagesExpired& r) { d.id(r.queue), d.time(r.at), list(d, r); }
void body(Decoder& d, MessagesDeadLettered& r) {
  d.id(r.queue), d.id(r.dead_letter), d.time(r.at), list(d, r);
}

void body(Decoder& d, MoveStarted& r) {
  d.uuid(r.asked.id);
  d.id(r.asked.source), d.id(r.asked.destination);
  d.number(r.asked.per_second);
  d.time(r.at);
  r.to_move = d.raw().varint();
}
void body(Decoder& d, MessagesRedriven& r) { d.uuid(r.task), d.id(r.destination), d.time(r.at), list(d, r); }
void body(Decoder& d, MoveEnded& r) {
  d.uuid(r.task);
  d.time(r.at);
  d.status(r.status);
  r.failure = d.raw().str();
}

template <class R>
Result<AnyRecord> decode_as(ByteView payload) {
  Decoder d(payload);
  AnyRecord out{std::in_place_type<R>};
  body(d, std::get<R>(out));
  if (d.done()) return out;
  return fail(Errc::kCorrupt, "queue record: its bytes do not follow the format");
}

template <std::size_t... I>
Result<AnyRecord> decode_kind(std::uint8_t kind, ByteView payload, std::index_sequence<I...>) {
  using Decode = Result<AnyRecord> (*)(ByteView);
  static constexpr Decode kDecoders[] = {&decode_as<std::variant_alternative_t<I, AnyRecord>>...};
  return kDecoders[kind - 1](payload);
}

}  // namespace

storage::Record encode(const AnyRecord& record) {
  storage::Record out;
  out.kind = static_cast<std::uint8_t>(record.index() + 1);
  std::visit(
      [&](const auto& r) {
        Coder c(out.payload, version_of(r));
        body(c, r);
      },
      record);
  return out;
}

Result<AnyRecord> decode(std::uint8_t kind, ByteView payload) {
  constexpr std::size_t kKinds = std::variant_size_v<AnyRecord>;
  if (kind == 0 || kind > kKinds) return fail(Errc::kCorrupt, "queue record: of an unknown kind");
  if (!payload.empty() && static_cast<std::uint8_t>(payload[0]) > kVersion) {
    return fail(Errc::kUnsupported, "queue record: written by a newer version of headrace");
  }
  return decode_kind(kind, payload, std::make_index_sequence<kKinds>{});
}

bool in_range(const Attributes& a) {
  const auto between = [](auto low, auto v, auto high) { return low <= v && v <= high; };
  return between(Duration(0), a.delay, kDelayMax) && between(Duration(0), a.visibility_timeout, kLeaseMax) &&
         between(Duration(60s), a.retention, Duration(14 * 24h)) &&
         between(Duration(0), a.receive_wait, Duration(20s)) &&
         between(1024U, a.maximum_message_size, 1U << 20) &&
         (!a.redrive || between(1U, a.redrive->max_receive_count, 1000U));
}

}  // namespace hr::queue
