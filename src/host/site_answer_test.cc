#include "host/site_answer.h"

#include <gtest/gtest.h>

namespace hr::host {
namespace {

TEST(SiteAnswer, the_status_and_the_requests_id_are_read) {
  const auto answer = read_site_answer("HTTP/1.1 200 OK\r\nServer: nginx\r\nX-Request-ID: a1b2\r\n\r\n");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->request_id, "a1b2");
  EXPECT_EQ(read_site_answer("HTTP/1.1 502 Bad Gateway\r\n\r\n")->request_id, "");
}

TEST(SiteAnswer, what_is_no_answer_is_none) {
  for (const char* text : {"", "HTTP/1.1 ", "HTTP/1.1 xyz\r\n", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 99\r\n"})
    EXPECT_EQ(read_site_answer(text).error().code, Errc::kInvalid) << text;
}

TEST(SiteAnswer, nobody_listening_is_said_with_the_port) {
  EXPECT_EQ(ask_site(1, "shop.example").error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace hr::host
