#include "sqs/receipt.h"

#include "codec/base64.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace hr::sqs {
namespace {

const queue::Receipt kReceipt{.queue = queue::QueueId{7}, .seq = queue::Seq{UINT64_MAX}, .receive = 3};

TEST(Receipt, opens_to_what_was_sealed) {
  const ReceiptSeal seal(std::string(32, 'k'));
  EXPECT_EQ(seal.open(seal.seal(kReceipt)), kReceipt);
  EXPECT_EQ(seal.seal(kReceipt).size(), 52U);
}

TEST(Receipt, of_another_store_does_not_open) {
  const ReceiptSeal seal(std::string(32, 'k'));
  EXPECT_EQ(ReceiptSeal(std::string(32, 'o')).open(seal.seal(kReceipt)), std::nullopt);
}

TEST(Receipt, with_any_byte_changed_does_not_open) {
  const ReceiptSeal seal(std::string(32, 'k'));
  const Bytes good = codec::base64_decode(seal.seal(kReceipt)).value();
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_EQ(seal.open(codec::base64_encode(bad)), std::nullopt) << i;
  }
}

TEST(Receipt, that_is_no_handle_at_all_does_not_open) {
  const ReceiptSeal seal(std::string(32, 'k'));
  const Bytes good = seal.seal(kReceipt);
  for (const auto& bad :
       {Bytes(), Bytes("x"), Bytes("AAAA"), good + "=", good.substr(4), good + good, Bytes(52, '!')}) {
    EXPECT_EQ(seal.open(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace hr::sqs
