#include "commit/record_text.h"

#include "codec/time_text.h"
#include "object/records.h"
#include "queue/records.h"

#include <fmt/format.h>

#include <variant>

namespace hr::commit {
namespace {

std::uint64_t number(auto id) { return static_cast<std::uint64_t>(id); }

std::string at(Time time) { return fmt::format("at={}", codec::iso8601(time)); }

std::string list(const auto& entries, auto&& each) {
  std::string out;
  for (const auto& entry : entries) out += fmt::format("{}{}", out.empty() ? "" : ",", each(entry));
  return out;
}

struct QueueText {
  using Sent = queue::MessageSent;
  std::string operator()(const queue::QueueCreated& r) const {
    return fmt::format("QueueCreated queue={} account={} name={} {}", number(r.queue.id), r.queue.account,
                       printable(r.queue.name), at(r.queue.created));
  }
  std::string operator()(const queue::QueueChanged& r) const {
    return fmt::format("QueueChanged queue={} {} attributes={} tags={}", number(r.queue), at(r.at),
                       r.attributes.stored.size(), r.tags.size());
  }
  std::string operator()(const queue::QueueRemoved& r) const {
    return fmt::format("QueueRemoved queue={} {}", number(r.queue), at(r.at));
  }
  std::string operator()(const queue::QueuePurged& r) const {
    return fmt::format("QueuePurged queue={} {}", number(r.queue), at(r.at));
  }
  static std::string sent(const char* name, const Sent& r) {
    return fmt::format("{} queue={} message={} id={} {} delay={} bytes={}", name, number(r.queue),
                       number(r.seq), r.id.text(), at(r.sent), r.delay.count(), r.content.size());
  }
  std::string operator()(const Sent& r) const { return sent("MessageSent", r); }
  std::string operator()(const queue::MessageCopied& r) const { return sent("MessageCopied", r.sent); }
  std::string operator()(const queue::MessagesReceived& r) const {
    return fmt::format(
        "MessagesReceived queue={} {} lease={} messages={}", number(r.queue), at(r.at), r.lease.count(),
        list(r.messages, [](const auto& m) { return fmt::format("{}#{}", number(m.seq), m.receive); }));
  }
  std::string operator()(const queue::ReceiveRepeated& r) const {
    return fmt::format("ReceiveRepeated queue={} {} lease={} messages={}", number(r.queue), at(r.at),
                       r.lease.count(), list(r.messages, [](auto seq) { return number(seq); }));
  }
  std::string operator()(const queue::MessagesErased& r) const {
    return fmt::format("MessagesErased queue={} {} messages={}", number(r.queue), at(r.at),
                       list(r.messages, [](auto seq) { return number(seq); }));
  }
  std::string operator()(const queue::MessagesExpired& r) const {
    return fmt::format("MessagesExpired queue={} {} messages={}", number(r.queue), at(r.at),
                       list(r.messages, [](auto seq) { return number(seq); }));
  }
  std::string operator()(const queue::VisibilityChanged& r) const {
    return fmt::format("VisibilityChanged queue={} {} messages={}", number(r.queue), at(r.at),
                       list(r.messages, [](const auto& m) {
                         return fmt::format("{}:{}ms", number(m.seq), m.timeout.count());
                       }));
  }
  static std::string pairs(const auto& messages) {
    return list(messages, [](const auto& m) { return fmt::format("{}->{}", number(m.from), number(m.to)); });
  }
  std::string operator()(const queue::MessagesDeadLettered& r) const {
    return fmt::format("MessagesDeadLettered queue={} to={} {} messages={}", number(r.queue),
                       number(r.dead_letter), at(r.at), pairs(r.messages));
  }
  std::string operator()(const queue::MoveStarted& r) const {
    return fmt::format("MoveStarted task={} queue={} to={} {} rate={} messages={}", r.asked.id.text(),
                       number(r.asked.source), number(r.asked.destination), at(r.at), r.asked.per_second,
                       r.to_move);
  }
  std::string operator()(const queue::MessagesRedriven& r) const {
    return fmt::format("MessagesRedriven task={} to={} {} messages={}", r.task.text(), number(r.destination),
                       at(r.at), pairs(r.messages));
  }
  std::string operator()(const queue::MoveEnded& r) const {
    return fmt::format("MoveEnded task={} {} status={} {}", r.task.text(), at(r.at),
                       static_cast<int>(r.status), printable(r.failure));
  }
};

struct ObjectText {
  std::string operator()(const object::Bucket& r) const {
    return fmt::format("BucketSet bucket={} account={} name={} notifications={} versioning={} settings={}",
                       number(r.id), r.account, printable(r.name), r.notifications.size(),
                       static_cast<int>(r.versioning), r.settings.size());
  }
  std::string operator()(const object::BucketDeleted& r) const {
    return fmt::format("BucketDeleted bucket={} name={}", number(r.id), printable(r.name));
  }
  std::string operator()(const object::Counter& r) const {
    return fmt::format("Counter reserved={}", r.reserved);
  }
  std::string operator()(const object::ObjectPut& r) const {
    const auto object = object::decode_object(r.object);
    if (!object) return "ObjectPut: " + object.error().message;
    return fmt::format("ObjectPut bucket={} key={} bytes={} etag={} sequencer={} body={}", number(r.bucket),
                       printable(r.key), object->bytes, printable(object->etag), object->sequencer,
                       object->blob        ? object->blob->path()
                       : object->parts > 0 ? "parts"
                                           : "here");
  }
  std::string operator()(const object::ObjectRemoved& r) const {
    return fmt::format("ObjectRemoved bucket={} key={} sequencer={}", number(r.bucket), printable(r.key),
                       r.sequencer);
  }
  std::string operator()(const object::ObjectSet& r) const {
    const auto object = object::decode_object(r.object);
    if (!object) return "ObjectSet: " + object.error().message;
    return fmt::format("ObjectSet bucket={} key={} sequencer={} tags={}", number(r.bucket), printable(r.key),
                       object->sequencer, object->tags.size());
  }
  std::string operator()(const object::VersionPut& r) const {
    const auto object = object::decode_object(r.object);
    if (!object) return "VersionPut: " + object.error().message;
    return fmt::format("VersionPut bucket={} key={} version={} numbered={} delete_marker={} bytes={} etag={}",
                       number(r.bucket), printable(r.key), r.version, r.numbered, r.delete_marker,
                       object->bytes, printable(object->etag));
  }
  std::string operator()(const object::VersionRemoved& r) const {
    return fmt::format("VersionRemoved bucket={} key={} version={} sequencer={}", number(r.bucket),
                       printable(r.key), r.version, r.sequencer);
  }
  std::string operator()(const object::UploadSet& r) const {
    return fmt::format("UploadSet bucket={} key={} upload={}", number(r.bucket), printable(r.key),
                       number(r.upload));
  }
  std::string operator()(const object::PartPut& r) const {
    return fmt::format("PartPut upload={} part={}", number(r.upload), r.number);
  }
  std::string operator()(const object::UploadClosed& r) const {
    return fmt::format("UploadClosed bucket={} key={} upload={} kept={}", number(r.bucket), printable(r.key),
                       number(r.upload), r.kept.size());
  }
};

template <class Text>
std::string text(const Text& visitor, const auto& record, std::uint8_t kind) {
  return record ? std::visit(visitor, *record) : fmt::format("kind {}: {}", kind, record.error().message);
}

}  // namespace

std::string text_of(std::uint8_t kind, ByteView payload) {
  if (kind < object::kKindFirst) return text(QueueText(), queue::decode(kind, payload), kind);
  return text(ObjectText(), object::decode_record(kind, payload), kind);
}

std::string printable(ByteView bytes) {
  std::string out;
  for (const char c : bytes) {
    if (c >= ' ' && c < '\x7f' && c != '\\') {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace hr::commit
