// Flat JSON: what is taken, what is not, and that the big parser agrees about what is JSON.
#include "codec/flat_json.h"

#include "codec/json.h"

#include <gtest/gtest.h>

#include <string>

namespace hr::codec {
namespace {

TEST(FlatJson, has_texts_decoded_and_numbers_as_they_are_written) {
  const auto read = parse_flat_json(
      R"( {"Version": 1, "A":"x\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00", "B":null, "C":true, "D":-1.5e3, )"
      R"("E":""} )");
  ASSERT_TRUE(read);
  EXPECT_EQ(*find(*read, "Version"), "1");
  EXPECT_EQ(*find(*read, "A"), "x\"\\/\b\f\n\r\té😀");
  EXPECT_EQ(find(*read, "B"), nullptr);
  EXPECT_EQ(*find(*read, "C"), "true");
  EXPECT_EQ(*find(*read, "D"), "-1.5e3");
  EXPECT_EQ(*find(*read, "E"), "");
}

TEST(FlatJson, passes_over_what_is_nested) {
  const auto read = parse_flat_json(R"({"a":{"k":"inner","l":[1,{"m":"]}"}]},"k":"outer","z":[]})");
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, (Pairs{{"k", "outer"}}));
}

TEST(FlatJson, what_is_no_object_is_refused_as_the_big_parser_refuses_it) {
  for (const char* text : {"",
                           "{",
                           "}",
                           "[]",
                           "\"a\"",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{\"a\":1}x",
                           "{\"a\":\"b}",
                           "{a:1}",
                           "{\"a\":\"\\x\"}",
                           "{\"a\":\"\\u12\"}",
                           "{\"a\":\"\\ud800\"}",
                           "{\"a\":\"\\udc00\"}",
                           "{\"a\":nul}",
                           "{\"a\":\"\n\"}",
                           "{\"a\":\"\xff\"}",
                           "{\"a\":1 \"b\":2}",
                           "{\"a\":[}",
                           "{\"a\":\"1\",\"a\":\"2\"}"}) {
    EXPECT_EQ(parse_flat_json(text).error().code, Errc::kInvalid) << text;
    const auto big = parse_json(text);
    EXPECT_TRUE(!big || !big->is_object()) << text;
  }
}

TEST(FlatJson, depth_and_length_have_an_end) {
  const auto nested = [](std::size_t depth) {
    return "{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_TRUE(parse_flat_json(nested(15)));
  EXPECT_EQ(parse_flat_json(nested(16)).error().code, Errc::kLimit);
  const auto sized = [](std::size_t size) { return "{\"a\":\"" + std::string(size - 8, 'x') + "\"}"; };
  EXPECT_TRUE(parse_flat_json(sized(kFlatJsonBytesMax)));
  EXPECT_EQ(parse_flat_json(sized(kFlatJsonBytesMax + 1)).error().code, Errc::kLimit);
}

}  // namespace
}  // namespace hr::codec
