#include "web/world_test.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <future>
#include <mutex>

namespace hr::web {
namespace {

using testing::answer;
using testing::Client;
using testing::echo;
using testing::read_all;
using testing::World;

int status_of(const std::string& head) {
  return head.size() < 12 ? 0 : (head[9] - '0') * 100 + (head[10] - '0') * 10 + head[11] - '0';
}

std::string get(std::string_view path, std::string_view more = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(more) + "\r\n";
}

std::string post(std::string_view framing, std::string_view body) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + std::string(framing) + "\r\n\r\n" + std::string(body);
}

TEST(Server, it_answers_and_keeps_the_connection) {
  World world;
  world.worker([](Request& r) { answer(r, r.path()); });
  Client client = world.client();
  for (const char* path : {"/one", "/two", "/three"}) {
    client.send(get(path));
    EXPECT_EQ(status_of(client.head()), 200);
    EXPECT_EQ(client.bytes(std::strlen(path)), path);
  }
}

TEST(Server, pipelined_requests_are_answered_in_order) {
  World world;
  for (int i = 0; i < 3; ++i) world.worker([](Request& r) { answer(r, r.path()); });
  Client client = world.client();
  std::string all;
  for (int i = 100; i < 200; ++i) all += get("/" + std::to_string(i));
  client.send(all);
  for (int i = 100; i < 200; ++i) {
    EXPECT_EQ(status_of(client.head()), 200);
    EXPECT_EQ(client.bytes(4), "/" + std::to_string(i));
  }
}

TEST(Server, a_head_may_come_byte_by_byte) {
  World world;
  world.worker([](Request& r) { answer(r, r.variable("HTTP_X_A")); });
  Client client = world.client();
  for (const char c : get("/", "X-A: slow\r\n")) client.send({&c, 1});
  EXPECT_EQ(status_of(client.head()), 200);
  EXPECT_EQ(client.bytes(4), "slow");
}

TEST(Server, requests_run_at_the_same_time_on_two_threads) {
  World world;
  std::promise<void> second;
  auto arrived = second.get_future().share();
  for (int i = 0; i < 2; ++i) {
    world.worker([&, arrived](Request& r) {
      if (r.path() == "/second") second.set_value();
      arrived.wait();
      answer(r, "met");
    });
  }
  Client first = world.client();
  first.send(get("/first"));
  Client other = world.client();
  other.send(get("/second"));
  EXPECT_EQ(status_of(first.head()), 200);
  EXPECT_EQ(status_of(other.head()), 200);
}

TEST(Server, a_body_of_known_length_is_read_to_its_end) {
  World world;
  world.worker(echo);
  Client client = world.client();
  client.send(post("Content-Length: 5", "hello") + get("/next"));
  client.head();
  EXPECT_EQ(client.bytes(5), "hello");
  EXPECT_EQ(status_of(client.head()), 200);
}

TEST(Server, a_chunked_body_is_decoded) {
  World world;
  world.worker(echo);
  Client client = world.client();
  client.send(post("Transfer-Encoding: chunked", "5\r\nhello\r\n"));
  client.send("6;x=y\r\n world\r\n0\r\nX-T: 1\r\n\r\n");
  EXPECT_TRUE(client.head().contains("Content-Length: 11\r\n"));
  EXPECT_EQ(client.bytes(11), "hello world");
}

TEST(Server, large_bodies_go_both_ways) {
  World world;
  world.worker(echo);
  Client client = world.client();
  std::string body;
  for (int i = 0; body.size() < 3'000'000; ++i) body += std::to_string(i) + ",";
  std::thread sender([&] { client.send(post("Content-Length: " + std::to_string(body.size()), body)); });
  EXPECT_EQ(status_of(client.head()), 200);
  EXPECT_TRUE(client.bytes(body.size()) == body);
  sender.join();
}

TEST(Server, broken_framing_is_answered_without_the_application) {
  World world;
  std::atomic<int> seen = 0;
  world.worker([&](Request& r) {
    ++seen;
    answer(r, "");
  });
  for (const std::string& bad :
       {post("Content-Length: 3\r\nTransfer-Encoding: chunked", "abc"), post("Content-Length: +3", "abc"),
        post("Content-Length: 3\r\nContent-Length: 3", "abc"), get("/%00"), get("/", "X : y\r\n"),
        get("/", "A: b\r\n c: d\r\n"), std::string("\x16\x03\x01"), std::string("GET / HTTP/1.1\n\n")}) {
    Client client = world.client();
    client.send(bad);
    const std::string all = client.rest();
    EXPECT_EQ(status_of(all), 400) << bad;
    EXPECT_TRUE(all.contains("Connection: close\r\n"));
  }
  Client coding = world.client();
  coding.send(post("Transfer-Encoding: xchunked", ""));
  EXPECT_EQ(status_of(coding.rest()), 501);
  Client expects = world.client();
  expects.send(get("/", "Expect: tea\r\n"));
  EXPECT_EQ(status_of(expects.rest()), 417);
  Client talks = world.client();
  talks.send(get("/", "Connection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n"));
  const std::string refused = talks.rest();
  EXPECT_EQ(status_of(refused), 501);
  EXPECT_TRUE(refused.contains("web.command")) << refused;
  EXPECT_EQ(seen, 0);
  std::uint64_t more = 0;
  EXPECT_EQ(world.server->take_refused(more).size(), 11U);
  EXPECT_EQ(more, 0U);
}

TEST(Server, broken_chunks_are_answered_with_400_and_the_end) {
  World world;
  world.worker(echo);
  Client client = world.client();
  client.send(post("Transfer-Encoding: chunked", "0x3\r\nabc\r\n0\r\n\r\n") + get("/smuggled"));
  const std::string all = client.rest();
  EXPECT_EQ(status_of(all), 400);
  EXPECT_EQ(all.find("HTTP/1.1", 5), std::string::npos);
}

TEST(Server, limits_hold_at_their_edge) {
  Limits limits;
  limits.head = {
      .target_bytes_max = 20, .header_bytes_max = 200, .header_line_bytes_max = 50, .headers_max = 3};
  limits.body_bytes_max = 10;
  World world(limits);
  world.worker(echo);
  const auto status = [&](const std::string& request) {
    Client client = world.client();
    client.send(request);
    return status_of(client.head());
  };
  EXPECT_EQ(status(get("/" + std::string(19, 'a'))), 200);
  EXPECT_EQ(status(get("/" + std::string(20, 'a'))), 414);
  EXPECT_EQ(status(get("/", "A: 1\r\nB: 2\r\n")), 200);
  EXPECT_EQ(status(get("/", "A: 1\r\nB: 2\r\nC: 3\r\n")), 431);
  EXPECT_EQ(status(get("/", "A: " + std::string(47, 'a') + "\r\n")), 200);
  EXPECT_EQ(status(get("/", "A: " + std::string(48, 'a') + "\r\n")), 431);
  EXPECT_EQ(status(post("Content-Length: 10", "0123456789")), 200);
  EXPECT_EQ(status(post("Content-Length: 11", "0123456789a")), 413);
  EXPECT_EQ(status(post("Transfer-Encoding: chunked", "a\r\n0123456789\r\n0\r\n\r\n")), 200);
  EXPECT_EQ(status(post("Transfer-Encoding: chunked", "b\r\n0123456789a\r\n0\r\n\r\n")), 413);
}

TEST(Server, a_peer_that_waits_is_told_to_continue_when_the_body_is_read) {
  World world;
  world.worker(echo);
  Client client = world.client();
  client.send(post("Content-Length: 3\r\nExpect: 100-continue", ""));
  EXPECT_EQ(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  EXPECT_EQ(status_of(client.head()), 200);
  EXPECT_EQ(client.bytes(3), "abc");
}

TEST(Server, a_peer_that_waits_is_not_told_to_continue_when_nobody_reads) {
  World world;
  world.worker([](Request& r) { answer(r, "no", "403 Forbidden"); });
  Client client = world.client();
  client.send(post("Content-Length: 3\r\nExpect: 100-continue", ""));
  const std::string all = client.rest();
  EXPECT_EQ(status_of(all), 403);
  EXPECT_TRUE(all.contains("Connection: close\r\n"));
}

TEST(Server, a_short_body_nobody_read_is_passed_over) {
  World world;
  world.worker([](Request& r) { answer(r, r.path()); });
  Client client = world.client();
  client.send(post("Content-Length: 5", "hello") + get("/next"));
  EXPECT_EQ(status_of(client.head()), 200);
  EXPECT_EQ(client.bytes(1), "/");
  client.head();
  EXPECT_EQ(client.bytes(5), "/next");
}

TEST(Server, a_short_body_nobody_read_may_come_after_the_answer) {
  World world;
  world.worker([](Request& r) { answer(r, r.path()); });
  Client client = world.client();
  client.send(post("Content-Length: 5", "h"));
  EXPECT_EQ(status_of(client.head()), 200);
  EXPECT_EQ(client.bytes(1), "/");
  client.send("ello" + get("/next"));
  client.head();
  EXPECT_EQ(client.bytes(5), "/next");
}

TEST(Server, a_long_body_nobody_read_ends_the_connection_and_not_the_answer) {
  World world;
  world.worker([](Request& r) { answer(r, "no", "413 Content Too Large"); });
  Client client = world.client();
  client.send(post("Content-Length: 100000", std::string(90'000, 'x')));
  const std::string all = client.rest();
  EXPECT_EQ(status_of(all), 413);
  EXPECT_TRUE(all.contains("Connection: close\r\n"));
  EXPECT_TRUE(all.ends_with("\r\n\r\nno"));
}

TEST(Server, http_1_0_closes_unless_asked) {
  World world;
  world.worker([](Request& r) { answer(r, "x"); });
  Client client = world.client();
  client.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(client.rest().ends_with("Connection: close\r\n\r\nx"));
  Client kept = world.client();
  kept.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(kept.head().contains("Connection: keep-alive\r\n"));
  EXPECT_EQ(kept.bytes(1), "x");
  kept.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(status_of(kept.rest()), 200);
}

TEST(Server, head_is_answered_without_a_body) {
  World world;
  world.worker([](Request& r) { answer(r, "hello"); });
  Client client = world.client();
  client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + get("/"));
  EXPECT_TRUE(client.head().contains("Content-Length: 5\r\n"));
  EXPECT_EQ(status_of(client.head()), 200);
}

TEST(Server, a_body_that_is_cut_off_is_an_error_and_not_an_end) {
  World world;
  std::promise<Errc> read;
  world.worker([&](Request& r) {
    read.set_value(read_all(r).error().code);
    EXPECT_EQ(r.body_refusal().status, 400);
  });
  Client client = world.client();
  client.send(post("Content-Length: 5", "hel"));
  client.end_sending();
  EXPECT_EQ(read.get_future().get(), Errc::kClosed);
}

TEST(Server, a_silent_peer_is_given_up) {
  Limits limits;
  limits.body_stall_timeout = 20ms;
  limits.write_stall_timeout = 20ms;
  World world(limits);
  std::promise<Errc> read;
  std::promise<Errc> written;
  world.worker([&](Request& r) {
    if (r.method() == "POST") {
      read.set_value(read_all(r).error().code);
      EXPECT_EQ(r.body_refusal().status, 408);
      return;
    }
    EXPECT_TRUE(r.start("200 OK", {}));
    Status sent;
    while (sent) sent = r.send(std::string(100'000, 'x'), false);
    written.set_value(sent.error().code);
  });
  Client writer = world.client();
  writer.send(post("Content-Length: 5", "hel"));
  EXPECT_EQ(read.get_future().get(), Errc::kTimeout);
  Client reader = world.client();
  reader.send(get("/"));
  EXPECT_EQ(written.get_future().get(), Errc::kTimeout);
}

TEST(Server, a_body_that_trickles_is_given_up) {
  Limits limits;
  limits.body_rate_grace = 1s;
  World world(limits);
  std::promise<int> refused;
  world.worker([&](Request& r) {
    char one = 0;
    Result<std::size_t> got = 1;
    while (got && *got != 0) got = r.read({&one, 1});
    refused.set_value(r.body_refusal().status);
  });
  Client client = world.client();
  client.send(post("Content-Length: 1000000", ""));
  auto answer_of = refused.get_future();
  // Only time spent waiting counts, and at least one of these bytes is waited for.
  while (answer_of.wait_for(std::chrono::seconds(0)) != std::future_status::ready && client.send("x")) {
    world.clock.advance(1h);
  }
  EXPECT_EQ(answer_of.get(), 408);
}

TEST(Server, a_head_that_does_not_come_is_answered_with_408) {
  World world;
  Client client = world.client();
  client.send("GET / HT");
  // The loop must have seen the bytes before its clock goes on.
  Client other = world.client();
  world.worker([](Request& r) { answer(r, ""); });
  other.send(get("/"));
  other.head();
  world.clock.advance(10s);
  EXPECT_EQ(status_of(client.rest()), 408);
}

TEST(Server, an_idle_connection_is_closed_after_its_time) {
  World world;
  world.worker([](Request& r) { answer(r, ""); });
  Client client = world.client();
  client.send(get("/"));
  EXPECT_EQ(status_of(client.head()), 200);
  // The one thread answers these after it gave that connection back, and the loop takes them back after it.
  Client other = world.client();
  for (int i = 0; i < 2; ++i) {
    other.send(get("/"));
    EXPECT_EQ(status_of(other.head()), 200);
  }
  world.clock.advance(75s);
  EXPECT_EQ(client.rest(), "");
}

TEST(Server, connections_beyond_the_limit_wait_and_are_served) {
  Limits limits;
  limits.connections_max = 2;
  World world(limits);
  world.worker([](Request& r) { answer(r, r.path()); });
  Client one = world.client();
  Client two = world.client();
  one.send(get("/1"));
  two.send(get("/2"));
  EXPECT_EQ(status_of(one.head()), 200);
  EXPECT_EQ(status_of(two.head()), 200);
  Client three = world.client();
  EXPECT_TRUE(three.connected());
  three.send(get("/3"));
  one.close();
  EXPECT_EQ(status_of(three.head()), 200);
}

TEST(Server, a_request_that_is_dropped_closes_its_connection) {
  World world;
  world.worker([](Request&) {});
  Client client = world.client();
  client.send(get("/"));
  EXPECT_EQ(client.rest(), "");
}

TEST(Server, an_answer_shorter_than_announced_ends_early) {
  World world;
  world.worker([](Request& r) {
    const codec::HeaderField length{"Content-Length", "5"};
    EXPECT_TRUE(r.start("200 OK", {&length, 1}));
    EXPECT_TRUE(r.send("abc", false));
    EXPECT_TRUE(r.send("", true));
    r.finish();
  });
  Client client = world.client();
  client.send(get("/"));
  EXPECT_TRUE(client.rest().ends_with("\r\n\r\nabc"));
}

TEST(Server, a_file_is_sent_whole_or_in_part) {
  World world;
  world.worker([](Request& r) {
    const os::Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    EXPECT_TRUE(r.start("200 OK", {}));
    EXPECT_TRUE(r.send_file(file.get(), 1, 3));
    r.finish();
  });
  Client client = world.client();
  client.send(get("/"));
  EXPECT_TRUE(client.head().contains("Content-Length: 3\r\n"));
  EXPECT_EQ(client.bytes(3), "ELF");
}

TEST(Server, stopping_answers_what_runs_and_says_close) {
  World world;
  std::promise<void> started;
  std::promise<void> go;
  world.worker([&](Request& r) {
    started.set_value();
    go.get_future().wait();
    answer(r, "done");
  });
  Client client = world.client();
  client.send(get("/"));
  started.get_future().wait();
  world.server->stop();
  go.set_value();
  const std::string all = client.rest();
  EXPECT_TRUE(all.contains("Connection: close\r\n"));
  EXPECT_TRUE(all.ends_with("done"));
  world.stop();
  EXPECT_TRUE(world.ran);
}

TEST(Server, a_stopping_server_still_answers_open_connections) {
  Limits limits;
  limits.drain_idle = 1h;
  World world(limits);
  world.worker([](Request& r) { answer(r, "late"); });
  Client client = world.client();
  client.send(get("/"));
  client.head();
  client.bytes(4);
  world.server->stop();
  client.send(get("/"));
  EXPECT_TRUE(client.rest().ends_with("late"));
}

TEST(Server, a_server_that_ended_gives_no_requests) {
  World world;
  world.stop();
  EXPECT_EQ(world.server->next(), nullptr);
}

TEST(Server, an_expired_request_is_answered_with_504_and_not_waited_for) {
  World world;
  Client client = world.client();
  client.send(get("/"));
  const auto request = world.server->next();
  request->expire();
  EXPECT_EQ(status_of(client.rest()), 504);
  world.stop();
  EXPECT_TRUE(world.ran);
  EXPECT_TRUE(request->start("200 OK", {}));
  EXPECT_EQ(request->send("x", true).error().code, Errc::kClosed);
  request->finish();
}

TEST(Server, nothing_is_sent_before_the_start_or_after_the_end) {
  World world;
  world.worker([](Request& r) {
    EXPECT_EQ(r.send("x", true).error().code, Errc::kInvalid);
    EXPECT_TRUE(r.start("200 OK", {}));
    EXPECT_TRUE(r.send("a", true));
    EXPECT_EQ(r.send("b", true).error().code, Errc::kInvalid);
    r.finish();
    EXPECT_EQ(r.send("c", true).error().code, Errc::kClosed);
    char one = 0;
    EXPECT_EQ(r.read({&one, 1}).error().code, Errc::kClosed);
  });
  Client client = world.client();
  client.send(get("/", "Connection: close\r\n"));
  EXPECT_TRUE(client.rest().ends_with("\r\n\r\na"));
}

TEST(Server, what_is_no_listening_socket_is_refused) {
  World world;
  const auto made = Server::make(0, {}, world.clock);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::kInvalid);
}

}  // namespace
}  // namespace hr::web
