// Deadlines, limits, addresses and the end of a server. Limits are set small; nothing here measures time.
#include "net/test_server.h"
#include "os/linux/linux.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace hr::net {
namespace {

using testing::body_of;
using testing::Client;
using testing::header_of;
using testing::status_of;
using testing::TestServer;

constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

TEST(Deadlines, a_head_that_does_not_end_is_answered_408) {
  TestServer server({.header_timeout = 20ms});
  Client client = server.tcp();
  client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
  EXPECT_EQ(status_of(client.rest()), 408);
  EXPECT_EQ(server.stats().timeouts, 1);
}

TEST(Deadlines, a_head_that_drips_is_answered_408) {
  TestServer server({.header_timeout = 20ms});
  Client client = server.tcp();
  while (client.try_send("a")) {
  }
  SUCCEED();
}

TEST(Deadlines, an_idle_connection_is_closed_without_an_answer) {
  TestServer server({.idle_timeout = 20ms});
  Client client = server.tcp();
  EXPECT_EQ(client.rest(), "");
  Client used = server.tcp();
  used.send(kGet);
  EXPECT_EQ(status_of(used.response()), 200);
  EXPECT_EQ(used.rest(), "");
}

TEST(Deadlines, a_body_that_stalls_is_answered_408) {
  TestServer server({.body_stall_timeout = 20ms});
  Client client = server.tcp();
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(status_of(client.rest()), 408);
  EXPECT_EQ(server.handler.failed_reads, 1);
}

TEST(Deadlines, a_body_below_the_least_rate_is_answered_408) {
  TestServer server(
      {.body_bytes_per_second_min = 1'000'000'000, .body_rate_grace = 20ms, .linger_timeout = 20ms});
  Client client = server.tcp();
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
  while (client.try_send("a")) {
  }
  EXPECT_EQ(server.stats().timeouts, 1);
}

TEST(Deadlines, a_peer_that_takes_no_answer_loses_its_connection) {
  TestServer server({.write_stall_timeout = 20ms});
  Client client = server.tcp();
  client.send("GET /bytes/50000000 HTTP/1.1\r\nHost: a\r\n\r\n");
  while (server.stats().timeouts == 0) std::this_thread::yield();
  EXPECT_LT(client.rest().size(), 50'000'000);
}

TEST(Limits, a_connection_over_the_most_waits_until_one_ends) {
  TestServer server({.connections_max = 2});
  Client first = server.tcp();
  Client second = server.tcp();
  first.send(kGet);
  EXPECT_EQ(status_of(first.response()), 200);
  second.send(kGet);
  EXPECT_EQ(status_of(second.response()), 200);
  Client third = server.tcp();
  third.send(kGet);
  EXPECT_EQ(server.stats().open, 2);
  first.close();
  EXPECT_EQ(status_of(third.response()), 200);
}

TEST(Files, are_sent_from_their_descriptor_and_without_one) {
  struct Hidden final : os::File {
    explicit Hidden(std::shared_ptr<os::File> f) : inner(std::move(f)) {}
    Result<std::size_t> read_at(std::uint64_t at, std::span<char> out, os::Label label) override {
      return inner->read_at(at, out, label);
    }
    Status write_at(std::uint64_t, ByteView, os::Label) override {
      return fail(Errc::kUnsupported, "read only");
    }
    Status sync(os::Label) override { return {}; }
    Status allocate(std::uint64_t, os::Label) override { return fail(Errc::kUnsupported, "read only"); }
    Status truncate(std::uint64_t, os::Label) override { return fail(Errc::kUnsupported, "read only"); }
    Result<std::uint64_t> size(os::Label label) override { return inner->size(label); }
    int native_handle() const override { return -1; }
    std::shared_ptr<os::File> inner;
  };
  TestServer server;
  auto disk = os::open_disk(server.folder + "/disk");
  ASSERT_TRUE(disk);
  auto file = (*disk)->open("blob", os::OpenMode::kCreate, "test");
  ASSERT_TRUE(file);
  std::string bytes;
  for (int i = 0; i < 800'000; ++i) bytes += std::to_string(i);
  ASSERT_TRUE((*file)->write_at(0, bytes, "test"));
  server.handler.file = std::move(*file);
  server.handler.file_bytes = bytes.size();

  for (const bool hidden : {false, true}) {
    if (hidden) server.handler.file = std::make_shared<Hidden>(server.handler.file);
    for (const bool local : {false, true}) {
      Client client = local ? server.local() : server.tcp();
      client.send("GET /file HTTP/1.1\r\nHost: a\r\n\r\nHEAD /file HTTP/1.1\r\nHost: a\r\n\r\n");
      client.send(kGet);
      EXPECT_TRUE(body_of(client.response()) == bytes.substr(10));
      EXPECT_EQ(header_of(client.response(false), "Content-Length"), std::to_string(bytes.size() - 10));
      EXPECT_EQ(body_of(client.response()), "GET /x");
    }
  }
}

TEST(Files, that_are_shorter_than_announced_end_the_connection) {
  TestServer server;
  auto disk = os::open_disk(server.folder + "/disk");
  ASSERT_TRUE(disk);
  auto file = (*disk)->open("blob", os::OpenMode::kCreate, "test");
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write_at(0, "0123456789abcdef", "test"));
  server.handler.file = std::move(*file);
  server.handler.file_bytes = 100;
  Client client = server.tcp();
  client.send("GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string response = client.rest();
  EXPECT_EQ(header_of(response, "Content-Length"), "90");
  EXPECT_EQ(body_of(response), "abcdef");
}

TEST(Listening, a_taken_address_is_busy) {
  TestServer server;
  server.on_reactor([&] {
    EXPECT_EQ(server.server->listen(UnixAddress{.path = server.path}).error().code, Errc::kBusy);
    EXPECT_EQ(server.server->listen(TcpAddress{.host = "127.0.0.1", .port = server.port}).error().code,
              Errc::kBusy);
  });
}

TEST(Listening, a_name_is_no_address) {
  TestServer server;
  server.on_reactor([&] {
    EXPECT_EQ(server.server->listen(TcpAddress{.host = "localhost", .port = 0}).error().code, Errc::kInvalid);
    EXPECT_EQ(server.server->listen(UnixAddress{.path = std::string(108, 'a')}).error().code, Errc::kInvalid);
    EXPECT_EQ(server.server->listen(UnixAddress{.path = ""}).error().code, Errc::kInvalid);
  });
}

TEST(Listening, a_stale_socket_is_replaced_and_a_file_is_not) {
  TestServer server;
  const std::string stale = server.folder + "/stale.sock";
  {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    stale.copy(where.sun_path, sizeof where.sun_path - 1);
    ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&where), sizeof where), 0);
    ::close(fd);
  }
  const std::string file = server.folder + "/file";
  std::ofstream(file) << "kept";
  server.on_reactor([&] {
    EXPECT_TRUE(server.server->listen(UnixAddress{.path = stale, .mode = 0600}));
    EXPECT_EQ(server.server->listen(UnixAddress{.path = file}).error().code, Errc::kInvalid);
  });
  EXPECT_EQ(std::filesystem::status(stale).permissions(), std::filesystem::perms(0600));
  Client client(stale);
  client.send(kGet);
  EXPECT_EQ(status_of(client.response()), 200);
}

TEST(Listening, the_name_of_a_socket_goes_with_it_unless_another_has_taken_it) {
  TestServer next;
  const std::string kept = next.folder + "/kept.sock", gone = next.folder + "/gone.sock";
  {
    TestServer first;
    first.on_reactor([&] {
      EXPECT_TRUE(first.server->listen(UnixAddress{.path = kept}));
      EXPECT_TRUE(first.server->listen(UnixAddress{.path = gone}));
    });
    std::filesystem::rename(next.path, kept);
  }
  EXPECT_FALSE(std::filesystem::exists(gone));
  Client client(kept);
  client.send(kGet);
  EXPECT_EQ(status_of(client.response()), 200);
}

TEST(Listening, a_passed_socket_is_served_and_stays_the_supervisors) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof where;
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&where), size), 0);
  {
    TestServer server;
    server.on_reactor([&] {
      EXPECT_EQ(server.server->listen(PassedSocket{.descriptor = fd}).error().code, Errc::kInvalid);
      EXPECT_FALSE(server.server->listen(PassedSocket{.descriptor = -1}));
    });
    ASSERT_EQ(::listen(fd, 8), 0);
    server.on_reactor([&] { EXPECT_TRUE(server.server->listen(PassedSocket{.descriptor = fd})); });
    ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&where), &size), 0);
    Client client(ntohs(where.sin_port));
    client.send(kGet);
    EXPECT_EQ(status_of(client.response()), 200);
  }
  const Client waiting(ntohs(where.sin_port));  // still accepted by the kernel
  ::close(fd);
}

TEST(Drain, lets_a_running_request_end_and_closes_idle_connections) {
  TestServer server;
  Client idle = server.tcp();
  idle.send(kGet);
  EXPECT_EQ(status_of(idle.response()), 200);
  Client busy = server.tcp();
  busy.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  server.handler.waiting.get_future().wait();
  std::thread draining([&] { server.drain(60s); });
  EXPECT_EQ(idle.rest(), "");
  server.on_reactor([&] { std::exchange(server.handler.release, nullptr)(); });
  const std::string last = busy.rest();
  EXPECT_EQ(body_of(last), "released");
  EXPECT_EQ(header_of(last, "Connection"), "close");
  draining.join();
  EXPECT_EQ(server.stats().open, 0);
  EXPECT_FALSE(std::filesystem::exists(server.path));
}

TEST(Drain, cuts_what_remains_at_its_deadline) {
  TestServer server;
  Client busy = server.tcp();
  busy.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  server.handler.waiting.get_future().wait();
  server.drain(10ms);
  server.handler.disconnected.get_future().wait();
  EXPECT_EQ(busy.rest(), "");
}

TEST(Stats, count_what_happened) {
  TestServer server;
  Client client = server.tcp();
  client.send(kGet);
  const std::size_t out = client.response().size();
  client.send("GET /status/404 HTTP/1.1\r\nHost: a\r\n\r\n");
  client.response();
  Client bad = server.tcp();
  bad.send("BAD\r\n\r\n");
  bad.rest();
  const ServerStats stats = server.stats();
  EXPECT_EQ(stats.accepted, 2);
  EXPECT_EQ(stats.requests, 2);
  EXPECT_EQ(stats.refused, 1);
  EXPECT_EQ(stats.responses_by_class[2], 1);
  EXPECT_EQ(stats.responses_by_class[4], 2);
  EXPECT_GT(stats.bytes_out, 2 * out);
  EXPECT_GT(stats.bytes_in, kGet.size());
}

}  // namespace
}  // namespace hr::net
