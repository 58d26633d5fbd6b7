#include "wire/s3_headers.h"

#include "codec/time_text.h"

#include <gtest/gtest.h>

namespace hr::wire {
namespace {

using codec::HeaderField;
using Fields = std::vector<HeaderField>;

const Time kModified = from_ms(1'784'000'000'500);

S3Code code_of(const auto& result) { return result ? S3Code::kInternalError : result.error().code; }

TEST(S3Range, one_range_is_cut_to_the_object) {
  EXPECT_EQ(*parse_range("bytes=0-4", 10), (ByteRange{0, 5}));
  EXPECT_EQ(*parse_range("bytes=9-", 10), (ByteRange{9, 1}));
  EXPECT_EQ(*parse_range("bytes=5-99", 10), (ByteRange{5, 5}));
  EXPECT_EQ(*parse_range("bytes=-3", 10), (ByteRange{7, 3}));
  EXPECT_EQ(*parse_range("bytes=-99", 10), (ByteRange{0, 10}));
  EXPECT_EQ(*parse_range("bytes=0-18446744073709551615", 10), (ByteRange{0, 10}));
  EXPECT_EQ(*parse_range("bytes=0-99999999999999999999999", 10), (ByteRange{0, 10}));
}

TEST(S3Range, what_is_no_single_byte_range_means_the_whole_object) {
  for (const auto* text :
       {"bytes=0-1,3-4", "bytes=4-2", "bytes=a-b", "bytes=-", "bytes=", "items=0-1", "bytes 0-1"}) {
    const auto range = parse_range(text, 10);
    ASSERT_TRUE(range) << text;
    EXPECT_FALSE(range->has_value()) << text;
  }
  EXPECT_FALSE(parse_range(std::nullopt, 10)->has_value());
}

TEST(S3Range, a_range_beyond_the_object_is_unsatisfiable) {
  for (const auto* text : {"bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-"}) {
    EXPECT_EQ(code_of(parse_range(text, 10)), S3Code::kInvalidRange) << text;
  }
  EXPECT_EQ(code_of(parse_range("bytes=0-", 0)), S3Code::kInvalidRange);
  EXPECT_EQ(parse_range("bytes=10-", 10).error().fields[1].second, "10");
}

TEST(S3Conditions, an_etag_decides_before_a_date) {
  const std::string before = codec::http_date(kModified - 1h);
  EXPECT_TRUE(judge_read(Fields{{"If-Match", "\"e\""}, {"If-Unmodified-Since", before}}, "e", kModified));
  EXPECT_EQ(*judge_read(Fields{{"If-None-Match", "\"other\""},
                               {"If-Modified-Since", codec::http_date(kModified + 1h)}},
                        "e", kModified),
            ReadVerdict::kSend);
  EXPECT_EQ(*judge_read(Fields{{"If-None-Match", "e"}, {"If-Modified-Since", before}}, "e", kModified),
            ReadVerdict::kNotModified);
}

TEST(S3Conditions, etags_come_quoted_bare_weak_or_as_a_list) {
  for (const auto* tags : {"\"e\"", "e", "W/\"e\"", "\"x\", \"e\"", "*"}) {
    EXPECT_TRUE(judge_read(Fields{{"If-Match", tags}}, "e", kModified)) << tags;
  }
  EXPECT_EQ(code_of(judge_read(Fields{{"If-Match", "\"x\""}}, "e", kModified)), S3Code::kPreconditionFailed);
}

TEST(S3Conditions, dates_compare_in_whole_seconds) {
  const std::string same = codec::http_date(kModified);
  EXPECT_EQ(*judge_read(Fields{{"If-Modified-Since", same}}, "e", kModified), ReadVerdict::kNotModified);
  EXPECT_TRUE(judge_read(Fields{{"If-Unmodified-Since", same}}, "e", kModified));
  EXPECT_FALSE(judge_read(Fields{{"If-Unmodified-Since", codec::http_date(kModified - 1s)}}, "e", kModified));
  EXPECT_EQ(*judge_read(Fields{{"If-Modified-Since", "yesterday"}}, "e", kModified), ReadVerdict::kSend);
}

TEST(S3Conditions, if_range_wants_the_same_object) {
  EXPECT_TRUE(range_applies({}, "e", kModified));
  EXPECT_TRUE(range_applies(Fields{{"If-Range", "\"e\""}}, "e", kModified));
  EXPECT_FALSE(range_applies(Fields{{"If-Range", "\"x\""}}, "e", kModified));
  EXPECT_FALSE(range_applies(Fields{{"If-Range", "W/\"e\""}}, "e", kModified));
  EXPECT_TRUE(range_applies(Fields{{"If-Range", codec::http_date(kModified)}}, "e", kModified));
}

TEST(S3WriteConditions, only_what_s3_knows_is_taken) {
  EXPECT_TRUE(parse_write_condition(Fields{{"If-None-Match", "*"}})->if_none_match_any);
  EXPECT_EQ(parse_write_condition(Fields{{"If-Match", "\"abc\""}})->if_match, "abc");
  EXPECT_EQ(parse_write_condition(Fields{{"If-Match", "*"}})->if_match, "*");
  EXPECT_EQ(code_of(parse_write_condition(Fields{{"If-None-Match", "\"abc\""}})), S3Code::kNotImplemented);
  EXPECT_EQ(code_of(parse_write_condition(Fields{{"If-Match", "a, b"}})), S3Code::kNotImplemented);
  EXPECT_EQ(code_of(parse_write_condition(Fields{{"If-Match", "a"}, {"If-None-Match", "*"}})),
            S3Code::kNotImplemented);
  EXPECT_EQ(code_of(parse_write_condition(Fields{{"If-Unmodified-Since", "x"}})), S3Code::kNotImplemented);
}

TEST(S3Unsupported, a_wish_is_refused_and_named) {
  for (const HeaderField field : Fields{{"x-amz-server-side-encryption", "AES256"},
                                        {"X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256"},
                                        {"x-amz-storage-class", "GLACIER"},
                                        {"x-amz-acl", "public-read"},
                                        {"x-amz-grant-read", "id=1"},
                                        {"x-amz-tagging-directive", "COPY"},
                                        {"x-amz-object-lock-mode", "COMPLIANCE"},
                                        {"x-amz-website-redirect-location", "/x"},
                                        {"x-amz-write-offset-bytes", "0"},
                                        {"x-amz-checksum-crc99", "x"},
                                        {"x-amz-not-invented-yet", "1"}}) {
    const auto refused = refuse_unsupported(S3Op::kPutObject, Fields{field});
    EXPECT_EQ(code_of(refused), S3Code::kNotImplemented) << field.name;
  }
}

TEST(S3Unsupported, what_is_honoured_or_harmless_passes) {
  EXPECT_TRUE(refuse_unsupported(S3Op::kPutObject, Fields{{"x-amz-acl", "private"},
                                                          {"x-amz-acl", "bucket-owner-full-control"},
                                                          {"x-amz-storage-class", "STANDARD"},
                                                          {"x-amz-meta-a_b.c", "1"},
                                                          {"x-amz-user-agent", "sdk"},
                                                          {"amz-sdk-invocation-id", "1"},
                                                          {"Content-Type", "a/b"}}));
  EXPECT_TRUE(refuse_unsupported(S3Op::kGetObject, Fields{{"x-amz-cf-id", "1"}}));
  EXPECT_FALSE(
      refuse_unsupported(S3Op::kGetObject, Fields{{"x-amz-server-side-encryption-customer-key", "1"}}));
}

TEST(S3ObjectHeaders, metadata_and_standard_headers_are_kept) {
  const auto out = parse_object_headers(Fields{{"Content-Type", "text/plain"},
                                               {"Cache-Control", "no-store"},
                                               {"Content-Encoding", "gzip,aws-chunked"},
                                               {"X-Amz-Meta-Foo_Bar.Baz", " v "},
                                               {"x-amz-meta-two", "a"},
                                               {"x-amz-meta-two", "b"}});
  ASSERT_TRUE(out);
  EXPECT_EQ(out->content_type, "text/plain");
  EXPECT_EQ(out->headers.at("content-encoding"), "gzip");
  EXPECT_EQ(out->headers.at("cache-control"), "no-store");
  EXPECT_EQ(out->metadata.at("foo_bar.baz"), "v");
  EXPECT_EQ(out->metadata.at("two"), "a,b");
}

TEST(S3ObjectHeaders, aws_chunked_alone_leaves_no_encoding) {
  const auto out = parse_object_headers(Fields{{"Content-Encoding", "aws-chunked"}});
  ASSERT_TRUE(out);
  EXPECT_TRUE(out->headers.empty());
  EXPECT_EQ(out->content_type, "binary/octet-stream");
}

TEST(S3ObjectHeaders, metadata_ends_at_two_kibibytes) {
  const std::string fits(2046, 'v');
  EXPECT_TRUE(parse_object_headers(Fields{{"x-amz-meta-ab", fits}}));
  EXPECT_EQ(code_of(parse_object_headers(Fields{{"x-amz-meta-abc", fits}})), S3Code::kMetadataTooLarge);
}

TEST(S3ObjectHeaders, control_characters_are_refused) {
  EXPECT_EQ(code_of(parse_object_headers(Fields{{"x-amz-meta-a", "x\ry"}})), S3Code::kInvalidArgument);
}

TEST(S3BodyChecks, digests_are_checked_where_they_become_values) {
  EXPECT_EQ(parse_body_checks(Fields{{"Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="}})->md5->size(), 16U);
  EXPECT_EQ(code_of(parse_body_checks(Fields{{"Content-MD5", "short"}})), S3Code::kInvalidDigest);
  EXPECT_EQ(code_of(parse_body_checks(Fields{{"Content-MD5", ""}})), S3Code::kInvalidDigest);
  const auto crc = parse_body_checks(Fields{{"x-amz-checksum-crc32", "AAAAAA=="}});
  EXPECT_EQ(crc->algorithm, codec::ChecksumAlgorithm::kCrc32);
  EXPECT_EQ(crc->checksum, "AAAAAA==");
  EXPECT_EQ(code_of(parse_body_checks(Fields{{"x-amz-checksum-crc32", "AAAA"}})), S3Code::kInvalidRequest);
  EXPECT_EQ(code_of(parse_body_checks(Fields{{"x-amz-checksum-crc32", ""}})), S3Code::kInvalidRequest);
}

TEST(S3BodyChecks, one_checksum_at_a_time) {
  EXPECT_EQ(code_of(parse_body_checks(
                Fields{{"x-amz-checksum-crc32", "AAAAAA=="}, {"x-amz-checksum-crc32c", "AAAAAA=="}})),
            S3Code::kInvalidRequest);
  EXPECT_EQ(code_of(parse_body_checks(
                Fields{{"x-amz-sdk-checksum-algorithm", "SHA1"}, {"x-amz-checksum-crc32", "AAAAAA=="}})),
            S3Code::kInvalidRequest);
  EXPECT_EQ(code_of(parse_body_checks(Fields{{"x-amz-sdk-checksum-algorithm", "SHA1"}})),
            S3Code::kInvalidRequest);
}

TEST(S3BodyChecks, an_announced_trailer_names_the_checksum) {
  const auto out = parse_body_checks(Fields{{"x-amz-trailer", "x-amz-checksum-crc64nvme"}});
  ASSERT_TRUE(out);
  EXPECT_EQ(out->algorithm, codec::ChecksumAlgorithm::kCrc64Nvme);
  EXPECT_TRUE(out->checksum.empty());
  EXPECT_EQ(out->trailers, std::vector<Bytes>{"x-amz-checksum-crc64nvme"});
  EXPECT_EQ(code_of(parse_body_checks(Fields{{"x-amz-trailer", "x-amz-meta-a"}})), S3Code::kInvalidRequest);
}

TEST(S3Headers, query_parameters_of_presigning_clients_count_as_headers) {
  const auto query = codec::parse_query("X-Amz-Acl=public-read&X-Amz-Date=1&X-Amz-Signature=2&prefix=a");
  const auto all = effective_headers({}, *query);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(code_of(refuse_unsupported(S3Op::kPutObject, all)), S3Code::kNotImplemented);
}

TEST(S3Headers, response_overrides_cannot_inject_headers) {
  const auto good = codec::parse_query("response-content-type=text%2Fplain&prefix=x");
  EXPECT_EQ(response_overrides(*good)->at(0), (std::pair<Bytes, Bytes>("content-type", "text/plain")));
  const auto bad = codec::parse_query("response-content-type=a%0d%0aSet-Cookie:x");
  EXPECT_EQ(code_of(response_overrides(*bad)), S3Code::kInvalidArgument);
}

TEST(S3Headers, a_length_is_a_plain_number) {
  EXPECT_EQ(*parse_length("x", "17"), 17U);
  for (const auto* bad : {"", "-1", "+1", "0x1", "1 "}) EXPECT_FALSE(parse_length("x", bad)) << bad;
}

}  // namespace
}  // namespace hr::wire
