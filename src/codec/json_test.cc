#include "codec/json.h"

#include "codec/utf8.h"

#include <gtest/gtest.h>

#include <limits>
#include <rapidcheck/gtest.h>
#include <string>

namespace hr::codec {
namespace {

Bytes nested(std::size_t depth) { return Bytes(depth, '[') + Bytes(depth, ']'); }

TEST(Json, a_document_becomes_a_tree_in_its_own_order) {
  const auto json = parse_json(R"({"b":[1,-2.5,"x",true,null],"a":{"":"\u00e9\ud83d\ude00"}})");
  ASSERT_TRUE(json) << json.error().message;
  const Json expected(Json::Object{{"b", Json::Array{1, -2.5, "x", true, nullptr}},
                                   {"a", Json::Object{{"", "\u00e9\U0001F600"}}}});
  EXPECT_EQ(*json, expected);
}

TEST(Json, accessors_answer_only_for_their_kind) {
  const Json json = *parse_json(R"({"i":7,"d":1.0,"s":"7","n":null,"t":true})");
  EXPECT_EQ(json.find("i")->as_int(), 7);
  EXPECT_EQ(json.find("i")->as_double(), 7.0);
  EXPECT_EQ(json.find("d")->as_int(), std::nullopt);
  EXPECT_EQ(*json.find("s")->as_string(), "7");
  EXPECT_EQ(json.find("s")->as_int(), std::nullopt);
  EXPECT_EQ(json.find("t")->as_bool(), true);
  EXPECT_EQ(json.find("i")->as_bool(), std::nullopt);
  EXPECT_TRUE(json.find("n")->is_null());
  EXPECT_EQ(json.find("missing"), nullptr);
  EXPECT_EQ(json.find("i")->find("x"), nullptr);
  EXPECT_TRUE(json.is_object());
}

TEST(Json, a_scalar_is_a_document) {
  EXPECT_EQ(*parse_json(" 12 ")->as_int(), 12);
  EXPECT_TRUE(parse_json("null")->is_null());
  EXPECT_EQ(*parse_json("\"a\"")->as_string(), "a");
}

TEST(Json, what_is_not_json_is_refused) {
  for (const char* text :
       {"",    " ",        "{",       "[1,]",      "{\"a\":1,}", "{a:1}",    "'a'",       "nul",
        "01",  "1.",       "+1",      ".5",        "NaN",        "Infinity", "1 2",       "{} x",
        "[]]", "\"\x01\"", "\"\\x\"", "\"\\u12\"", "\"a",        "// c\n1",  "{\"a\" 1}", "\xEF\xBB\xBF{}"}) {
    EXPECT_EQ(parse_json(text).error().code, Errc::kInvalid) << text;
  }
  EXPECT_FALSE(parse_json(ByteView("{}\0", 3)));
}

TEST(Json, duplicate_names_are_refused_in_small_and_large_objects) {
  EXPECT_EQ(parse_json(R"({"a":1,"b":2,"a":3})").error().message,
            "the JSON name \"a\" stands twice in one object");
  EXPECT_FALSE(parse_json(R"([{"x":{"a":1,"\u0061":3}}])"));
  EXPECT_TRUE(parse_json(R"({"a":{"a":1},"b":{"a":1}})"));
  Bytes many = "{";
  for (int i = 0; i < 100; ++i) many += "\"k" + std::to_string(i) + "\":0,";
  EXPECT_TRUE(parse_json(many + "\"k\":0}"));
  EXPECT_FALSE(parse_json(many + "\"k42\":0}"));
}

TEST(Json, lone_surrogates_are_refused_wherever_they_stand) {
  for (const char* text : {R"("\ud800")", R"("\udc00")", R"("\ud800\ud800")", R"("\ud800x")", R"("\udfffx")",
                           R"({"\udc00":1})", R"(["ok",{"a":"\udbff\u0041"}])"}) {
    EXPECT_EQ(parse_json(text).error().code, Errc::kInvalid) << text;
  }
  EXPECT_EQ(*parse_json(R"("\ud83d\ude00")")->as_string(), "\U0001F600");
}

TEST(Json, invalid_utf8_is_refused_with_its_place) {
  EXPECT_EQ(parse_json("[\"ab\xFF\"]").error().message, "JSON that is not UTF-8 at byte 4");
  EXPECT_FALSE(parse_json("\"\xED\xA0\x80\""));
}

TEST(Json, depth_and_length_limits_hold_at_their_edge) {
  EXPECT_TRUE(parse_json(nested(64)));
  EXPECT_EQ(parse_json(nested(65)).error().code, Errc::kLimit);
  EXPECT_EQ(parse_json(nested(100'000)).error().code, Errc::kLimit);
  EXPECT_TRUE(parse_json("1", {.depth_max = 0}));
  EXPECT_EQ(parse_json("{}", {.depth_max = 0}).error().code, Errc::kLimit);
  EXPECT_TRUE(parse_json("[10]", {.bytes_max = 4}));
  EXPECT_EQ(parse_json("[10] ", {.bytes_max = 4}).error().code, Errc::kLimit);
}

TEST(Json, integers_keep_64_bits) {
  EXPECT_EQ(parse_json("9223372036854775807")->as_int(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(parse_json("-9223372036854775808")->as_int(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(parse_json("9223372036854775808")->as_double(), 9223372036854775808.0);
  EXPECT_FALSE(parse_json("18446744073709551616"));
  EXPECT_FALSE(parse_json("1e400"));
}

TEST(Json, a_large_document_does_not_disturb_the_next) {
  const Bytes large = "[\"" + Bytes(500'000, 'x') + "\"]";
  EXPECT_EQ(parse_json(large)->as_array()->front().as_string()->size(), 500'000u);
  EXPECT_EQ(parse_json("[1]")->as_array()->size(), 1u);
}

TEST(JsonWriter, a_text_of_any_length_reads_back_as_it_was) {
  Bytes text;
  for (int i = 0; i < 300; ++i) {
    text += i % 3 == 0 ? '"' : static_cast<char>(i % 128);
    Bytes out;
    JsonWriter(out).begin_array().string(text).string("\u00e9" + text).end_array();
    EXPECT_EQ(*parse_json(out), Json(Json::Array{text, "\u00e9" + text})) << out;
  }
}

TEST(JsonWriter, commas_and_escapes_are_its_business) {
  Bytes out;
  JsonWriter json(out);
  json.begin_object().field("a", 1).field("b", "x\"\\\n\x01\x7F/").key("c").begin_array();
  json.integer(-5).boolean(false).null().begin_object().end_object().begin_array().end_array().number(0.5);
  json.end_array().field("d", true).end_object();
  EXPECT_EQ(out, "{\"a\":1,\"b\":\"x\\\"\\\\\\n\\u0001\x7F/\",\"c\":[-5,false,null,{},[],0.5],\"d\":true}");
}

TEST(JsonWriter, line_separators_stay_and_broken_text_is_repaired) {
  EXPECT_EQ(to_json("\u2028"), "\"\u2028\"");
  EXPECT_EQ(to_json("a\xFF"), "\"a\uFFFD\"");
  EXPECT_EQ(to_json(std::numeric_limits<double>::infinity()), "null");
}

TEST(JsonWriter, numbers_read_back_as_themselves) {
  for (const double v : {0.1, 1.0, -0.0, 1e300, 5e-324, 123456789012345680.0}) {
    EXPECT_EQ(parse_json(to_json(v))->as_double(), v) << to_json(v);
    EXPECT_FALSE(parse_json(to_json(v))->as_int()) << to_json(v);
  }
}

rc::Gen<Json> any_json(int depth) {
  auto scalar = rc::gen::oneOf(rc::gen::construct<Json>(rc::gen::arbitrary<std::int64_t>()),
                               rc::gen::construct<Json>(rc::gen::arbitrary<double>()),
                               rc::gen::map(rc::gen::arbitrary<bool>(), [](bool v) { return Json(v); }),
                               rc::gen::just(Json()),
                               rc::gen::map(rc::gen::arbitrary<std::string>(),
                                            [](const std::string& v) { return Json(repaired_utf8(v)); }));
  if (depth == 0) return scalar;
  auto children = rc::gen::resize(6, rc::gen::container<Json::Array>(any_json(depth - 1)));
  return rc::gen::oneOf(scalar, rc::gen::map(children, [](Json::Array v) { return Json(std::move(v)); }),
                        rc::gen::map(children, [](const Json::Array& v) {
                          Json::Object object;
                          for (const Json& child : v)
                            object.push_back({"k\n" + std::to_string(object.size()), child});
                          return Json(std::move(object));
                        }));
}

RC_GTEST_PROP(Json, any_tree_comes_back_from_its_text, ()) {
  const Json json = *any_json(3);
  const auto back = parse_json(to_json(json));
  RC_ASSERT(back.has_value());
  RC_ASSERT((*back == json));
}

}  // namespace
}  // namespace hr::codec
