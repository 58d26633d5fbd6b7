// The client against a server of our own on the same reactor, and answers as values.
#include "base/log.h"
#include "net/server.h"
#include "os/linux/linux.h"
#include "remote/http_client.h"
#include "remote/s3.h"
#include "remote/sqs.h"

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <unistd.h>

namespace hr::remote {
namespace {

class NoLog final : public LogSink {
 public:
  bool wants(Severity) const override { return false; }
  void write(Severity, std::string_view, std::span<const Field>) override {}
};

// Answers /wait when the peer stops sending, with what had "just" come; everything else at once.
class Echo final : public net::Handler {
 public:
  net::Task<net::Response> handle(net::RequestHead& head, net::RequestBody& body) override {
    ++requests;
    const auto sent = co_await body.read_all(1U << 20);
    net::Response response;
    if (head.target == "/wait") {
      co_await net::await_call<bool>([&](auto done) {
        const auto end = std::make_shared<std::move_only_function<void(bool)>>(std::move(done));
        body.on_disconnect([end] { (*end)(true); });
        if (waiting) waiting();
      });
      response.body = "raced";
      co_return response;
    }
    if (head.target == "/close") response.close = true;
    response.body = std::string(head.method) + " " + sent.value_or("");
    for (const auto& header : head.headers) last_headers.set(header.name, header.value);
    co_return response;
  }
  int requests = 0;
  std::function<void()> waiting;
  net::Headers last_headers;
};

class Client : public ::testing::Test {
 protected:
  Client() {
    char name[] = "/tmp/headrace-remote-XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = folder_ + "/s";
    EXPECT_TRUE(server_.listen(net::UnixAddress{path_}));
  }
  ~Client() override {
    ::unlink(path_.c_str());
    ::rmdir(folder_.c_str());
  }
  void run(net::Task<void> task) {
    runtime_.spawn(gate_, "test", ended(std::move(task)));
    runtime_.run();
  }
  net::Task<void> ended(net::Task<void> task) {
    co_await std::move(task);
    runtime_.stop();
  }
  Endpoint here() const { return *parse_endpoint("unix:" + path_); }
  static HttpCall call(Bytes target, Bytes body = {}) {
    return {.method = "POST",
            .target = std::move(target),
            .headers = {{"host", "localhost"}},
            .body = std::move(body),
            .timeout = 5s};
  }

  NoLog sink_;
  net::Runtime runtime_{0, hr::Log(sink_)};
  std::unique_ptr<os::Clock> clock_ = os::make_clock(Time{});
  std::unique_ptr<os::Entropy> entropy_ = os::make_entropy();
  Echo echo_;
  net::Server server_{runtime_, echo_, *clock_, *entropy_, hr::Log(sink_)};
  net::Gate gate_;
  std::string folder_, path_;
};

TEST(Endpoint, is_an_address_with_a_port_or_a_unix_socket) {
  EXPECT_EQ(parse_endpoint("http://127.0.0.1:9324")->port, 9324);
  EXPECT_EQ(parse_endpoint("http://localhost:9324/")->host, "127.0.0.1");
  EXPECT_EQ(parse_endpoint("http://localhost:9324/")->host_header, "localhost:9324");
  EXPECT_EQ(parse_endpoint("unix:/a/b")->unix_path, "/a/b");
  EXPECT_EQ(parse_endpoint("unix:b").error().code, Errc::kInvalid);
  EXPECT_TRUE(parse_endpoint("unix:/" + std::string(106, 'a')));
  EXPECT_FALSE(parse_endpoint("unix:/" + std::string(107, 'a')));
  EXPECT_TRUE(parse_endpoint("https://127.0.0.1:1")->tls);
  EXPECT_EQ(parse_endpoint("https://sqs.eu-west-1.amazonaws.com")->port, 443);
  EXPECT_EQ(parse_endpoint("http://[::1]:9")->host, "::1");
  EXPECT_EQ(parse_endpoint("http://[::1]:9")->host_header, "[::1]:9");
  for (const char* bad : {"http://", "http://a:b", "http://a/b", "http://[::1", "http://::1", "http://[::1]x",
                          "http://u@h", "http://h:65536", "https://h?x", "http://h h"}) {
    EXPECT_EQ(parse_endpoint(bad).error().code, Errc::kInvalid) << bad;
  }
  EXPECT_FALSE(parse_endpoint("http://127.0.0.1:0"));
  EXPECT_FALSE(parse_endpoint("ftp://127.0.0.1:1"));
}

net::Task<void> ask_twice(HttpClient& client, HttpCall first, HttpCall second, std::string& out) {
  for (HttpCall* call : {&first, &second}) {
    const auto answer = co_await client.call(*call);
    out += answer ? answer->body + ";" : "error: " + answer.error().message + ";";
  }
}

TEST_F(Client, a_connection_is_used_again) {
  HttpClient client(runtime_, *clock_, here());
  std::string out;
  run(ask_twice(client, call("/a", "one"), call("/b", "two"), out));
  EXPECT_EQ(out, "POST one;POST two;");
  EXPECT_EQ(server_.stats().accepted, 1U);
  EXPECT_EQ(client.idle(), 1U);
}

TEST_F(Client, a_connection_that_the_server_ends_is_not) {
  HttpClient client(runtime_, *clock_, here());
  std::string out;
  run(ask_twice(client, call("/close", "one"), call("/b", "two"), out));
  EXPECT_EQ(out, "POST one;POST two;");
  EXPECT_EQ(server_.stats().accepted, 2U);
}

TEST_F(Client, nobody_there_is_unavailable) {
  HttpClient client(runtime_, *clock_, *parse_endpoint("unix:" + path_ + "-not"));
  std::string out;
  run(ask_twice(client, call("/"), call("/"), out));
  EXPECT_TRUE(out.starts_with("error: ")) << out;
}

TEST_F(Client, a_line_break_in_a_header_is_never_sent) {
  HttpClient client(runtime_, *clock_, here());
  HttpCall bad = call("/");
  bad.headers.emplace_back("x", "a\r\nb: c");
  std::string out;
  run(ask_twice(client, bad, call("/a b"), out));
  EXPECT_EQ(echo_.requests, 0);
  EXPECT_EQ(out, "error: a line break in a request's head;error: a line break in a request's head;");
}

net::Task<void> ask_late(HttpClient& client, HttpCall call, Errc& code) {
  call.timeout = 50ms;
  const auto answer = co_await client.call(std::move(call));
  if (!answer) code = answer.error().code;
}

TEST_F(Client, an_answer_that_does_not_come_is_a_timeout) {
  HttpClient client(runtime_, *clock_, here());
  Errc code{};
  run(ask_late(client, call("/wait"), code));
  EXPECT_EQ(code, Errc::kTimeout);
  EXPECT_EQ(client.idle(), 0U);
}

net::Task<void> ask_and_cancel(HttpClient& client, HttpCall call, Cancel& cancel, std::string& out) {
  const auto answer = co_await client.call(std::move(call), &cancel);
  out = answer ? answer->body : "error: " + answer.error().message;
}

TEST_F(Client, a_cancelled_wait_still_yields_what_was_on_its_way) {
  HttpClient client(runtime_, *clock_, here());
  Cancel cancel;
  echo_.waiting = [&] { boost::asio::post(runtime_.context(), [&] { cancel(); }); };
  std::string out;
  run(ask_and_cancel(client, call("/wait"), cancel, out));
  EXPECT_EQ(out, "raced");
  EXPECT_EQ(client.idle(), 0U);
}

TEST_F(Client, a_call_cancelled_before_it_began_is_not_sent) {
  HttpClient client(runtime_, *clock_, here());
  Cancel cancel;
  cancel();
  std::string out;
  run(ask_and_cancel(client, call("/a"), cancel, out));
  EXPECT_EQ(out, "error: cancelled");
  EXPECT_EQ(echo_.requests, 0);
}

net::Task<void> signed_call(Services& services, Bytes& body) {
  auto answer =
      co_await services.call({.service = "sqs", .method = "POST", .body = "x"}, {.request_id = "r-7"});
  if (answer) body = answer->body;
}

TEST_F(Client, service_calls_are_signed_and_carry_the_request_id) {
  const ServicePlace place{.endpoint = here(), .credentials = {"AK", "S", ""}};
  Services services(runtime_, *clock_, {.sqs = place, .s3 = place}, hr::Log(sink_));
  Bytes body;
  run(signed_call(services, body));
  EXPECT_EQ(body, "POST x");
  const auto authorization = echo_.last_headers.find("authorization");
  ASSERT_TRUE(authorization);
  EXPECT_NE(authorization->find("Credential=AK/"), std::string_view::npos);
  EXPECT_EQ(authorization->find("x-request-id"), std::string_view::npos);
  EXPECT_EQ(echo_.last_headers.find("x-request-id"), "r-7");
}

codec::Response response(int status, Bytes body) {
  codec::Response out;
  out.status = status;
  out.body = std::move(body);
  return out;
}

TEST(Faults, tell_what_may_be_tried_again) {
  const auto missing = fault_of_sqs(
      response(400, R"({"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no such queue"})"));
  EXPECT_EQ(missing.kind, FaultKind::kMissing);
  EXPECT_EQ(missing.text(), "QueueDoesNotExist: no such queue");
  EXPECT_FALSE(missing.transient());
  EXPECT_EQ(fault_of_sqs(response(403, R"({"__type":"x#RequestThrottled"})")).kind, FaultKind::kThrottled);
  EXPECT_TRUE(fault_of_sqs(response(503, "<html>")).transient());
  EXPECT_EQ(fault_of_s3(response(404, "<Error><Code>NoSuchKey</Code></Error>")).kind, FaultKind::kMissing);
  EXPECT_EQ(fault_of_s3(response(412, "")).kind, FaultKind::kConflict);
  EXPECT_EQ(fault_of_s3(response(403, "<Error><Code>AccessDenied</Code></Error>")).kind, FaultKind::kRefused);
  EXPECT_TRUE(fault_of_s3(response(503, "<Error><Code>SlowDown</Code></Error>")).transient());
  EXPECT_FALSE(fault_of_error({Errc::kClosed, ""}, true).transient());
  EXPECT_TRUE(fault_of_error({Errc::kClosed, ""}, false).transient());
}

TEST(Answers, of_a_batch_are_per_entry_and_nothing_left_out_counts_as_done) {
  const auto each = read_each(R"({"Successful":[{"Id":"0"}],"Failed":[)"
                              R"({"Id":"1","Code":"ReceiptHandleIsInvalid","SenderFault":true}]})",
                              3);
  ASSERT_TRUE(each);
  EXPECT_TRUE((*each)[0]);
  EXPECT_EQ((*each)[1].error().kind, FaultKind::kRefused);
  EXPECT_TRUE((*each)[2].error().transient());
}

TEST(Answers, of_a_receive_hold_counts_and_text_attributes) {
  const auto messages = read_received(
      R"({"Messages":[{"MessageId":"m","ReceiptHandle":"r","Body":"b",)"
      R"("Attributes":{"ApproximateReceiveCount":"3",)"
      R"("SentTimestamp":"17"},"MessageAttributes":{"a":{"DataType":"String","StringValue":"v"}}}]})");
  ASSERT_TRUE(messages);
  EXPECT_EQ(messages->front().receives, 3U);
  EXPECT_EQ(messages->front().attributes, (codec::Pairs{{"a", "v"}}));
  EXPECT_TRUE(read_received("{}")->empty());
  EXPECT_FALSE(read_received("no json"));
  EXPECT_FALSE(read_received(R"({"Messages":[{"Body":"b"}]})"));
}

}  // namespace
}  // namespace hr::remote
