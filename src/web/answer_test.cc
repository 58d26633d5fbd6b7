#include "web/answer.h"

#include <gtest/gtest.h>

#include <vector>

namespace hr::web {
namespace {

using codec::HeaderField;

struct Sent {
  std::string text;
  bool reusable = false;
  std::uint64_t missing = 0, excess = 0;
};

struct Said {
  AnswerTo to;
  std::string_view status = "200 OK";
  std::vector<HeaderField> headers;
  std::vector<std::string_view> pieces;  // then the end, alone
  bool whole = false;                    // one piece, which is the last
};

Sent sent(const Said& said) {
  Answer answer(said.to);
  EXPECT_TRUE(answer.start(said.status, said.headers, "D"));
  Sent out;
  const auto add = [&](std::string_view data, bool last) {
    const auto piece = answer.next(data.size(), last, false);
    out.text.append(piece.before).append(data.substr(0, piece.bytes)).append(piece.after);
  };
  for (const std::string_view data : said.pieces) add(data, said.whole);
  if (!answer.ended()) add("", true);
  out.reusable = answer.reusable();
  out.missing = answer.missing();
  out.excess = answer.excess();
  return out;
}

constexpr std::string_view kServer = "Date: D\r\nServer: headrace\r\n";

TEST(Answer, a_whole_body_gets_its_length) {
  const Sent out = sent({.to = {}, .headers = {{"X-A", "1"}}, .pieces = {"hello"}, .whole = true});
  EXPECT_EQ(out.text,
            "HTTP/1.1 200 OK\r\nX-A: 1\r\n" + std::string(kServer) + "Content-Length: 5\r\n\r\nhello");
  EXPECT_TRUE(out.reusable);
}

TEST(Answer, pieces_of_unknown_number_are_chunks) {
  const Sent out = sent({.to = {}, .headers = {}, .pieces = {"hello", "0123456789abcdef"}});
  EXPECT_TRUE(out.text.ends_with(
      "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"));
  EXPECT_TRUE(out.reusable);
}

TEST(Answer, http_1_0_gets_no_chunks_and_the_end_of_the_connection) {
  const Sent out = sent({.to = {.http_1_0 = true}, .headers = {}, .pieces = {"a", "b"}});
  EXPECT_TRUE(out.text.ends_with("Connection: close\r\n\r\nab"));
  EXPECT_FALSE(out.text.contains("chunked"));
  EXPECT_FALSE(out.reusable);
  const Sent kept = sent({.to = {.http_1_0 = true}, .headers = {}, .pieces = {"a"}, .whole = true});
  EXPECT_TRUE(kept.text.ends_with("Content-Length: 1\r\nConnection: keep-alive\r\n\r\na"));
  EXPECT_TRUE(kept.reusable);
}

TEST(Answer, no_more_is_sent_than_the_length_says) {
  const Sent out = sent({.to = {}, .headers = {{"content-length", "3"}}, .pieces = {"ab", "cdef", "g"}});
  EXPECT_TRUE(out.text.ends_with("Content-Length: 3\r\n\r\nabc"));
  EXPECT_EQ(out.excess, 4U);
  EXPECT_TRUE(out.reusable);
}

TEST(Answer, less_than_the_length_says_ends_the_connection) {
  const Sent out = sent({.to = {}, .headers = {{"Content-Length", "3"}}, .pieces = {"ab"}});
  EXPECT_EQ(out.missing, 1U);
  EXPECT_FALSE(out.reusable);
}

TEST(Answer, head_204_and_304_have_no_body) {
  const Sent head = sent({.to = {.head = true}, .headers = {{"Content-Length", "7"}}, .pieces = {}});
  EXPECT_TRUE(head.text.ends_with("Content-Length: 7\r\n\r\n"));
  EXPECT_TRUE(head.reusable);
  const Sent body = sent({.to = {.head = true}, .headers = {}, .pieces = {"hello"}, .whole = true});
  EXPECT_TRUE(body.text.ends_with("Content-Length: 5\r\n\r\n"));
  const Sent nothing =
      sent({.to = {}, .status = "204 No Content", .headers = {{"Content-Length", "1"}}, .pieces = {"x"}});
  EXPECT_TRUE(nothing.text.ends_with(std::string(kServer) + "\r\n"));
  const Sent same =
      sent({.to = {}, .status = "304 Not Modified", .headers = {}, .pieces = {"x"}, .whole = true});
  EXPECT_TRUE(same.text.ends_with(std::string(kServer) + "\r\n"));
  EXPECT_TRUE(same.reusable);
}

TEST(Answer, an_empty_answer_has_the_length_0) {
  EXPECT_TRUE(sent({.to = {}, .headers = {}, .pieces = {}}).text.ends_with("Content-Length: 0\r\n\r\n"));
}

TEST(Answer, headers_between_hops_are_the_servers) {
  const Sent out = sent({.to = {},
                         .headers = {{"Transfer-Encoding", "chunked"}, {"Keep-Alive", "x"}, {"Upgrade", "y"}},
                         .pieces = {"a"},
                         .whole = true});
  EXPECT_TRUE(out.text.ends_with(std::string(kServer) + "Content-Length: 1\r\n\r\na"));
  const Sent close = sent({.to = {}, .headers = {{"Connection", "close"}}, .pieces = {"a"}, .whole = true});
  EXPECT_TRUE(close.text.contains("Connection: close\r\n"));
  EXPECT_FALSE(close.reusable);
}

TEST(Answer, the_applications_date_and_server_stand) {
  const Sent out = sent({.to = {}, .headers = {{"date", "then"}, {"SERVER", "mine"}}, .pieces = {}});
  EXPECT_EQ(out.text, "HTTP/1.1 200 OK\r\ndate: then\r\nSERVER: mine\r\nContent-Length: 0\r\n\r\n");
}

TEST(Answer, what_could_split_it_is_refused) {
  Answer answer({});
  for (const HeaderField& bad : std::vector<HeaderField>{{"X", "a\r\nSet-Cookie: b"},
                                                         {"X\r\nY", "a"},
                                                         {"X Y", "a"},
                                                         {"", "a"},
                                                         {"X", std::string_view("a\0b", 3)},
                                                         {"X", "a\nb"}}) {
    EXPECT_FALSE(answer.start("200 OK", {&bad, 1}, "D")) << bad.name;
  }
  for (const char* status :
       {"200", "OK", "200 OK\r\nX: y", "99 No", "100 Continue", "600 No", "2x0 No", ""}) {
    EXPECT_FALSE(answer.start(status, {}, "D")) << status;
  }
  EXPECT_FALSE(answer.started());
  EXPECT_TRUE(answer.start("599 ", {}, "D"));
}

TEST(Answer, a_length_that_is_none_is_refused) {
  Answer answer({});
  for (const char* length : {"", "+3", "-1", "3, 3", "0x3", "1234567890123456789"}) {
    const HeaderField bad{"Content-Length", length};
    EXPECT_FALSE(answer.start("200 OK", {&bad, 1}, "D")) << length;
  }
  const std::vector<HeaderField> two{{"Content-Length", "3"}, {"Content-Length", "4"}};
  EXPECT_FALSE(answer.start("200 OK", two, "D"));
}

TEST(Answer, it_may_start_again_until_a_byte_is_sent) {
  Answer answer({});
  const HeaderField length{"Content-Length", "99"};
  EXPECT_TRUE(answer.start("200 OK", {&length, 1}, "D"));
  EXPECT_TRUE(answer.start("500 Oh", {}, "D"));
  EXPECT_EQ(answer.status(), 500);
  EXPECT_TRUE(answer.next(2, true, false).before.contains("Content-Length: 2\r\n"));
  EXPECT_FALSE(answer.start("200 OK", {}, "D"));
}

}  // namespace
}  // namespace hr::web
