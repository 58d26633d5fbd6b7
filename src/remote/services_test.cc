// What is repeated and what is not, and what refusals teach, against a server that says what a test wants.
#include "remote/services.h"

#include "base/log.h"
#include "codec/time_text.h"
#include "net/server.h"
#include "os/linux/linux.h"
#include "remote/s3.h"
#include "remote/sqs.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <string>
#include <unistd.h>

namespace hr::remote {
namespace {

class Lines final : public LogSink {
 public:
  bool wants(Severity) const override { return true; }
  void write(Severity, std::string_view event, std::span<const Field>) override {
    events.emplace_back(event);
  }
  std::vector<std::string> events;
};

struct Said {
  int status = 200;
  std::string body = "{}";
};

class Script final : public net::Handler {
 public:
  net::Task<net::Response> handle(net::RequestHead& head, net::RequestBody& body) override {
    static_cast<void>(co_await body.read_all(1U << 20));
    dates.emplace_back(head.headers.find("x-amz-date").value_or(""));
    net::Response response;
    const Said said = next.empty() ? Said() : next.front();
    if (!next.empty()) next.pop_front();
    response.status = said.status;
    response.body = said.body;
    co_return response;
  }
  std::deque<Said> next;
  std::vector<std::string> dates;  // that requests were signed with
};

Said sqs_error(int status, const std::string& code) {
  return {status, R"({"__type":"com.amazonaws.sqs#)" + code + "\"}"};
}

class Calls : public ::testing::Test {
 protected:
  Calls() {
    char name[] = "/tmp/headrace-calls-XXXXXX";
    folder_ = ::mkdtemp(name);
    EXPECT_TRUE(server_.listen(net::UnixAddress{folder_ + "/s"}));
    services_.emplace(runtime_, *clock_, ServicesSetup{.sqs = place(), .s3 = place()}, hr::Log(lines_));
    sqs_.emplace(*services_);
    s3_.emplace(*services_);
  }
  ~Calls() override {
    ::unlink((folder_ + "/s").c_str());
    ::rmdir(folder_.c_str());
  }
  ServicePlace place() const {
    return {.endpoint = *parse_endpoint("unix:" + folder_ + "/s"), .credentials = {"AK", "S", ""}};
  }
  template <class T>
  Answer<T> run(net::Task<Answer<T>> task) {
    std::optional<Answer<T>> out;
    runtime_.spawn(gate_, "test", keep(std::move(task), out));
    while (!out) runtime_.context().run_one();
    return std::move(*out);
  }
  template <class T>
  net::Task<void> keep(net::Task<Answer<T>> task, std::optional<Answer<T>>& out) {
    out = co_await std::move(task);
  }

  Lines lines_;
  net::Runtime runtime_{0, hr::Log(lines_)};
  std::unique_ptr<os::Clock> clock_ = os::make_clock(Time{});
  std::unique_ptr<os::Entropy> entropy_ = os::make_entropy();
  Script script_;
  net::Server server_{runtime_, script_, *clock_, *entropy_, hr::Log(lines_)};
  net::Gate gate_;
  std::string folder_;
  std::optional<Services> services_;
  std::optional<Sqs> sqs_;
  std::optional<S3> s3_;
};

TEST_F(Calls, what_does_the_same_when_done_twice_is_sent_again_after_a_failure) {
  script_.next = {{500, "oops"}, {503, "<Error><Code>SlowDown</Code></Error>"}, {200, "body"}};
  const auto got = run(s3_->get("b", "k"));
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, "body");
  EXPECT_EQ(services_->counts().s3, 3U);
  EXPECT_EQ(services_->counts().repeated, 2U);
  EXPECT_EQ(services_->counts().throttled, 1U);
}

TEST_F(Calls, a_send_is_sent_again_only_when_it_was_refused) {
  script_.next = {sqs_error(403, "RequestThrottled"), {200, R"({"MessageId":"m"})"}};
  EXPECT_EQ(run(sqs_->send({.queue_url = "q", .body = "b"})).value_or(""), "m");
  script_.next = {sqs_error(500, "InternalError"), {200, R"({"MessageId":"m"})"}};
  const auto failed = run(sqs_->send({.queue_url = "q", .body = "b"}));
  ASSERT_FALSE(failed);
  EXPECT_TRUE(failed.error().transient());
  EXPECT_EQ(services_->counts().sqs, 3U);
}

TEST_F(Calls, a_put_that_a_condition_decides_is_not_sent_again_after_a_failure) {
  script_.next = {{500, ""}};
  EXPECT_FALSE(run(s3_->put({.bucket = "b", .key = "k", .body = "x", .if_none_match = true})));
  EXPECT_EQ(services_->counts().s3, 1U);
  script_.next = {{500, ""}};
  EXPECT_TRUE(run(s3_->put({.bucket = "b", .key = "k", .body = "x"})));
}

TEST_F(Calls, a_refusal_that_patience_does_not_mend_stands_at_once) {
  script_.next = {{403, "<Error><Code>AccessDenied</Code></Error>"}};
  EXPECT_EQ(run(s3_->get("b", "k")).error().kind, FaultKind::kRefused);
  EXPECT_EQ(services_->counts().s3, 1U);
}

// An hour behind the server's.
class Behind final : public os::Clock {
 public:
  explicit Behind(const os::Clock& right) : right_(right) {}
  Time now() const override { return right_.now() - 1h; }
  Time wall() const override { return right_.wall() - 1h; }
  Nanos boottime() const override { return right_.boottime(); }

 private:
  const os::Clock& right_;
};

TEST_F(Calls, a_clock_that_is_wrong_is_told_once_and_signed_around) {
  const Behind clock(*clock_);
  Services services(runtime_, clock, {.sqs = place(), .s3 = place()}, hr::Log(lines_));
  S3 s3(services);
  script_.next = {{403, "<Error><Code>RequestTimeTooSkewed</Code></Error>"}, {200, "a"}};
  EXPECT_EQ(run(s3.get("b", "k")).value_or(""), "a");
  EXPECT_EQ(run(s3.get("b", "k")).value_or(""), "{}");
  ASSERT_EQ(script_.dates.size(), 3U);
  for (const std::size_t i : {1U, 2U}) {
    EXPECT_LT(std::chrono::abs(*codec::parse_amz_date(script_.dates[i]) - clock_->wall()), Duration(1min))
        << i;
  }
  EXPECT_EQ(std::ranges::count(lines_.events, "clock_wrong"), 1);
}

TEST_F(Calls, a_queue_over_its_limit_is_told_of_and_tried_again_later) {
  script_.next = {sqs_error(400, "OverLimit"), sqs_error(400, "OverLimit")};
  for (int i = 0; i < 2; ++i) {
    const auto got = run(sqs_->receive({.queue_url = "http://h/1/q", .wait_s = 0}));
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().kind, FaultKind::kOverLimit);
    EXPECT_TRUE(got.error().transient());
  }
  EXPECT_EQ(std::ranges::count(lines_.events, "queue_over_limit"), 1) << "once a minute";
}

TEST_F(Calls, a_fifo_queue_that_only_seems_empty_is_looked_at) {
  for (const int in_flight : {119'999, 120'000}) {
    script_.next = {{},
                    {},
                    {},
                    {200, fmt::format(R"({{"Attributes":{{"ApproximateNumberOfMessages":"5",)"
                                      R"("ApproximateNumberOfMessagesNotVisible":"{}"}}}})",
                                      in_flight)}};
    const std::string url = fmt::format("http://h/1/q{}.fifo", in_flight);
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(run(sqs_->receive({.queue_url = url, .wait_s = 0})));
    const bool full = in_flight == 120'000;
    EXPECT_EQ(std::ranges::count(lines_.events, "queue_over_limit"), full ? 1 : 0);
    EXPECT_EQ(services_->counts().sqs, full ? 10U : 5U) << "the counts are asked for once";
  }
}

TEST(InFlightWatch, looks_at_fifo_queues_that_stay_empty_and_once_a_minute) {
  InFlightWatch watch;
  const Nanos now = std::chrono::hours(1);
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(watch.wants_look("http://h/1/standard", true, now));
  EXPECT_FALSE(watch.wants_look("u.fifo", true, now));
  EXPECT_FALSE(watch.wants_look("u.fifo", true, now));
  EXPECT_TRUE(watch.wants_look("u.fifo", true, now));
  EXPECT_FALSE(watch.wants_look("u.fifo", true, now + std::chrono::seconds(59)));
  EXPECT_TRUE(watch.wants_look("u.fifo", true, now + std::chrono::seconds(60)));
  EXPECT_FALSE(watch.wants_look("u.fifo", false, now + std::chrono::hours(1)));
}

}  // namespace
}  // namespace hr::remote
