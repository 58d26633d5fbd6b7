#include "wire/s3_multipart.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace hr::wire {
namespace {

Bytes document(std::string_view parts) {
  return fmt::format("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts);
}
Bytes part(std::uint32_t number) {
  return fmt::format("<Part><PartNumber>{}</PartNumber><ETag>\"e\"</ETag></Part>", number);
}

TEST(UploadId, is_sixteen_digits_and_no_number) {
  EXPECT_EQ(show_upload_id(0x1234), "u0000000000001234");
  EXPECT_EQ(parse_upload_id("u0000000000001234"), 0x1234U);
  for (const char* text : {"", "1234", "0000000000001234", "u0000000000000000", "u000000000000123G",
                           "u000000000000ABCD", "u00000000000012345", "u-000000000001234"}) {
    EXPECT_EQ(parse_upload_id(text), std::nullopt) << text;
  }
}

TEST(PartNumber, is_1_to_10000) {
  EXPECT_EQ(parse_part_number("1"), 1U);
  EXPECT_EQ(parse_part_number("10000"), 10'000U);
  for (const char* text : {"", "0", "10001", "-1", "1x", "99999999999"}) {
    EXPECT_EQ(parse_part_number(text).error().code, S3Code::kInvalidArgument) << text;
  }
}

TEST(UploadChecksum, has_a_kind_that_its_algorithm_can_have) {
  const auto parsed = [](ByteView algorithm, ByteView type) {
    std::vector<codec::HeaderField> headers;
    if (!algorithm.empty()) headers.push_back({"x-amz-checksum-algorithm", algorithm});
    if (!type.empty()) headers.push_back({"x-amz-checksum-type", type});
    return parse_upload_checksum(headers);
  };
  EXPECT_FALSE(parsed("", "")->algorithm);
  EXPECT_TRUE(parsed("CRC32", "")->composite);
  EXPECT_FALSE(parsed("CRC64NVME", "")->composite);
  EXPECT_FALSE(parsed("CRC32C", "FULL_OBJECT")->composite);
  EXPECT_FALSE(parsed("SHA256", "FULL_OBJECT"));
  EXPECT_FALSE(parsed("CRC64NVME", "COMPOSITE"));
  EXPECT_FALSE(parsed("", "COMPOSITE"));
  EXPECT_FALSE(parsed("MD5", ""));
}

TEST(CompleteMultipartUpload, lists_parts_in_ascending_order) {
  const auto parts = parse_complete(document(
      part(1) + "<Part><ETag>f</ETag><ChecksumCRC32>x</ChecksumCRC32><PartNumber>9</PartNumber></Part>"));
  ASSERT_TRUE(parts);
  ASSERT_EQ(parts->size(), 2U);
  EXPECT_EQ((*parts)[0].etag, "e");
  EXPECT_EQ((*parts)[1].number, 9U);
  EXPECT_EQ((*parts)[1].algorithm, codec::ChecksumAlgorithm::kCrc32);
  EXPECT_EQ(parse_complete(document(part(2) + part(1))).error().code, S3Code::kInvalidPartOrder);
  EXPECT_EQ(parse_complete(document(part(2) + part(2))).error().code, S3Code::kInvalidPartOrder);
}

TEST(CompleteMultipartUpload, takes_ten_thousand_parts_and_no_more) {
  Bytes all;
  for (std::uint32_t number = 1; number <= kS3PartsMax; ++number) all += part(number);
  EXPECT_EQ(parse_complete(document(all))->size(), kS3PartsMax);
  EXPECT_EQ(parse_complete(document(all + part(kS3PartsMax))).error().code, S3Code::kMalformedXml);
}

TEST(CompleteMultipartUpload, refuses_documents_that_are_none) {
  for (const Bytes& text :
       {Bytes(), Bytes("x"), document(""), document("<Part/>"), document("<Other/>"), Bytes("<Delete/>"),
        document("<Part><PartNumber>1</PartNumber></Part>"),
        document("<Part><PartNumber>1</PartNumber><ETag>e</ETag><ChecksumMD4>x</ChecksumMD4></Part>")}) {
    EXPECT_EQ(parse_complete(text).error().code, S3Code::kMalformedXml) << text;
  }
  EXPECT_EQ(parse_complete(document(part(0))).error().code, S3Code::kInvalidArgument);
}

TEST(ListMultipartUploads, encodes_keys_and_markers_when_asked) {
  S3UploadList list{.bucket = "b", .key_marker = "a b", .url_encoded = true};
  list.uploads.push_back({.key = "ü", .upload_id = "1", .initiator = "HR", .initiated = {}});
  const Bytes text = write_uploads(list);
  EXPECT_NE(text.find("<KeyMarker>a%20b</KeyMarker>"), Bytes::npos);
  EXPECT_NE(text.find("<Key>%C3%BC</Key>"), Bytes::npos);
  EXPECT_NE(text.find("<EncodingType>url</EncodingType>"), Bytes::npos);
}

TEST(ListParts, shows_where_the_next_page_begins) {
  S3PartList list{.bucket = "b", .marker = 3, .truncated = true};
  list.parts.push_back({.number = 9, .modified = {}, .etag = "e", .bytes = 5});
  const Bytes text = write_parts(list);
  EXPECT_NE(text.find("<NextPartNumberMarker>9</NextPartNumberMarker>"), Bytes::npos);
  EXPECT_NE(text.find("<IsTruncated>true</IsTruncated>"), Bytes::npos);
  EXPECT_NE(text.find("<ETag>&quot;e&quot;</ETag>"), Bytes::npos) << text;
}

}  // namespace
}  // namespace hr::wire
