#include "net/server.h"

#include "net/test_server.h"

#include <gtest/gtest.h>

namespace hr::net {
namespace {

using testing::body_of;
using testing::Client;
using testing::header_of;
using testing::status_of;
using testing::TestServer;

std::string get(std::string_view target, std::string_view more = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: test\r\n" + std::string(more) + "\r\n";
}

std::string post(std::string_view target, std::string_view body, std::string_view more = "") {
  return "POST " + std::string(target) +
         " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string(more) + "\r\n" + std::string(body);
}

TEST(Server, answers_a_request_and_keeps_the_connection) {
  TestServer server;
  Client client = server.tcp();
  for (int i = 0; i < 3; ++i) {
    client.send(get("/hello?a=%20b"));
    const std::string response = client.response();
    EXPECT_EQ(status_of(response), 200);
    EXPECT_EQ(body_of(response), "GET /hello?a=%20b");
    EXPECT_EQ(header_of(response, "Server"), "headrace");
    EXPECT_EQ(header_of(response, "x-request-id").size(), 36);
    EXPECT_EQ(header_of(response, "Date").size(), 29);
    EXPECT_EQ(header_of(response, "Connection"), "");
  }
}

TEST(Server, streams_a_body_to_the_handler_whole) {
  TestServer server;
  Client client = server.tcp();
  std::string body;
  for (int i = 0; i < 300'000; ++i) body += std::to_string(i);
  std::thread sender([&] { client.send(post("/echo", body)); });
  const std::string response = client.response();
  sender.join();
  EXPECT_EQ(body_of(response), body);
}

}  // namespace
}  // namespace hr::net
