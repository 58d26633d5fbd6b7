#include "codec/xml.h"

#include "codec/utf8.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <string>

namespace hr::codec {
namespace {

Bytes nested(int depth) {
  Bytes out;
  for (int i = 0; i < depth; ++i) out += "<a>";
  for (int i = 0; i < depth; ++i) out += "</a>";
  return out;
}

TEST(Xml, a_document_becomes_a_tree_of_local_names) {
  const auto root = parse_xml(
      "<?xml version='1.0' encoding='UTF-8'?>\n"
      "<s3:Delete xmlns:s3='http://s3.amazonaws.com/doc/2006-03-01/' xmlns='x' xsi:type='T'>"
      "<Object><Key>a&amp;b&#x20;&lt;\xC3\xA9</Key></Object><Object/><!-- no "
      "--><Quiet>true</Quiet></s3:Delete>");
  ASSERT_TRUE(root) << root.error().message;
  EXPECT_EQ(root->name, "Delete");
  EXPECT_EQ(root->attributes, (std::vector<std::pair<Bytes, Bytes>>{{"type", "T"}}));
  ASSERT_EQ(root->children.size(), 3u);
  EXPECT_EQ(*root->child("Object")->child_text("Key"), "a&b <\xC3\xA9");
  EXPECT_EQ(*root->child_text("Quiet"), "true");
  EXPECT_EQ(root->child("Nothing"), nullptr);
  EXPECT_EQ(root->child_text("Nothing"), nullptr);
}

TEST(Xml, text_around_children_is_joined_and_cdata_is_text) {
  EXPECT_EQ(parse_xml("<a>x<b>in</b>y<![CDATA[<z>]]></a>")->text, "xy<z>");
}

TEST(Xml, document_types_and_entities_are_refused) {
  for (const char* text : {
           "<!DOCTYPE a><a/>",
           "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
           "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
           "<!DOCTYPE a [<!ENTITY % p SYSTEM 'http://h/'> %p;]><a/>",
           "<a>&x;</a>",
       }) {
    const auto refused = parse_xml(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, Errc::kInvalid);
  }
  EXPECT_EQ(parse_xml("<!DOCTYPE a><a/>").error().message,
            "not acceptable XML at line 1, column 11: a document type is not accepted");
}

TEST(Xml, what_is_not_xml_is_refused_with_its_place) {
  for (const char* text :
       {"", " ", "a", "<a>", "<a></b>", "<a/><b/>", "<a/>x", "<a b=c/>", "<a b='1' b='2'/>", "<a>&#0;</a>",
        "<a>&#x1;</a>", "<a>\x01</a>", "<a>\xFF</a>", "<a>\xEF\xBF\xBF</a>", "</a>", "<a"}) {
    const auto refused = parse_xml(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, Errc::kInvalid) << text;
  }
  EXPECT_TRUE(parse_xml("<a>\n<b></a>").error().message.starts_with("not acceptable XML at line 2, column "));
}

TEST(Xml, only_utf8_is_read_whatever_the_document_says) {
  EXPECT_EQ(parse_xml("<?xml version='1.0' encoding='ISO-8859-1'?><a>\xC3\xA9</a>")->text, "\xC3\xA9");
  EXPECT_FALSE(parse_xml("<?xml version='1.0' encoding='ISO-8859-1'?><a>\xE9</a>"));
  EXPECT_FALSE(parse_xml(ByteView("\xFF\xFE<\0a\0/\0>\0", 10)));
  EXPECT_FALSE(parse_xml(ByteView("<\0a\0/\0>\0", 8)));
  EXPECT_TRUE(parse_xml("\xEF\xBB\xBF<a/>"));
}

TEST(Xml, limits_hold_at_their_edge) {
  EXPECT_TRUE(parse_xml(nested(32)));
  EXPECT_EQ(parse_xml(nested(33)).error().code, Errc::kLimit);
  EXPECT_TRUE(parse_xml("<a b='1'><c/></a>", {.nodes_max = 3}));
  EXPECT_EQ(parse_xml("<a b='1'><c/></a>", {.nodes_max = 2}).error().code, Errc::kLimit);
  EXPECT_EQ(parse_xml("<a b='1' c='2'/>", {.nodes_max = 2}).error().code, Errc::kLimit);
  EXPECT_EQ(parse_xml("<a/>", {.depth_max = 0}).error().code, Errc::kLimit);
  EXPECT_EQ(parse_xml("<a><b/>text</a>", {.depth_max = 1}).error().code, Errc::kLimit);
  EXPECT_TRUE(parse_xml("<a/>", {.bytes_max = 4}));
  EXPECT_EQ(parse_xml("<a/> ", {.bytes_max = 4}).error().code, Errc::kLimit);
}

TEST(XmlWriter, elements_nest_and_text_is_escaped) {
  Bytes out;
  XmlWriter xml(out);
  xml.declaration().open("R", {{"xmlns", "u&\"\n"}}).element("K", "a<b>&\"'\r\n\t\x7F").element("N", 5);
  xml.element("T", true).open("E").close().close();
  EXPECT_EQ(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<R xmlns=\"u&amp;&quot;&#xA;\"><K>a&lt;b&gt;&amp;&quot;'&#xD;\n\t&#x7F;</K><N>5</N>"
            "<T>true</T><E></E></R>");
}

TEST(XmlWriter, each_byte_that_needs_it_is_escaped_wherever_it_stands) {
  for (unsigned byte = 0; byte < 0x80; ++byte) {
    const char c = static_cast<char>(byte);
    const bool stands = byte >= 0x20 && byte < 0x7F && ByteView("&<>\"").find(c) == ByteView::npos;
    const bool kept = stands || c == '\n' || c == '\t';
    for (const std::size_t place : {0U, 1U, 17U, 62U, 63U}) {
      Bytes text(64, 'a');
      text[place] = c;
      Bytes out;
      XmlWriter(out).text(text);
      EXPECT_EQ(out == text, kept) << byte << " at " << place;
      EXPECT_EQ(out.substr(0, place), Bytes(place, 'a'));
      EXPECT_TRUE(out.ends_with(Bytes(63 - place, 'a')));
    }
  }
}

TEST(XmlWriter, what_is_raw_stays_as_it_is) {
  Bytes out;
  XmlWriter(out).open("a").raw("<b>&amp;</b>").text("&").close();
  EXPECT_EQ(out, "<a><b>&amp;</b>&amp;</a>");
}

TEST(XmlWriter, what_xml_cannot_carry_is_written_as_s3_writes_it) {
  Bytes out;
  XmlWriter(out).element("K", ByteView("\x01\xFF", 2));
  EXPECT_EQ(out, "<K>&#x1;\uFFFD</K>");
}

RC_GTEST_PROP(Xml, any_text_that_xml_can_carry_comes_back, (const std::string& bytes)) {
  const Bytes text = repaired_utf8(bytes);
  RC_PRE(valid_xml_chars(text));
  Bytes out;
  XmlWriter(out).open("a", {{"k", text}}).text(text).close();
  const auto back = parse_xml(out);
  RC_ASSERT(back.has_value());
  RC_ASSERT(back->text == text);
  RC_ASSERT(back->attributes.front().second == text);
}

TEST(Xml, the_sqs_character_rule_holds_at_its_edges) {
  for (const char* good : {"", "\t\n\r ", "\x7F", "\u0080", "\uD7FF", "\uE000", "\uFFFD", "\U00010000",
                           "\U0010FFFF", "\uEFFF", "\uFFBE"}) {
    EXPECT_TRUE(valid_xml_chars(good)) << good;
  }
  EXPECT_FALSE(valid_xml_chars(ByteView("\0", 1)));
  for (const char* bad :
       {"\x08", "\x0B", "\x0C", "\x1F", "a\uFFFE", "\uFFFFz", "\xED\xA0\x80", "\xFF", "\xC2"}) {
    EXPECT_FALSE(valid_xml_chars(bad)) << bad;
  }
}

}  // namespace
}  // namespace hr::codec
