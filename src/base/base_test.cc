#include "base/bytes.h"
#include "base/result.h"
#include "base/uuid.h"
#include "base/varint.h"

#include <gtest/gtest.h>

namespace hr {
namespace {

TEST(Bytes, every_value_reads_back_as_written) {
  Bytes out;
  Writer w(out);
  w.u8(7);
  w.u16(65535);
  w.u32(1U << 31);
  w.i64(-5);
  w.varint(0);
  w.varint(~0ULL);
  w.str("queue");
  Reader r(out);
  EXPECT_EQ(r.u8(), 7);
  EXPECT_EQ(r.u16(), 65535);
  EXPECT_EQ(r.u32(), 1U << 31);
  EXPECT_EQ(r.i64(), -5);
  EXPECT_EQ(r.varint(), 0U);
  EXPECT_EQ(r.varint(), ~0ULL);
  EXPECT_EQ(r.str(), "queue");
  EXPECT_TRUE(r.done());
}

TEST(Bytes, a_reader_never_passes_its_end) {
  Bytes out;
  Writer(out).str("0123456789");
  for (std::size_t n = 0; n < out.size(); ++n) {
    Reader r(ByteView(out).substr(0, n));
    EXPECT_EQ(r.str(), "");
    EXPECT_FALSE(r.ok());
    EXPECT_EQ(r.u64(), 0U);
  }
}

TEST(Bytes, a_varint_that_is_followed_by_bytes_is_read_as_by_a_reader) {
  for (unsigned bits = 0; bits <= 64; ++bits) {
    for (const std::uint64_t low : {0ULL, 1ULL}) {
      const std::uint64_t value = (bits == 0 ? 0 : ~0ULL >> (64 - bits)) - low;
      Bytes bytes;
      Writer(bytes).varint(value);
      const std::size_t length = bytes.size();
      EXPECT_EQ(Reader(bytes).varint(), value);
      bytes += Bytes(20, '\xff');
      const char* at = bytes.data();
      bool good = true;
      EXPECT_EQ(read_varint(at, good), value);
      EXPECT_TRUE(good);
      EXPECT_EQ(static_cast<std::size_t>(at - bytes.data()), length);
    }
  }
  const Bytes endless(30, '\xff');
  const char* at = endless.data();
  bool good = true;
  read_varint(at, good);
  EXPECT_FALSE(good);
}

TEST(Bytes, a_varint_longer_than_64_bits_is_refused) {
  const Bytes endless(10, '\xff');
  Reader r(endless);
  r.varint();
  EXPECT_FALSE(r.ok());
}

TEST(Bytes, big_endian_keeps_number_order) { EXPECT_LT(big_endian(255), big_endian(256)); }

TEST(Uuid, text_has_version_and_variant) {
  EXPECT_EQ(Uuid::v4({}).text(), "00000000-0000-4000-8000-000000000000");
}

Result<int> half(int n) { return n % 2 == 0 ? Result<int>(n / 2) : fail(Errc::kInvalid, "odd"); }
Result<int> quarter(int n) {
  HR_ASSIGN(const int first, half(n));
  HR_ASSIGN(const int second, half(first));
  return second;
}

TEST(Result, the_first_error_is_returned_and_gains_context) {
  EXPECT_EQ(quarter(8), 2);
  auto failed = quarter(6);
  ASSERT_FALSE(failed);
  EXPECT_EQ(std::move(failed).error().in("quarter of 6").message, "quarter of 6: odd");
}

}  // namespace
}  // namespace hr
