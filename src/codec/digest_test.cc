#include "codec/digest.h"

#include "codec/base64.h"
#include "codec/crc_portable.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <string>
#include <vector>

namespace hr::codec {
namespace {

constexpr ByteView kCheck = "123456789";  // what CRC catalogues give the check value of

TEST(Digest, known_answers_of_the_hashes) {
  EXPECT_EQ(md5_hex(""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(md5_hex("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
  EXPECT_EQ(sha1_hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abc").size(), 32u);
}

TEST(Digest, known_answers_of_the_crcs) {
  EXPECT_EQ(crc32(kCheck), 0xCBF43926u);
  EXPECT_EQ(crc32c(kCheck), 0xE3069283u);
  EXPECT_EQ(crc64_nvme(kCheck), 0xAE8B14860A799888u);
  EXPECT_EQ(crc32c(Bytes(32, '\0')), 0x8A9136AAu);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(Bytes(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(crc64_nvme(Bytes(4096, '\0')), 0x6482D367EB22B64Eu);  // NVM Command Set, 5.2.1.3.5
  EXPECT_EQ(crc64_nvme(Bytes(4096, '\xff')), 0xC0DDBA7302ECA3ACu);
  EXPECT_EQ(crc32(""), 0u);
  EXPECT_EQ(crc64_nvme(""), 0u);
}

TEST(Digest, hmac_known_answers) {  // RFC 4231 cases 2 and 6, RFC 2202 case 2
  EXPECT_EQ(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex(hmac_sha256(Bytes(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(to_hex(hmac_sha1("Jefe", "what do ya want for nothing?")),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

TEST(Digest, constant_time_equal_compares) {
  EXPECT_TRUE(constant_time_equal("", ""));
  EXPECT_TRUE(constant_time_equal("abc", "abc"));
  EXPECT_FALSE(constant_time_equal("abc", "abd"));
  EXPECT_FALSE(constant_time_equal("abc", "abcd"));
}

TEST(Digest, every_length_gives_the_same_crc_with_and_without_the_cpus_help) {
  Bytes data;
  for (unsigned i = 0; i < 1200; ++i) data.push_back(static_cast<char>(i * 37 + i / 251));
  for (std::size_t n = 0; n <= data.size(); ++n) {
    const ByteView part = ByteView(data).substr(data.size() - n);
    ASSERT_EQ(crc32(part, 7), portable::crc32(part, 7)) << n;
    ASSERT_EQ(crc32c(part, 7), portable::crc32c(part, 7)) << n;
    ASSERT_EQ(crc64_nvme(part, 7), portable::crc64_nvme(part, 7)) << n;
  }
}

RC_GTEST_PROP(Digest, a_split_does_not_change_any_checksum, (const std::string& a, const std::string& b)) {
  for (const auto algorithm :
       {ChecksumAlgorithm::kCrc32, ChecksumAlgorithm::kCrc32c, ChecksumAlgorithm::kCrc64Nvme,
        ChecksumAlgorithm::kSha1, ChecksumAlgorithm::kSha256}) {
    Checksummer whole(algorithm);
    whole.update(a + b);
    Checksummer split(algorithm);
    split.update(a);
    RC_ASSERT(split.raw().size() == checksum_size(algorithm));  // asking in between changes nothing
    split.update(b);
    RC_ASSERT(split.raw() == whole.raw());
  }
  RC_ASSERT(crc32c(b, crc32c(a)) == crc32c(a + b));
}

TEST(Digest, a_checksummer_speaks_s3s_text) {
  const std::vector<std::pair<ChecksumAlgorithm, Bytes>> expected{
      {ChecksumAlgorithm::kCrc32, "y/Q5Jg=="},
      {ChecksumAlgorithm::kCrc32c, "4waSgw=="},
      {ChecksumAlgorithm::kCrc64Nvme, "rosUhgp5mIg="},
      {ChecksumAlgorithm::kSha1, "98O8HYCOBHMq32eZZczDTKeuNEE="},
  };
  for (const auto& [algorithm, text] : expected) {
    Checksummer sum(algorithm);
    sum.update(kCheck);
    EXPECT_EQ(sum.base64(), text) << to_string(algorithm);
  }
}

TEST(Digest, algorithm_names_are_s3s_and_nothing_else) {
  for (int i = 0; i < 5; ++i) {
    const auto algorithm = static_cast<ChecksumAlgorithm>(i);
    EXPECT_EQ(parse_checksum_algorithm(to_string(algorithm)), algorithm);
    EXPECT_EQ(checksum_of_header(checksum_header(algorithm)), algorithm);
  }
  EXPECT_EQ(parse_checksum_algorithm("crc32").error().code, Errc::kInvalid);
  EXPECT_EQ(parse_checksum_algorithm("").error().code, Errc::kInvalid);
  EXPECT_FALSE(checksum_of_header("x-amz-checksum-md5"));
}

TEST(Digest, a_copy_forks_the_computation) {
  Sha256 a;
  a.update("ab");
  Sha256 b = a;
  a.update("c");
  EXPECT_EQ(a.finish(), sha256("abc"));
  EXPECT_EQ(b.finish(), sha256("ab"));
}

}  // namespace
}  // namespace hr::codec
