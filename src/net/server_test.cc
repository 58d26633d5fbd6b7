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

TEST(Server, answers_over_a_unix_socket_and_names_the_peer) {
  TestServer server;
  Client client = server.local();
  client.send(get("/peer"));
  EXPECT_EQ(body_of(client.response()), "unix 1");
  Client other = server.tcp();
  other.send(get("/peer"));
  EXPECT_EQ(body_of(other.response()), "127.0.0.1 0");
}

TEST(Server, gives_headers_in_order_with_repeats) {
  TestServer server;
  Client client = server.tcp();
  client.send(get("/headers", "b: 1\r\nA: 2\r\nb: \r\n"));
  EXPECT_EQ(body_of(client.response()), "Host=test;b=1;A=2;b=;");
  client.send(get("/headers"));
  EXPECT_EQ(body_of(client.response()), "Host=test;");
}

TEST(Server, keeps_a_usable_request_id_and_makes_one_otherwise) {
  TestServer server;
  Client client = server.tcp();
  client.send(get("/id", "X-Request-Id: abc-12345\r\n"));
  const std::string kept = client.response();
  EXPECT_EQ(body_of(kept), "abc-12345");
  EXPECT_EQ(header_of(kept, "x-request-id"), "abc-12345");
  for (const char* bad : {"short", "with space", "under_score_1", "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"}) {
    client.send(get("/id", "X-Request-Id: " + std::string(bad) + "\r\n"));
    EXPECT_EQ(body_of(client.response()).size(), 36) << bad;
  }
  client.send(get("/id", "X-Request-Id: " + std::string(65, 'a') + "\r\n"));
  EXPECT_EQ(body_of(client.response()).size(), 36);
}

TEST(Server, answers_a_thousand_pipelined_requests_in_order) {
  TestServer server;
  Client client = server.tcp();
  std::string all;
  for (int i = 0; i < 1'000; ++i) all += post("/echo", std::to_string(i));
  std::thread sender([&] { client.send(all); });
  for (int i = 0; i < 1'000; ++i) ASSERT_EQ(body_of(client.response()), std::to_string(i));
  sender.join();
}

TEST(Server, answers_each_of_the_many_that_come_in_one_turn) {
  TestServer server;
  std::vector<Client> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(server.tcp());
    clients.back().send(get("/first"));
    EXPECT_EQ(status_of(clients.back().response()), 200);
  }
  server.on_reactor([&] {  // it reads nothing before all of them are there
    for (std::size_t i = 0; i < clients.size(); ++i) {
      std::string requests;
      for (std::size_t k = 0; k <= i % 3; ++k) requests += post("/echo", std::to_string(100 * i + k));
      clients[i].send(requests);
    }
    clients[7].reset();
  });
  for (std::size_t i = 0; i < clients.size(); ++i) {
    for (std::size_t k = 0; k <= i % 3 && i != 7; ++k)
      EXPECT_EQ(body_of(clients[i].response()), std::to_string(100 * i + k));
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

TEST(Server, does_not_wait_for_a_body_that_has_come_when_others_get_their_turn) {
  TestServer server;
  for (const std::size_t before : {1U, 65'536U, 1'048'000U}) {
    Client client = server.tcp();
    for (const std::size_t bytes : {before, std::size_t{1'048'576}, std::size_t{1'048'600}}) {
      client.send(post("/echo", std::string(bytes, 'x')));
      EXPECT_EQ(body_of(client.response()).size(), bytes);
    }
  }
}

TEST(Server, joins_chunks_and_drops_trailers) {
  TestServer server;
  Client client = server.tcp();
  std::string body;
  std::string request = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 1; i < 2'000; ++i) {
    const std::string piece(static_cast<std::size_t>(i), static_cast<char>('a' + i % 26));
    char size[16];
    std::snprintf(size, sizeof size, "%x", i);
    request += std::string(size) + ";ext=\"1\"\r\n" + piece + "\r\n";
    body += piece;
  }
  request += "0\r\nx-checksum: 1\r\n\r\n" + get("/after");
  std::thread sender([&] { client.send(request); });
  EXPECT_EQ(body_of(client.response()), body);
  EXPECT_EQ(body_of(client.response()), "GET /after");
  sender.join();
}

TEST(Server, reads_a_whole_body_up_to_the_handlers_limit) {
  TestServer server;
  Client client = server.tcp();
  const std::string edge(1'000'000, 'x');
  std::thread sender([&] { client.send(post("/all", edge)); });
  EXPECT_EQ(body_of(client.response()), edge);
  sender.join();
  // Longer: known from its length alone, and too long to read away.
  client.send("POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: 1000001\r\n\r\n");
  const std::string refused = client.response();
  EXPECT_EQ(status_of(refused), 413);
  EXPECT_EQ(header_of(refused, "Connection"), "close");
}

TEST(Server, stops_reading_a_chunked_body_at_the_handlers_limit) {
  TestServer server;
  Client client = server.tcp();
  const std::string chunk = "8000\r\n" + std::string(0x8000, 'x') + "\r\n";
  client.send("POST /all HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  std::thread sender([&] {
    for (int i = 0; i < 100 && client.try_send(chunk); ++i) {
    }
  });
  EXPECT_EQ(status_of(client.response()), 413);
  sender.join();
}

TEST(Server, reads_away_a_short_body_that_no_handler_wanted) {
  TestServer server;
  Client client = server.tcp();
  client.send(post("/ignored", std::string(65'536, 'x')) + get("/after"));
  EXPECT_EQ(body_of(client.response()), "POST /ignored");
  EXPECT_EQ(body_of(client.response()), "GET /after");
}

TEST(Server, closes_after_a_long_body_that_no_handler_wanted) {
  TestServer server;
  Client client = server.tcp();
  client.send(post("/ignored", std::string(65'537 + 65'536, 'x')));
  const std::string response = client.response();
  EXPECT_EQ(body_of(response), "POST /ignored");
  EXPECT_EQ(header_of(response, "Connection"), "close");
  EXPECT_TRUE(client.closed_by_server());
}

TEST(Server, says_continue_when_the_handler_reads) {
  TestServer server;
  Client client = server.tcp();
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.response(false), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  EXPECT_EQ(body_of(client.response()), "abc");
}

TEST(Server, says_continue_at_once_to_a_body_of_no_bytes) {
  TestServer server;
  Client client = server.tcp();
  client.send("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.response(false), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(status_of(client.response()), 200);
}

TEST(Server, says_no_continue_when_the_handler_does_not_read) {
  TestServer server;
  Client client = server.tcp();
  client.send("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  const std::string response = client.response();
  EXPECT_EQ(status_of(response), 200);
  EXPECT_EQ(header_of(response, "Connection"), "close");
}

TEST(Server, says_no_continue_when_the_body_is_there_already) {
  TestServer server;
  Client client = server.tcp();
  client.send(post("/echo", "abc", "Expect: 100-continue\r\n"));
  EXPECT_EQ(body_of(client.response()), "abc");
}

TEST(Server, sends_no_body_to_a_HEAD_but_announces_its_length) {
  TestServer server;
  Client client = server.tcp();
  client.send("HEAD /bytes/77 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /length HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(header_of(client.response(false), "Content-Length"), "77");
  EXPECT_EQ(header_of(client.response(false), "Content-Length"), "12345");
  client.send(get("/after"));
  EXPECT_EQ(body_of(client.response()), "GET /after");
}

TEST(Server, sends_no_body_with_204_and_304) {
  TestServer server;
  Client client = server.tcp();
  for (const char* target : {"/status/204", "/status/304"}) {
    client.send(get(target));
    const std::string response = client.response();
    EXPECT_EQ(header_of(response, "Content-Length"), "");
    EXPECT_EQ(body_of(response), "");
  }
  client.send(get("/after"));
  EXPECT_EQ(body_of(client.response()), "GET /after");
}

TEST(Server, sends_a_long_answer_to_a_slow_reader_whole) {
  TestServer server;
  Client client = server.tcp();
  client.send(get("/bytes/20000000") + get("/after"));
  EXPECT_EQ(body_of(client.response()), std::string(20'000'000, 'b'));
  EXPECT_EQ(body_of(client.response()), "GET /after");
}

TEST(Server, never_sends_a_header_that_splits_the_response) {
  TestServer server;
  Client client = server.tcp();
  client.send(get("/split"));
  const std::string response = client.response();
  EXPECT_EQ(status_of(response), 500);
  EXPECT_EQ(response.find("stolen"), std::string::npos);
  EXPECT_EQ(server.sink.events(), std::vector<std::string>{"http.bad_response"});
}

TEST(Server, never_sends_a_status_out_of_range) {
  TestServer server;
  Client client = server.tcp();
  for (const char* target : {"/status/199", "/status/600", "/status/0"}) {
    client.send(get(target));
    EXPECT_EQ(status_of(client.response()), 500);
  }
}

TEST(Server, answers_500_and_closes_after_an_exception) {
  TestServer server;
  Client client = server.tcp();
  client.send(get("/throw"));
  const std::string response = client.rest();
  EXPECT_EQ(status_of(response), 500);
  EXPECT_EQ(header_of(response, "Connection"), "close");
  EXPECT_EQ(server.sink.events(), std::vector<std::string>{"http.handler_exception"});
}

TEST(Server, closes_when_either_side_asks) {
  TestServer server;
  Client client = server.tcp();
  client.send(get("/close"));
  EXPECT_EQ(header_of(client.rest(), "Connection"), "close");
  Client other = server.tcp();
  other.send(get("/x", "Connection: close\r\n"));
  EXPECT_EQ(header_of(other.rest(), "Connection"), "close");
}

TEST(Server, speaks_1_0_with_and_without_keep_alive) {
  TestServer server;
  Client client = server.tcp();
  client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(header_of(client.response(), "Connection"), "keep-alive");
  client.send("GET /b HTTP/1.0\r\n\r\n");
  EXPECT_EQ(body_of(client.rest()), "GET /b");
}

TEST(Server, tells_the_handler_when_the_peer_leaves) {
  TestServer server;
  Client client = server.tcp();
  client.send(get("/wait"));
  server.handler.waiting.get_future().wait();
  client.close();
  server.handler.disconnected.get_future().wait();
}

TEST(Server, tells_the_handler_when_the_peer_resets) {
  TestServer server;
  Client client = server.tcp();
  client.send(get("/wait"));
  server.handler.waiting.get_future().wait();
  client.reset();
  server.handler.disconnected.get_future().wait();
}

TEST(Server, keeps_what_a_waiting_peer_pipelines) {
  TestServer server;
  Client client = server.tcp();
  client.send(get("/wait"));
  server.handler.waiting.get_future().wait();
  client.send(get("/after"));
  server.on_reactor([&] { std::exchange(server.handler.release, nullptr)(); });
  EXPECT_EQ(body_of(client.response()), "released");
  EXPECT_EQ(body_of(client.response()), "GET /after");
}

TEST(Server, gives_a_handler_an_error_when_the_body_breaks_off) {
  TestServer server;
  Client client = server.tcp();
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  client.end_sending();
  EXPECT_EQ(status_of(client.rest()), 400);
  EXPECT_EQ(server.handler.failed_reads, 1);
}

TEST(Server, survives_a_reset_in_the_middle_of_a_body) {
  TestServer server;
  Client client = server.tcp();
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  client.reset();
  Client other = server.tcp();
  other.send(get("/after"));
  EXPECT_EQ(body_of(other.response()), "GET /after");
}

}  // namespace
}  // namespace hr::net
