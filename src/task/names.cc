#include "task/names.h"

#include "base/time.h"
#include "codec/digest.h"
#include "codec/time_text.h"

#include <algorithm>

namespace hr::task {
namespace {

constexpr std::size_t kTriggerQueueBytesMax = 75;  // of 80, with room for "-dead"

bool letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

Bytes system_bucket(ByteView app) { return "headrace-" + Bytes(app); }
Bytes result_key(ByteView job) { return "result/" + Bytes(job); }
Bytes mark_key(ByteView job) { return "mark/" + Bytes(job); }
Bytes body_key(ByteView job) { return "body/" + Bytes(job); }
Bytes cancel_key(ByteView job) { return "cancel/" + Bytes(job); }
Bytes later_key(std::int64_t due_ms, ByteView job) {
  const Bytes date = codec::amz_date(from_ms(due_ms));  // "20260102T030405Z"
  return Bytes(kLaterPrefix) + date.substr(0, 8) + date.substr(9, 4) + "/" + Bytes(job);
}
Bytes dead_queue(ByteView queue) { return Bytes(queue) + "-dead"; }

Bytes trigger_queue(ByteView task) {
  Bytes out = "on-";
  for (const char c : task) out.push_back(letter_or_digit(c) || c == '_' ? c : '-');
  if (out.size() <= kTriggerQueueBytesMax) return out;
  out.resize(kTriggerQueueBytesMax - 9);
  return out + "-" + codec::sha256_hex(task).substr(0, 8);
}

bool valid_job_id(ByteView id) {
  return !id.empty() && id.size() <= kJobIdBytesMax && std::ranges::all_of(id, [](char c) {
    return letter_or_digit(c) || c == '.' || c == '_' || c == ':' || c == '-';
  });
}

Uuid name_uuid(ByteView name) {
  // 6ba7b812-9dad-11d1-80b4-00c04fd430c8
  constexpr char kObjectIds[] = "\x6b\xa7\xb8\x12\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8";
  const Bytes digest = codec::sha1(Bytes(kObjectIds, 16) + Bytes(name));
  Uuid out;
  std::ranges::transform(digest.substr(0, 16), out.bytes.begin(),
                         [](char c) { return static_cast<std::uint8_t>(c); });
  out.bytes[6] = static_cast<std::uint8_t>((out.bytes[6] & 0x0f) | 0x50);
  out.bytes[8] = static_cast<std::uint8_t>((out.bytes[8] & 0x3f) | 0x80);
  return out;
}

}  // namespace hr::task
