#include "queue/message.h"

#include "queue/records.h"

namespace hr::queue {
namespace {

constexpr std::uint8_t kVersion = 2;  // 1: without a deduplication id

}  // namespace

Bytes encode_content(const MessageContent& content) {
  Bytes out;
  out.reserve(content.body.size() + 128);
  Writer w(out);
  w.u8(content.deduplication.empty() ? 1 : kVersion);
  w.varint(content.attributes.size());
  for (const MessageAttribute& a : content.attributes) {
    w.str(a.name);
    w.str(a.type);
    w.str(a.value);
  }
  w.str(content.md5_of_body);
  w.str(content.md5_of_attributes);
  w.str(content.sender);
  w.str(content.trace_header);
  w.str(content.group);
  if (!content.deduplication.empty()) w.str(content.deduplication);
  w.raw(content.body);  // to the end
  return out;
}

Result<MessageContent> decode_delivered(ByteView record) {
  HR_ASSIGN(const AnyRecord any, decode(kSentKind, record));
  Reader r(std::get<MessageSent>(any).content);
  MessageContent out;
  const std::uint8_t version = r.u8();
  const bool known = version >= 1 && version <= kVersion;
  for (std::uint64_t n = known ? r.varint() : 0; n > 0 && r.ok(); --n) {
    MessageAttribute& a = out.attributes.emplace_back();
    a.name = r.str();
    a.type = r.str();
    a.value = r.str();
  }
  out.md5_of_body = r.str();
  out.md5_of_attributes = r.str();
  out.sender = r.str();
  out.trace_header = r.str();
  out.group = r.str();
  if (version >= 2) out.deduplication = r.str();
  out.body = r.raw(r.left());
  if (!known || !r.ok()) return fail(Errc::kCorrupt, "message content: its bytes do not follow the format");
  return out;
}

}  // namespace hr::queue
