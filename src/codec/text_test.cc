#include "codec/base64.h"
#include "codec/header_field.h"
#include "codec/uri.h"
#include "codec/utf8.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <string>

namespace hr::codec {
namespace {

RC_GTEST_PROP(Base64, what_is_encoded_comes_back, (const std::string& bytes)) {
  RC_ASSERT((base64_decode(base64_encode(bytes)) == bytes));
  RC_ASSERT((from_hex(to_hex(bytes)) == bytes));
}

RC_GTEST_PROP(Base64, every_text_that_is_read_is_the_one_that_would_be_written, ()) {
  const auto text = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("AQgw+/=z")));
  const auto bytes = base64_decode(text);
  if (bytes) RC_ASSERT(base64_encode(*bytes) == text);
}

TEST(Base64, known_answers) {  // RFC 4648, section 10
  EXPECT_EQ(base64_encode("f"), "Zg==");
  EXPECT_EQ(base64_encode("fo"), "Zm8=");
  EXPECT_EQ(base64_encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64_decode("Zm8="), "fo");
}

TEST(Base64, sloppy_texts_are_refused) {
  for (const char* text :
       {"Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm9v\n", "Zm 9", "Zm9-"}) {
    EXPECT_EQ(base64_decode(text).error().code, Errc::kInvalid) << text;
  }
  EXPECT_FALSE(from_hex("abc"));
  EXPECT_FALSE(from_hex("0g"));
  EXPECT_EQ(from_hex("FFa0"), "\xff\xa0");
}

TEST(Uri, encoding_keeps_only_unreserved_characters) {
  EXPECT_EQ(percent_encode("AZaz09-._~"), "AZaz09-._~");
  EXPECT_EQ(percent_encode("a b/+\xC3\xA9"), "a%20b%2F%2B%C3%A9");
  EXPECT_EQ(percent_encode("a b/c", Slash::kKeep), "a%20b/c");
}

RC_GTEST_PROP(Uri, what_is_encoded_comes_back, (const std::string& bytes)) {
  RC_ASSERT((percent_decode(percent_encode(bytes)) == bytes));
  RC_ASSERT((percent_decode(percent_encode(bytes, Slash::kKeep)) == bytes));
}

TEST(Uri, bad_escapes_are_errors) {
  for (const char* text : {"%", "a%", "%4", "%zz", "%4g", "%-1", "ab%2"}) {
    EXPECT_EQ(percent_decode(text).error().code, Errc::kInvalid) << text;
  }
  EXPECT_EQ(percent_decode("%41%2f%2F"), "A//");
  EXPECT_EQ(percent_decode("%00"), ByteView("\0", 1));
}

TEST(Uri, a_query_keeps_plus_and_a_form_makes_it_a_space) {
  EXPECT_EQ(parse_query("a=b+c&d"), (Pairs{{"a", "b+c"}, {"d", ""}}));
  EXPECT_EQ(parse_form("a=b+c%2B&a=%3D="), (Pairs{{"a", "b c+"}, {"a", "=="}}));
  EXPECT_EQ(parse_query("&&a=1&"), (Pairs{{"a", "1"}}));
  EXPECT_EQ(parse_query("=v"), (Pairs{{"", "v"}}));
  EXPECT_EQ(parse_query(""), Pairs{});
  EXPECT_FALSE(parse_query("a=%"));
  EXPECT_FALSE(parse_query("%a=1"));
}

TEST(Uri, pair_limits_hold_at_their_edge) {
  EXPECT_TRUE(parse_query("a&b&c", {.bytes_max = 5, .pairs_max = 3}));
  EXPECT_EQ(parse_query("a&b&c", {.bytes_max = 5, .pairs_max = 2}).error().code, Errc::kLimit);
  EXPECT_EQ(parse_query("a&b&c", {.bytes_max = 4, .pairs_max = 3}).error().code, Errc::kLimit);
}

RC_GTEST_PROP(Uri, pairs_come_back_from_a_query_and_from_a_form, (const Pairs& pairs)) {
  Pairs named;
  for (const auto& pair : pairs) named.emplace_back("n" + pair.first, pair.second);
  const PairLimits limits{.bytes_max = 1 << 20, .pairs_max = 1000};
  RC_ASSERT((parse_query(write_pairs(named), limits) == named));
  RC_ASSERT((parse_form(write_pairs(named), limits) == named));
}

TEST(Uri, find_returns_the_first_value) {
  const Pairs pairs{{"a", "1"}, {"a", "2"}};
  ASSERT_NE(find(pairs, "a"), nullptr);
  EXPECT_EQ(*find(pairs, "a"), "1");
  EXPECT_EQ(find(pairs, "A"), nullptr);
}

TEST(Uri, a_target_splits_at_the_first_question_mark) {
  EXPECT_EQ(split_target("/a/b?c?d")->path, "/a/b");
  EXPECT_EQ(split_target("/a/b?c?d")->query, "c?d");
  EXPECT_EQ(split_target("/")->path, "/");
  EXPECT_EQ(split_target("/?")->query, "");
  EXPECT_FALSE(split_target(""));
  EXPECT_FALSE(split_target("http://h/"));
  EXPECT_FALSE(split_target("/a#b"));
}

TEST(Utf8, the_shortest_form_only) {
  for (const ByteView good : {"", "a", "\xC2\x80", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
                              "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(valid_utf8(good));
    EXPECT_EQ(valid_utf8_prefix(good), good.size());
  }
  for (const ByteView bad : {"\x80", "\xC1\xBF", "\xC2", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
                             "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    EXPECT_FALSE(valid_utf8(bad));
    EXPECT_EQ(valid_utf8_prefix(bad), 0u);
  }
  EXPECT_EQ(valid_utf8_prefix("ab\xC3\xA9\xE2\x82"), 4u);
}

RC_GTEST_PROP(Utf8, repair_makes_any_bytes_valid_and_leaves_valid_text_alone, (const std::string& bytes)) {
  RC_ASSERT(valid_utf8(repaired_utf8(bytes)));
  RC_ASSERT(valid_utf8(bytes) == (valid_utf8_prefix(bytes) == bytes.size()));
  if (valid_utf8(bytes)) RC_ASSERT(repaired_utf8(bytes) == bytes);
}

TEST(Utf8, each_bad_byte_becomes_one_replacement) {
  EXPECT_EQ(repaired_utf8("a\xFFz\xE2\x82"), "a\uFFFDz\uFFFD\uFFFD");
}

TEST(HeaderField, names_compare_without_case) {
  const HeaderField fields[] = {{"Host", "a"}, {"X-Amz-Date", "b"}, {"x-amz-date", "c"}};
  EXPECT_EQ(*find_header(fields, "x-amz-date"), "b");
  EXPECT_EQ(find_header(fields, "x-amz"), nullptr);
  EXPECT_EQ(lower_case("X-AmZ-\xC3\x84"), "x-amz-\xC3\x84");
}

}  // namespace
}  // namespace hr::codec
