#include "net/http_parser.h"

#include <gtest/gtest.h>

#include <string>

namespace hr::net {
namespace {

HeadParser parser() { return HeadParser(HeadLimits{}); }

int refused_with(std::string_view bytes) {
  HeadParser p = parser();
  std::size_t scanned = 0;
  return p.parse(bytes, scanned) == HeadState::kRefused ? p.refusal().status : 0;
}

TEST(HeadParser, finds_method_target_host_and_fields) {
  HeadParser p = parser();
  std::size_t scanned = 0;
  const std::string_view bytes =
      "PUT /b/k?x=1 HTTP/1.1\r\nHost: a:1\r\nx-amz-meta-foo_bar:  v \t\r\n\r\nbody";
  ASSERT_EQ(p.parse(bytes, scanned), HeadState::kDone);
  EXPECT_EQ(p.head().method, "PUT");
  EXPECT_EQ(p.head().target, "/b/k?x=1");
  EXPECT_EQ(p.head().host, "a:1");
  ASSERT_EQ(p.head().fields.size(), 2);
  EXPECT_EQ(p.head().fields[1].name, "x-amz-meta-foo_bar");
  EXPECT_EQ(p.head().fields[1].value, "v");
  EXPECT_EQ(bytes.substr(p.head().bytes), "body");
}

TEST(HeadParser, gives_the_same_head_however_the_bytes_arrive) {
  const std::string bytes = "\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
  HeadParser p = parser();
  std::size_t scanned = 0;
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    ASSERT_EQ(p.parse(std::string_view(bytes).substr(0, n), scanned), HeadState::kMore) << n;
  }
  ASSERT_EQ(p.parse(bytes, scanned), HeadState::kDone);
  EXPECT_EQ(p.head().content_length, 3);
  EXPECT_EQ(p.head().bytes, bytes.size());
}

TEST(HeadParser, takes_an_absolute_target_that_agrees_with_host) {
  HeadParser p = parser();
  std::size_t scanned = 0;
  ASSERT_EQ(p.parse("GET http://A:80/x?y HTTP/1.1\r\nHost: a:80\r\n\r\n", scanned), HeadState::kDone);
  EXPECT_EQ(p.head().target, "/x?y");
}

TEST(HeadParser, judges_persistence_by_version_and_connection) {
  const auto keeps = [](std::string_view version, std::string_view connection) {
    HeadParser p = parser();
    std::size_t scanned = 0;
    const std::string bytes = "GET / " + std::string(version) +
                              "\r\nHost: a\r\nConnection: " + std::string(connection) + "\r\n\r\n";
    EXPECT_EQ(p.parse(bytes, scanned), HeadState::kDone);
    return p.head().keep_alive;
  };
  EXPECT_TRUE(keeps("HTTP/1.1", "x"));
  EXPECT_FALSE(keeps("HTTP/1.1", "x, Close"));
  EXPECT_FALSE(keeps("HTTP/1.0", "x"));
  EXPECT_TRUE(keeps("HTTP/1.0", "Keep-Alive"));
}

TEST(HeadParser, takes_limits_at_their_edge_and_refuses_one_more) {
  const auto line = [](std::size_t target_bytes) {
    return "GET /" + std::string(target_bytes - 1, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
  };
  EXPECT_EQ(refused_with(line(8'192)), 0);
  EXPECT_EQ(refused_with(line(8'193)), 414);

  const auto count = [](int headers) {
    std::string out = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (int i = 1; i < headers; ++i) out += "a:\r\n";
    return out + "\r\n";
  };
  EXPECT_EQ(refused_with(count(100)), 0);
  EXPECT_EQ(refused_with(count(101)), 431);

  const auto one = [](std::size_t line_bytes) {
    return "GET / HTTP/1.1\r\nHost: a\r\nx: " + std::string(line_bytes - 3, 'a') + "\r\n\r\n";
  };
  EXPECT_EQ(refused_with(one(8'192)), 0);
  EXPECT_EQ(refused_with(one(8'193)), 431);

  const auto total = [](std::size_t bytes) {
    std::string out = "GET / HTTP/1.1\r\nHost: a\r\n";
    out += "x: " + std::string(8'000, 'a') + "\r\n";
    return out + "y: " + std::string(bytes - out.size() - 7, 'a') + "\r\n\r\n";
  };
  EXPECT_EQ(total(16'384).size(), 16'384);
  EXPECT_EQ(refused_with(total(16'384).substr(0, 16'384)), 431);  // the second header passes 8,192
  EXPECT_EQ(refused_with(total(16'100)), 0);
}

TEST(HeadParser, refuses_a_head_over_the_total_at_its_edge) {
  const auto head = [](std::size_t bytes) {
    std::string out = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (int i = 0; i < 2; ++i) out += "x: " + std::string(8'000, 'a') + "\r\n";
    return out + "y: " + std::string(bytes - out.size() - 7, 'a') + "\r\n\r\n";
  };
  EXPECT_EQ(refused_with(head(16'384)), 0);
  EXPECT_EQ(refused_with(head(16'385)), 431);
}

TEST(HeadParser, answers_an_endless_target_while_it_comes) {
  EXPECT_EQ(refused_with("GET /" + std::string(8'300, 'a')), 414);
}

TEST(HeadParser, answers_an_endless_header_while_it_comes) {
  EXPECT_EQ(refused_with("GET / HTTP/1.1\r\nx: " + std::string(16'384, 'a')), 431);
}

TEST(HeadParser, knows_at_the_first_byte_what_is_no_request) { EXPECT_EQ(refused_with("\x16\x03\x01"), 400); }

struct Decoded {
  std::string body;
  BodyState state = BodyState::kMore;
  std::string left;
};

Decoded decode(std::string_view bytes, std::size_t step) {
  BodyDecoder decoder(BodyKind::kChunked, 0);
  Decoded out;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::string_view input = bytes.substr(at, step);
    std::size_t used = 0;
    for (;;) {
      const auto got = decoder.next(input.substr(used));
      used += got.used;
      out.body += got.piece;
      out.state = got.state;
      if (got.state != BodyState::kPiece) break;
    }
    at += used;
    if (out.state != BodyState::kMore) {
      out.left = bytes.substr(at);
      break;
    }
  }
  return out;
}

TEST(BodyDecoder, joins_chunks_however_they_arrive) {
  const std::string_view bytes =
      "4;a=\"b\"\r\nWiki\r\n05\r\npedia\r\nA\r\n in chunks\r\n0\r\nx-sum: 1\r\n\r\nGET";
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    const Decoded got = decode(bytes, step);
    EXPECT_EQ(got.state, BodyState::kEnd) << step;
    EXPECT_EQ(got.body, "Wikipedia in chunks") << step;
    EXPECT_EQ(got.left, "GET") << step;
  }
}

TEST(BodyDecoder, ends_a_body_of_known_length_at_its_length) {
  BodyDecoder decoder(BodyKind::kLength, 3);
  EXPECT_EQ(decoder.next("ab").piece, "ab");
  EXPECT_EQ(decoder.known_left(), 1);
  const auto last = decoder.next("cGET");
  EXPECT_EQ(last.piece, "c");
  EXPECT_EQ(last.used, 1);
  EXPECT_TRUE(decoder.ended());
}

TEST(BodyDecoder, takes_a_size_line_of_256_bytes_and_no_more) {
  const auto with_line = [](std::size_t bytes) {
    return "1;" + std::string(bytes - 4, 'x') + "\r\na\r\n0\r\n\r\n";
  };
  EXPECT_EQ(decode(with_line(256), 7).state, BodyState::kEnd);
  EXPECT_EQ(decode(with_line(257), 7).state, BodyState::kRefused);
}

TEST(BodyDecoder, takes_8192_bytes_of_trailers_and_no_more) {
  const auto with_trailers = [](std::size_t bytes) {
    return "0\r\nx:" + std::string(bytes - 6, 'x') + "\r\n\r\n";
  };
  EXPECT_EQ(decode(with_trailers(8'192), 100).state, BodyState::kEnd);
  EXPECT_EQ(decode(with_trailers(8'193), 100).state, BodyState::kRefused);
}

class BadChunks : public ::testing::TestWithParam<std::string_view> {};

TEST_P(BadChunks, are_refused_however_they_arrive) {
  for (std::size_t step = 1; step <= GetParam().size(); ++step) {
    EXPECT_EQ(decode(GetParam(), step).state, BodyState::kRefused) << step;
  }
}

using std::literals::operator""sv;
INSTANTIATE_TEST_SUITE_P(
    All, BadChunks,
    ::testing::Values("0x3\r\nabc\r\n"sv, "-3\r\n"sv, "+3\r\n"sv, " 3\r\n"sv, "3 \r\n"sv, "\r\n"sv,
                      ";a\r\n"sv, "3\nabc"sv, "3\r\r\n"sv, "3\rabc"sv, "3\r\nabcd\r\n"sv,
                      "3\r\nabc\n0\r\n\r\n"sv, "3\r\nabc0\r\n\r\n"sv, "3;a\nb\r\n"sv, "3;a\x01\r\n"sv,
                      "3;\0\r\n"sv, "g\r\n"sv, "FFFFFFFFFFFFFFFFF\r\n"sv, "10000000000000000\r\n"sv,
                      "0\r\nbad name: 1\r\n\r\n"sv, "0\r\n: 1\r\n\r\n"sv, "0\r\nname\r\n\r\n"sv,
                      "0\r\n folded\r\n\r\n"sv, "0\r\na: \x01\r\n\r\n"sv,
                      "0\r\nTransfer-Encoding: chunked\r\n\r\n"sv, "0\r\nContent-Length: 3\r\n\r\n"sv,
                      "0\r\nHOST: a\r\n\r\n"sv, "0\r\na: b\n\r\n"sv, "0\r\n\n"sv));

TEST(Headers, that_could_split_a_response_are_not_valid) {
  EXPECT_TRUE(valid_header("x-a_b", "a \t\xc3\xa9"));
  EXPECT_FALSE(valid_header("x", "a\r\nb: c"));
  EXPECT_FALSE(valid_header("x", "a\nb"));
  EXPECT_FALSE(valid_header("x", std::string_view("a\0b", 3)));
  EXPECT_FALSE(valid_header("x y", "a"));
  EXPECT_FALSE(valid_header("", "a"));
}

}  // namespace
}  // namespace hr::net
