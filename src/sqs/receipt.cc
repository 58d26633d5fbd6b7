#include "sqs/receipt.h"

#include "codec/base64.h"
#include "codec/digest.h"

#include <cstdint>
#include <utility>

namespace hr::sqs {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kFieldBytes = 1 + 8 + 8 + 4;
constexpr std::size_t kTagBytes = 16;

}  // namespace

ReceiptSeal::ReceiptSeal(Bytes key) : key_(std::move(key)) {}

Bytes ReceiptSeal::tag(ByteView fields) const {
  return codec::hmac_sha256(key_, fields).substr(0, kTagBytes);
}

Bytes ReceiptSeal::seal(const queue::Receipt& receipt) const {
  Bytes bytes;
  bytes.reserve(kFieldBytes + kTagBytes);
  Writer out(bytes);
  out.u8(kVersion);
  out.u64(static_cast<std::uint64_t>(receipt.queue));
  out.u64(static_cast<std::uint64_t>(receipt.seq));
  out.u32(receipt.receive);
  out.raw(tag(bytes));
  return codec::base64_encode(bytes);
}

std::optional<queue::Receipt> ReceiptSeal::open(ByteView handle) const {
  const auto bytes = codec::base64_decode(handle);
  if (!bytes || bytes->size() != kFieldBytes + kTagBytes) return std::nullopt;
  const ByteView fields = ByteView(*bytes).substr(0, kFieldBytes);
  if (!codec::constant_time_equal(tag(fields), ByteView(*bytes).substr(kFieldBytes))) return std::nullopt;
  Reader in(fields);
  if (in.u8() != kVersion) return std::nullopt;
  queue::Receipt receipt;
  receipt.queue = queue::QueueId{in.u64()};
  receipt.seq = queue::Seq{in.u64()};
  receipt.receive = in.u32();
  return receipt;
}

}  // namespace hr::sqs
