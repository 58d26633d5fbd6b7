#include "web/environ.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace hr::web {
namespace {

struct Made {
  std::map<std::string, std::string> values;
  std::string scheme;
  int refused = 0;
};

Made made(std::string_view head, const Peer& peer = {.local = true, .address = {}, .port = 0}) {
  net::HeadParser parser({});
  std::size_t scanned = 0;
  EXPECT_EQ(parser.parse(head, scanned), net::HeadState::kDone);
  const Environ environ = make_environ(parser.head(), peer);
  Made out{.values = {}, .scheme = std::string(environ.scheme), .refused = environ.refusal.status};
  for (const Variable& v : environ.variables)
    EXPECT_TRUE(out.values.emplace(v.name, v.value).second) << v.name;
  return out;
}

TEST(Environ, the_path_is_decoded_and_the_query_is_not) {
  auto e = made("GET /a%20b/%C3%A9?x=%20&y HTTP/1.1\r\nHost: a.example:8080\r\n\r\n").values;
  EXPECT_EQ(e["PATH_INFO"], "/a b/\xc3\xa9");
  EXPECT_EQ(e["QUERY_STRING"], "x=%20&y");
  EXPECT_EQ(e["REQUEST_URI"], "/a%20b/%C3%A9?x=%20&y");
  EXPECT_EQ(e["SCRIPT_NAME"], "");
  EXPECT_EQ(e["SERVER_NAME"], "a.example");
  EXPECT_EQ(e["SERVER_PORT"], "8080");
  EXPECT_EQ(e["HTTP_HOST"], "a.example:8080");
  EXPECT_EQ(e["SERVER_PROTOCOL"], "HTTP/1.1");
}

TEST(Environ, an_escape_that_is_none_or_stands_for_zero_is_refused) {
  for (const char* path : {"/%zz", "/%2", "/%", "/%00", "/a%0"}) {
    EXPECT_EQ(made(std::string("GET ") + path + " HTTP/1.1\r\nHost: a\r\n\r\n").refused, 400) << path;
  }
  EXPECT_EQ(made("GET /%01?%00 HTTP/1.1\r\nHost: a\r\n\r\n").refused, 0);
}

TEST(Environ, headers_with_underscores_and_proxy_are_dropped) {
  auto e = made(
               "GET / HTTP/1.1\r\nHost: a\r\nX_Real-IP: forged\r\nX-Real-IP: true\r\nProxy: evil\r\n"
               "Content_Length: 5\r\n\r\n")
               .values;
  EXPECT_EQ(e["HTTP_X_REAL_IP"], "true");
  EXPECT_FALSE(e.contains("HTTP_PROXY"));
  EXPECT_FALSE(e.contains("HTTP_CONTENT_LENGTH"));
  EXPECT_FALSE(e.contains("CONTENT_LENGTH"));
}

TEST(Environ, repeated_headers_are_joined) {
  auto e = made(
               "GET / HTTP/1.1\r\nHost: a\r\nAccept: x\r\nCookie: a=1\r\naccept: y\r\nCookie: b=2\r\n"
               "Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n")
               .values;
  EXPECT_EQ(e["HTTP_ACCEPT"], "x, y");
  EXPECT_EQ(e["HTTP_COOKIE"], "a=1; b=2");
  EXPECT_EQ(e["CONTENT_TYPE"], "text/plain");
}

constexpr std::string_view kForwarded =
    "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\r\n";

TEST(Environ, the_proxy_on_a_unix_socket_is_believed) {
  auto m = made(kForwarded);
  EXPECT_EQ(m.scheme, "https");
  EXPECT_EQ(m.values["REMOTE_ADDR"], "192.0.2.7");
  EXPECT_EQ(m.values["SERVER_PORT"], "443");
}

TEST(Environ, a_peer_over_tcp_is_not_believed) {
  auto m = made(kForwarded, {.local = false, .address = "127.0.0.1", .port = 4711});
  EXPECT_EQ(m.scheme, "http");
  EXPECT_EQ(m.values["REMOTE_ADDR"], "127.0.0.1");
  EXPECT_EQ(m.values["REMOTE_PORT"], "4711");
  EXPECT_EQ(m.values["SERVER_PORT"], "80");
}

TEST(Environ, an_old_request_without_host_has_a_server_name) {
  auto e = made("GET / HTTP/1.0\r\n\r\n").values;
  EXPECT_EQ(e["SERVER_NAME"], "localhost");
  EXPECT_EQ(e["SERVER_PROTOCOL"], "HTTP/1.0");
  EXPECT_EQ(made("GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n").values["SERVER_NAME"], "[::1]");
}

TEST(Environ, a_request_id_has_8_to_64_plain_characters) {
  EXPECT_TRUE(valid_request_id("abcDEF-1"));
  EXPECT_TRUE(valid_request_id(std::string(64, 'a')));
  EXPECT_FALSE(valid_request_id("abcDEF1"));
  EXPECT_FALSE(valid_request_id(std::string(65, 'a')));
  EXPECT_FALSE(valid_request_id("abcdefgh i"));
  EXPECT_FALSE(valid_request_id("abcdefgh_"));
}

}  // namespace
}  // namespace hr::web
