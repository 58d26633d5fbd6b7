#include "codec/http_response.h"

#include <gtest/gtest.h>

#include <string>

namespace hr::codec {
namespace {

Result<Response> parsed(std::string_view bytes, Asked asked = Asked::kOther, ResponseLimits limits = {}) {
  ResponseParser parser(asked, limits);
  const auto used = parser.feed(bytes);
  if (!used) return std::unexpected(used.error());
  HR_TRY(parser.closed());
  return parser.take();
}

Errc error_of(std::string_view bytes, ResponseLimits limits = {}) {
  const auto response = parsed(bytes, Asked::kOther, limits);
  EXPECT_FALSE(response.has_value()) << bytes;
  return response ? Errc::kUnsupported : response.error().code;
}

std::string ok(std::string_view headers_and_body) {
  return "HTTP/1.1 200 OK\r\n" + std::string(headers_and_body);
}

TEST(ResponseParser, reads_status_headers_and_a_body_of_known_length) {
  ResponseParser parser;
  const std::string bytes = ok("Content-Length: 3\r\nX-Amz-Id:  a b \r\n\r\nabcHTTP/1.1 500 next");
  const auto used = parser.feed(bytes);
  ASSERT_TRUE(used.has_value());
  EXPECT_TRUE(parser.done());
  EXPECT_EQ(bytes.substr(*used), "HTTP/1.1 500 next");
  const Response response = parser.take();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "abc");
  EXPECT_TRUE(response.keep_alive);
  ASSERT_NE(response.header("x-amz-id"), nullptr);
  EXPECT_EQ(*response.header("x-amz-id"), "a b");
}

TEST(ResponseParser, gives_the_same_answer_however_the_bytes_arrive) {
  for (const std::string& bytes :
       {ok("Content-Length: 4\r\n\r\nbody"),
        ok("Transfer-Encoding: Chunked\r\n\r\n3;x=y\r\nbod\r\n1\r\ny\r\n0\r\nT: v\r\n\r\n"),
        "HTTP/1.1 100 Continue\r\n\r\n" + ok("content-length: 4\r\n\r\nbody")}) {
    ResponseParser parser;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      EXPECT_FALSE(parser.done());
      ASSERT_EQ(parser.feed(std::string_view(bytes).substr(i, 1)), std::size_t{1}) << bytes << " at " << i;
    }
    ASSERT_TRUE(parser.done()) << bytes;
    EXPECT_EQ(parser.take().body, "body");
  }
}

TEST(ResponseParser, takes_no_body_where_there_is_none) {
  const std::string head = ok("Content-Length: 12\r\n\r\n");
  EXPECT_EQ(parsed(head, Asked::kHead)->body, "");
  EXPECT_EQ(parsed("HTTP/1.1 204 No Content\r\n\r\n")->status, 204);
  EXPECT_EQ(parsed("HTTP/1.1 304\r\nContent-Length: 9\r\n\r\n")->status, 304);
  EXPECT_EQ(parsed(ok("Content-Length: 0\r\n\r\n"))->body, "");
}

TEST(ResponseParser, a_body_without_framing_ends_with_the_connection) {
  const auto response = parsed(ok("\r\nuntil the end"));
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->body, "until the end");
  EXPECT_FALSE(response->keep_alive);
}

TEST(ResponseParser, judges_persistence_by_version_and_connection) {
  const auto keeps = [](std::string_view version, std::string_view connection) {
    return parsed(std::string(version) +
                  " 200 OK\r\nContent-Length: 0\r\nConnection: " + std::string(connection) + "\r\n\r\n")
        ->keep_alive;
  };
  EXPECT_TRUE(keeps("HTTP/1.1", "x"));
  EXPECT_FALSE(keeps("HTTP/1.1", "x , Close"));
  EXPECT_FALSE(keeps("HTTP/1.0", "x"));
  EXPECT_TRUE(keeps("HTTP/1.0", "Keep-Alive"));
}

TEST(ResponseParser, an_answer_cut_short_is_closed_and_says_whether_it_began) {
  ResponseParser silent;
  EXPECT_EQ(silent.closed().error().code, Errc::kClosed);
  EXPECT_FALSE(silent.began());
  for (const char* cut : {"H", "HTTP/1.1 200 OK\r\nA: b\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na",
                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
                          "HTTP/1.1 100 Continue\r\n\r\n"}) {
    EXPECT_EQ(error_of(cut), Errc::kClosed) << cut;
  }
}

TEST(ResponseParser, refuses_what_two_readers_could_take_in_two_ways) {
  for (const char* bytes : {
           "HTTP/2 200\r\n\r\n",
           "HTTP/1.1 20 OK\r\n\r\n",
           "HTTP/1.1 999 OK\r\n\r\n",
           "HTTP/1.1 2000\r\n\r\n",
           "HTTP/1.1 101 Switching\r\n\r\n",
           "HTTP/1.1 200 OK\n\n",
           "HTTP/1.1 200 O\x01K\r\n\r\n",
           "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
           "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
           "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
           "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
           "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na",
           "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nbad trailer\r\n\r\n",
       }) {
    EXPECT_EQ(error_of(bytes), Errc::kInvalid) << bytes;
  }
}

TEST(ResponseParser, after_an_error_every_call_repeats_it) {
  ResponseParser parser;
  EXPECT_FALSE(parser.feed("nonsense\r\n").has_value());
  EXPECT_FALSE(parser.feed("HTTP/1.1 204 OK\r\n\r\n").has_value());
  EXPECT_FALSE(parser.closed().has_value());
  EXPECT_FALSE(parser.done());
}

TEST(ResponseParser, takes_limits_at_their_edge_and_refuses_one_more) {
  const ResponseLimits limits{
      .head_bytes_max = 64, .line_bytes_max = 40, .headers_max = 3, .body_bytes_max = 4};
  const auto line = [](std::size_t bytes) { return ok("A:" + std::string(bytes - 2, 'x') + "\r\n\r\n"); };
  EXPECT_TRUE(parsed(line(40), Asked::kHead, limits).has_value());
  EXPECT_EQ(error_of(line(41), limits), Errc::kLimit);
  EXPECT_TRUE(parsed(ok("a:\r\na:\r\na:\r\n\r\n"), Asked::kHead, limits).has_value());
  EXPECT_EQ(error_of(ok("a:\r\na:\r\na:\r\na:\r\n\r\n"), limits), Errc::kLimit);
  // 17 bytes of status line, 2 of the empty line.
  EXPECT_TRUE(parsed(ok("a:" + std::string(19, 'x') + "\r\nb:" + std::string(18, 'x') + "\r\n\r\n"),
                     Asked::kHead, limits)
                  .has_value());
  EXPECT_EQ(error_of(ok("a:" + std::string(19, 'x') + "\r\nb:" + std::string(19, 'x') + "\r\n\r\n"), limits),
            Errc::kLimit);
  EXPECT_EQ(parsed(ok("content-length: 4\r\n\r\nabcd"), Asked::kOther, limits)->body, "abcd");
  EXPECT_EQ(error_of(ok("content-length: 5\r\n\r\nabcde"), limits), Errc::kLimit);
  EXPECT_EQ(parsed(ok("\r\nabcd"), Asked::kOther, limits)->body, "abcd");
  EXPECT_EQ(error_of(ok("\r\nabcde"), limits), Errc::kLimit);
  const std::string chunked = "transfer-encoding: chunked\r\n\r\n";
  EXPECT_EQ(parsed(ok(chunked + "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"), Asked::kOther, limits)->body, "abcd");
  EXPECT_EQ(error_of(ok(chunked + "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"), limits), Errc::kLimit);
  EXPECT_EQ(error_of(ok(chunked + "fffffffffffffff\r\n"), limits), Errc::kLimit);
  EXPECT_EQ(error_of(ok(chunked + "1;" + std::string(99, 'x')), limits), Errc::kLimit);
}

TEST(ResponseParser, an_endless_head_of_interim_answers_is_refused) {
  std::string endless;
  for (int i = 0; i < 3'000; ++i) endless += "HTTP/1.1 103 Early Hints\r\n\r\n";
  EXPECT_EQ(error_of(endless), Errc::kLimit);
}

}  // namespace
}  // namespace hr::codec
