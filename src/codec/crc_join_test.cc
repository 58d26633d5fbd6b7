#include "codec/digest.h"

#include <gtest/gtest.h>

namespace hr::codec {
namespace {

Bytes raw_of(ChecksumAlgorithm algorithm, ByteView data) {
  Checksummer sum(algorithm);
  sum.update(data);
  return sum.raw();
}

TEST(JoinCrcs, gives_the_crc_of_both_behind_each_other) {
  Bytes whole;
  for (int i = 0; i < 70'000; ++i) whole.push_back(static_cast<char>(i * 31 + i / 251));
  for (const auto algorithm :
       {ChecksumAlgorithm::kCrc32, ChecksumAlgorithm::kCrc32c, ChecksumAlgorithm::kCrc64Nvme}) {
    for (const std::size_t cut : {0UL, 1UL, 7UL, 4096UL, 65'537UL, 69'999UL, 70'000UL}) {
      const ByteView a = ByteView(whole).substr(0, cut);
      const ByteView b = ByteView(whole).substr(cut);
      EXPECT_EQ(join_crcs(algorithm, raw_of(algorithm, a), raw_of(algorithm, b), b.size()),
                raw_of(algorithm, whole))
          << to_string(algorithm) << " cut at " << cut;
    }
  }
}

TEST(JoinCrcs, refuses_what_cannot_be_joined) {
  EXPECT_FALSE(join_crcs(ChecksumAlgorithm::kSha256, Bytes(32, 'a'), Bytes(32, 'b'), 1));
  EXPECT_FALSE(join_crcs(ChecksumAlgorithm::kCrc32, Bytes(8, 'a'), Bytes(4, 'b'), 1));
}

}  // namespace
}  // namespace hr::codec
