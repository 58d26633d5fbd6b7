#include "s3/assemble.h"

#include "codec/base64.h"
#include "codec/digest.h"

#include <gtest/gtest.h>

namespace hr::s3 {
namespace {

using codec::ChecksumAlgorithm;
using wire::S3Code;

constexpr std::uint64_t kEnough = wire::kS3PartBytesMin;

Bytes crc32_of(ByteView data) {
  codec::Checksummer sum(ChecksumAlgorithm::kCrc32);
  sum.update(data);
  return sum.base64();
}

object::ListedPart part(std::uint32_t number, std::uint64_t bytes, std::string_view content) {
  return {.number = number,
          .part = {.bytes = bytes,
                   .etag = codec::md5_hex(content),
                   .modified = {},
                   .checksum = object::Checksum{"CRC32", crc32_of(content)},
                   .blob = storage::BlobName{1, number}}};
}

wire::S3CompletedPart listed(std::uint32_t number, std::string_view content) {
  return {.number = number, .etag = codec::md5_hex(content), .algorithm = {}, .checksum = {}};
}

const std::vector<object::ListedPart> kThere = {part(1, kEnough, "a"), part(2, kEnough - 1, "b"),
                                                part(7, 1, "c")};

wire::S3Result<Assembled> assembled(const std::vector<wire::S3CompletedPart>& list,
                                    const object::Upload& upload = {},
                                    const std::vector<codec::HeaderField>& headers = {}) {
  return assemble(upload, kThere, list, headers);
}

TEST(Assemble, joins_the_listed_parts_in_order) {
  const auto made = assembled({listed(1, "a"), listed(7, "c")});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->bytes, kEnough + 1);
  EXPECT_EQ(made->etag, codec::md5_hex(codec::md5("a") + codec::md5("c")) + "-2");
  ASSERT_EQ(made->manifest.size(), 2U);
  EXPECT_EQ(made->manifest[1].blob, (storage::BlobName{1, 7}));
  EXPECT_EQ(made->checksum, std::nullopt);
}

TEST(Assemble, refuses_parts_that_are_not_there_or_others) {
  EXPECT_EQ(assembled({listed(3, "a")}).error().code, S3Code::kInvalidPart);
  EXPECT_EQ(assembled({listed(1, "b")}).error().code, S3Code::kInvalidPart);
  auto wrong = listed(1, "a");
  wrong.algorithm = ChecksumAlgorithm::kCrc32;
  wrong.checksum = crc32_of("b");
  EXPECT_EQ(assembled({wrong}).error().code, S3Code::kInvalidPart);
}

TEST(Assemble, refuses_small_parts_but_the_last) {
  EXPECT_EQ(assembled({listed(2, "b"), listed(7, "c")}).error().code, S3Code::kEntityTooSmall);
  EXPECT_TRUE(assembled({listed(1, "a"), listed(2, "b")}));
  EXPECT_TRUE(assembled({listed(7, "c")}));
}

TEST(Assemble, computes_a_composite_checksum_from_what_the_client_has_seen) {
  const object::Upload upload{.checksum_algorithm = "CRC32", .checksum_composite = true};
  EXPECT_EQ(assembled({listed(7, "c")}, upload).error().code, S3Code::kInvalidRequest);
  auto seen = listed(7, "c");
  seen.algorithm = ChecksumAlgorithm::kCrc32;
  seen.checksum = crc32_of("c");
  const auto made = assembled({seen}, upload);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->checksum->value, crc32_of(*codec::base64_decode(crc32_of("c"))) + "-1");
  EXPECT_EQ(made->manifest[0].checksum, crc32_of("c"));
}

TEST(Assemble, checks_what_the_headers_say_of_the_whole) {
  const object::Upload upload{.checksum_algorithm = "CRC32"};
  const std::vector<wire::S3CompletedPart> list = {listed(7, "c")};
  const Bytes right = crc32_of("c");
  const Bytes other = crc32_of("x");
  EXPECT_TRUE(assembled(list, upload, {{"x-amz-mp-object-size", "1"}, {"x-amz-checksum-crc32", right}}));
  EXPECT_EQ(assembled(list, upload, {{"x-amz-mp-object-size", "2"}}).error().code, S3Code::kInvalidRequest);
  EXPECT_EQ(assembled(list, upload, {{"x-amz-checksum-crc32", other}}).error().code, S3Code::kBadDigest);
  EXPECT_EQ(assembled(list, upload, {{"x-amz-checksum-type", "COMPOSITE"}}).error().code,
            S3Code::kInvalidRequest);
}

}  // namespace
}  // namespace hr::s3
