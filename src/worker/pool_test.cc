// Single decisions of a pool, step by step.
#include "codec/json.h"
#include "worker/pool_world.h"
#include "worker/setup.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace hr::worker {
namespace {

constexpr ByteView kReady =
    R"({"op":"ready","version":"0.1.0","tasks":[{"name":"t","retries":2,"backoff":1,"timeout":300},)"
    R"({"name":"short","timeout":30}],"triggers":[]})";

// One pool with one child, spoken to by hand. Time moves only when it is told to.
class Bench : public ::testing::Test {
 protected:
  Bench() {
    PoolOptions options;
    options.name = "default";
    options.processes = {1, 1};
    pool_.emplace(options, entropy_);
    pool_->start(now());
    pool_->child_said(next<Spawn>().child, kReady, now());
    next<Prepare>();
    pool_->prepared({"default"}, now());
  }

  Instant now() const { return {from_ms(1'700'000'000'000) + elapsed_, Nanos(elapsed_ + 1s)}; }
  void later(Duration time) {
    elapsed_ += time;
    pool_->tick(now());
  }
  // The next action of that kind; what comes before it is dropped.
  template <class T>
  T next() {
    auto found = maybe<T>();
    EXPECT_TRUE(found.has_value());
    return found.value_or(T{});
  }
  template <class T>
  std::optional<T> maybe() {
    for (Action& action : pool_->take()) actions_.push_back(std::move(action));
    while (!actions_.empty()) {
      Action action = std::move(actions_.front());
      actions_.pop_front();
      if (auto* wanted = std::get_if<T>(&action)) return std::move(*wanted);
    }
    return std::nullopt;
  }
  static Bytes envelope(ByteView more = "") {
    return fmt::format(R"({{"headrace":1,"id":"j","task":"t","args":[1],"sent":5{}}})", more);
  }
  void receive(Bytes body, std::uint32_t count = 1) {
    const auto poll = next<Receive>();
    pool_->received(poll.op, std::vector<Message>{{"m", "r", std::move(body), count}}, now());
  }
  static Bytes mark(ByteView members) { return fmt::format(R"({{"v":1,"id":"j",{}}})", members); }
  void missing(OpId op) { pool_->finished(op, std::unexpected(Failure{Failure::Kind::kMissing, ""}), now()); }

  testing::SeededEntropy entropy_{1};
  std::optional<Pool> pool_;
  std::deque<Action> actions_;
  Duration elapsed_{};
};

TEST_F(Bench, the_lease_is_written_before_the_job_and_counts_from_before_the_request) {
  const auto poll = next<Receive>();
  const Nanos asked = now().boot;
  elapsed_ += 7s;  // the long poll took this long
  pool_->received(poll.op, std::vector<Message>{{"m", "r", envelope(), 1}}, now());
  EXPECT_EQ(next<SetLease>().end, asked + Nanos(60s));
  EXPECT_NE(next<WriteFrame>().frame.find(R"("args":[1])"), Bytes::npos);
}

TEST_F(Bench, a_lease_is_renewed_at_a_third_and_lost_before_its_end) {
  receive(envelope());
  next<WriteFrame>();
  later(20s);
  const auto renewal = next<ChangeVisibility>();
  EXPECT_EQ(renewal.entries.front().seconds, 60);
  pool_->visibility_changed(renewal.op, std::unexpected(Failure{}), now());
  later(34s);
  EXPECT_TRUE(maybe<Kill>() == std::nullopt) << "one second too early";
  later(1s);
  next<Kill>();
  EXPECT_EQ(pool_->status().counts.lost, 1U);
  EXPECT_EQ(pool_->status().held, 0U);
}

TEST_F(Bench, a_result_of_a_lost_lease_is_not_committed) {
  receive(envelope());
  const auto child = next<WriteFrame>().child;
  later(56s);
  pool_->child_said(child, R"({"op":"done","id":"j","result":1})", now());
  EXPECT_FALSE(maybe<PutObject>());
}

TEST_F(Bench, a_message_is_deleted_only_after_its_result_is_stored) {
  receive(envelope());
  pool_->child_said(next<WriteFrame>().child, R"({"op":"done","id":"j","result":[2]})", now());
  const auto put = next<PutObject>();
  EXPECT_EQ(put.key, "result/j");
  EXPECT_FALSE(maybe<DeleteMessage>());
  pool_->finished(put.op, std::unexpected(Failure{}), now());
  EXPECT_FALSE(maybe<DeleteMessage>());
  later(600ms);
  pool_->finished(next<PutObject>().op, Bytes(), now());
  next<DeleteMessage>();
}

TEST_F(Bench, attempts_come_from_the_mark_and_not_from_the_receives) {
  receive(envelope(), 9);
  pool_->finished(next<GetObject>().op,
                  mark(R"("receives":8,"attempts":1,"crashes":0,"releases":7,"state":"retrying")"), now());
  EXPECT_NE(next<WriteFrame>().frame.find(R"("attempt":2)"), Bytes::npos);
}

TEST_F(Bench, receives_that_nothing_explains_make_a_suspect_whose_mark_says_started_first) {
  receive(envelope(), 2);
  missing(next<GetObject>().op);  // no mark
  missing(next<GetObject>().op);  // and no result
  const auto put = next<PutObject>();
  EXPECT_EQ(put.key, "mark/j");
  EXPECT_NE(put.body.find(R"("state":"started")"), Bytes::npos);
  EXPECT_FALSE(maybe<WriteFrame>());
  pool_->finished(put.op, Bytes(), now());
  EXPECT_NE(next<WriteFrame>().frame.find(R"("attempt":1)"), Bytes::npos);
}

TEST_F(Bench, a_third_started_attempt_that_vanished_is_dead) {
  receive(envelope(), 4);
  pool_->finished(next<GetObject>().op,
                  mark(R"("receives":3,"attempts":2,"crashes":2,"releases":0,"state":"started")"), now());
  missing(next<GetObject>().op);
  const auto result = next<PutObject>();
  EXPECT_NE(result.body.find(R"("state":"dead")"), Bytes::npos);
  pool_->finished(result.op, Bytes(), now());
  pool_->finished(next<PutObject>().op, Bytes(), now());
  EXPECT_EQ(*codec::find(next<SendDead>().attributes, "headrace-reason"), "crashed");
}

TEST_F(Bench, a_suspect_whose_result_is_stored_is_deleted_without_a_run) {
  receive(envelope(), 2);
  missing(next<GetObject>().op);
  pool_->finished(next<GetObject>().op, Bytes(R"({"v":1,"sent":5,"state":"done"})"), now());
  next<DeleteMessage>();
}

TEST_F(Bench, a_longer_delay_than_a_visibility_timeout_should_carry_is_shortened_and_said) {
  receive(envelope());
  pool_->child_said(next<WriteFrame>().child, R"({"op":"failed","id":"j","type":"Retry","delay":901})",
                    now());
  const auto put = next<PutObject>();
  EXPECT_NE(put.body.find(R"("attempts":1)"), Bytes::npos);
  pool_->finished(put.op, Bytes(), now());
  EXPECT_EQ(next<ChangeVisibility>().entries.front().seconds, 900);
}

TEST_F(Bench, a_message_that_comes_before_its_time_goes_back_for_the_rest) {
  receive(envelope(fmt::format(R"(,"not_before":{})", to_ms(now().wall) + 90'000)));
  pool_->finished(next<PutObject>().op, Bytes(), now());
  EXPECT_EQ(next<ChangeVisibility>().entries.front().seconds, 90);
}

TEST_F(Bench, a_time_limit_costs_one_attempt_and_no_crash) {
  receive(R"({"headrace":1,"id":"j","task":"short","sent":5})");
  const auto child = next<WriteFrame>().child;
  later(29'999ms);
  EXPECT_FALSE(maybe<Kill>());
  later(1ms);
  next<Kill>();
  pool_->child_ended(child, {.signal = 9}, now());
  const auto put = next<PutObject>();
  EXPECT_NE(put.body.find(R"("attempts":1,"crashes":0)"), Bytes::npos);
}

TEST_F(Bench, a_child_that_speaks_for_another_job_is_not_heard) {
  receive(envelope());
  pool_->child_said(next<WriteFrame>().child, R"({"op":"done","id":"other","result":1})", now());
  EXPECT_FALSE(maybe<PutObject>());
  EXPECT_EQ(pool_->status().children.front().job, "j");
}

TEST_F(Bench, what_arrives_while_draining_goes_back_at_once) {
  const auto poll = next<Receive>();
  pool_->drain(30s, now());
  EXPECT_EQ(next<CancelReceive>().op, poll.op);
  pool_->received(poll.op, std::vector<Message>{{"m", "r", envelope(), 1}}, now());
  const auto put = next<PutObject>();
  EXPECT_NE(put.body.find(R"("releases":1)"), Bytes::npos);
  pool_->finished(put.op, Bytes(), now());
  const auto back = next<ChangeVisibility>();
  EXPECT_EQ(back.entries.front().seconds, 0);
  pool_->visibility_changed(back.op, std::vector<Outcome<void>>{{}}, now());
  pool_->child_ended(next<WriteFrame>().child, {}, now());
  EXPECT_EQ(next<Exit>().how, Exit::How::kDone);
}

TEST_F(Bench, an_envelope_of_another_version_is_a_dead_letter) {
  receive(R"({"headrace":2,"id":"x"})");
  const auto result = next<PutObject>();
  EXPECT_EQ(result.key, "result/x");
}

TEST(Setup, queues_of_triggers_are_polled_after_those_of_the_pool) {
  Ready ready;
  TaskSpec task;
  task.name = "a";
  task.queue = "mail";
  ready.tasks = {task};
  TriggerSpec trigger;
  trigger.task = "a";
  trigger.bucket = "b";
  trigger.queue = "on-a";
  ready.triggers = {trigger, trigger};
  const worker::Setup setup = plan_setup("shop", {"default"}, ready);
  EXPECT_EQ(setup.bucket, "headrace-shop");
  EXPECT_EQ(setup.polled, (std::vector<Bytes>{"default", "on-a"}));
  EXPECT_EQ(setup.queues, (std::vector<Bytes>{"default", "on-a", "mail"}));
  EXPECT_EQ(setup.triggers[0].rule.id, "headrace-a");
  EXPECT_EQ(setup.triggers[1].rule.id, "headrace-a-2");
}

TEST(Setup, notifications_of_others_stay) {
  const wire::S3QueueRule other{.id = "x", .queue_arn = "q", .events = {}, .prefix = "", .suffix = ""};
  const wire::S3QueueRule ours{
      .id = "headrace-a", .queue_arn = "q", .events = {}, .prefix = "p", .suffix = ""};
  const auto merged = merged_rules({other}, ours);
  ASSERT_TRUE(merged);
  EXPECT_EQ(*merged, (std::vector{other, ours}));
  EXPECT_FALSE(merged_rules({other, ours}, ours));
}

TEST(Frames, are_taken_whole_and_have_a_maximum) {
  Bytes buffer = framed("one") + framed("") + framed("two").substr(0, 5);
  EXPECT_EQ(**take_frame(buffer), "one");
  EXPECT_EQ(**take_frame(buffer), "");
  EXPECT_EQ(*take_frame(buffer), std::nullopt);
  Bytes long_one;
  Writer(long_one).u32(static_cast<std::uint32_t>(kFrameBytesMax) + 1);
  EXPECT_EQ(take_frame(long_one).error().code, Errc::kLimit);
}

TEST(Frames, a_timeout_past_what_a_lease_can_carry_is_refused_at_the_start) {
  const auto ready = [](double seconds) {
    return parse_child_message(
        fmt::format(R"({{"op":"ready","version":"1","tasks":[{{"name":"t","timeout":{}}}]}})", seconds));
  };
  EXPECT_TRUE(ready(41'400));
  EXPECT_FALSE(ready(41'401));
  EXPECT_FALSE(ready(0));
  EXPECT_FALSE(ready(-1));
}

}  // namespace
}  // namespace hr::worker
