#include "api/front.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <stdexcept>

namespace hr::api {
namespace {

class FakeSource final : public Source {
 public:
  net::Task<Status> reach() override {
    if (down) co_return fail(Errc::kUnavailable, "nobody there");
    co_return Status();
  }
  net::Task<Result<std::vector<QueueCounts>>> queues() override {
    if (down) co_return fail(Errc::kUnavailable, "nobody there");
    co_return std::vector<QueueCounts>{{.name = "default", .visible = 3, .in_flight = 2, .delayed = 1}};
  }
  net::Task<Result<JobObjects>> job(Bytes id) override {
    if (down) co_return fail(Errc::kUnavailable, "nobody there");
    if (id == "known") co_return JobObjects{.result = R"({"state":"done"})", .mark = {}};
    if (id == "garbled") co_return JobObjects{.result = "{", .mark = "{}"};
    co_return JobObjects{};
  }
  net::Task<std::vector<Peer>> web() override {
    co_return std::vector<Peer>{{.name = "web-1", .answers = true, .says = {}}};
  }
  net::Task<std::vector<Peer>> workers() override {
    co_return std::vector<Peer>{{.name = "worker-default", .answers = true, .says = R"({"running":2})"}};
  }

  bool down = false;
};

class NoBody final : public net::RequestBody {
 public:
  net::Task<Result<std::string_view>> read() override { co_return std::string_view(); }
  net::Task<Result<std::string>> read_all(std::size_t) override { co_return std::string(); }
  std::optional<std::uint64_t> content_length() const override { return 0; }
  void on_disconnect(std::function<void()>) override {}
};

class ApiFront : public testing::Test {
 protected:
  net::Response ask(const std::string& target, const std::string& method = "GET") {
    boost::asio::io_context context;
    net::RequestHead head{.method = method, .target = target, .headers = {}, .peer = {}, .request_id = "r"};
    NoBody body;
    net::Response answer;
    boost::asio::co_spawn(context, front.handle(head, body),
                          [&](const std::exception_ptr& thrown, net::Response got) {
                            EXPECT_FALSE(thrown);
                            answer = std::move(got);
                          });
    context.run();
    return answer;
  }
  std::string text(const net::Response& response) { return std::get<std::string>(response.body); }

  FakeSource source;
  Front front{source, "shop", "0.1.0"};
};

TEST_F(ApiFront, health_needs_nobody) {
  source.down = true;
  EXPECT_EQ(ask("/_headrace/health").status, 200);
}

TEST_F(ApiFront, it_is_ready_while_the_services_answer) {
  EXPECT_EQ(ask("/_headrace/ready").status, 200);
  source.down = true;
  const auto answer = ask("/_headrace/ready");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(text(answer), "{\"error\":\"nobody there\"}\n");
}

TEST_F(ApiFront, status_shows_queues_and_who_answers) {
  EXPECT_EQ(text(ask("/_headrace/status?x=1")),
            "{\"app\":\"shop\",\"version\":\"0.1.0\",\"store\":true,"
            "\"queues\":[{\"name\":\"default\",\"visible\":3,\"in_flight\":2,\"delayed\":1}],"
            "\"web\":[{\"name\":\"web-1\",\"answers\":true}],"
            "\"workers\":[{\"name\":\"worker-default\",\"answers\":true,\"status\":{\"running\":2}}]}\n");
}

TEST_F(ApiFront, status_says_when_the_store_is_away) {
  source.down = true;
  const auto answer = ask("/_headrace/status");
  EXPECT_EQ(answer.status, 200);
  EXPECT_NE(text(answer).find("\"store\":false,\"error\":\"nobody there\""), std::string::npos);
}

TEST_F(ApiFront, a_job_is_shown_as_it_is_kept) {
  const auto answer = ask("/_headrace/jobs/known");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(text(answer), "{\"id\":\"known\",\"result\":{\"state\":\"done\"},\"mark\":null}\n");
}

TEST_F(ApiFront, what_is_kept_and_is_no_json_is_left_out) {
  EXPECT_EQ(text(ask("/_headrace/jobs/garbled")), "{\"id\":\"garbled\",\"result\":null,\"mark\":{}}\n");
}

TEST_F(ApiFront, an_unknown_job_is_not_found) { EXPECT_EQ(ask("/_headrace/jobs/other").status, 404); }

TEST_F(ApiFront, what_cannot_be_an_id_is_refused) {
  for (const std::string& id :
       {std::string(), std::string("a/b"), std::string("a%20b"), std::string(129, 'a')})
    EXPECT_EQ(ask("/_headrace/jobs/" + id).status, 400) << id;
}

TEST_F(ApiFront, nothing_is_changed_through_it) {
  const auto answer = ask("/_headrace/status", "POST");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers.find("allow"), "GET, HEAD");
}

TEST_F(ApiFront, other_paths_are_not_found) {
  for (const char* path : {"/", "/_headrace/", "/_headrace/nothing", "/status"})
    EXPECT_EQ(ask(path).status, 404) << path;
}

}  // namespace
}  // namespace hr::api
