// Single decisions of a pool, step by step.
#include "codec/digest.h"
#include "codec/json.h"
#include "worker/pool_bench.h"
#include "worker/setup.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace hr::worker {
namespace {

using testing::Bench;
using testing::kReady;

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
  EXPECT_FALSE(maybe<Recall>()) << "one second too early";
  later(1s);
  pool_->recalled(next<Recall>().child, 1, now());
  next<Kill>();
  EXPECT_EQ(pool_->status().counts.lost, 1U);
  EXPECT_EQ(pool_->status().held, 0U);
}

TEST_F(Bench, a_result_of_a_lost_lease_is_not_committed) {
  receive(envelope());
  const auto child = next<WriteFrame>().child;
  later(56s);
  said(child, R"({"op":"done","id":"j","result":1})");
  EXPECT_FALSE(maybe<PutObject>());
}

// One queue for tasks that run beside each other and for one that does not.
class MixedQueue : public Bench {
 protected:
  MixedQueue()
      : Bench(1, 60s,
              R"({"op":"ready","version":"0.1.0","tasks":[{"name":"t","timeout":300,"queue":"default"},)"
              R"({"name":"nap","timeout":30,"async":true,"queue":"default"}],"triggers":[]})") {}
  static Message nap(int number) {
    return {std::to_string(number), std::to_string(number),
            fmt::format(R"({{"headrace":1,"id":"n{}","task":"nap","args":[1],"sent":5}})", number), 1};
  }
};

TEST_F(MixedQueue, as_many_are_asked_for_as_run_at_once_while_only_such_come) {
  receive({nap(1)});
  EXPECT_EQ(next<Receive>().max, 99);
}

TEST_F(MixedQueue, all_that_may_run_at_once_do_though_they_come_one_by_one_and_take_long) {
  for (int i = 1; i <= 100; ++i) receive({nap(i)});
  EXPECT_EQ(pool_->status().children.front().running, 100U);
  EXPECT_FALSE(maybe<Receive>());
}

TEST_F(MixedQueue, one_that_runs_alone_among_them_and_no_more_is_asked_for) {
  receive({nap(1), {"m", "r", envelope(), 1}});
  EXPECT_FALSE(maybe<Receive>());
}

TEST_F(Bench, a_message_is_deleted_only_after_its_result_is_stored) {
  receive(envelope());
  said(next<WriteFrame>().child, R"({"op":"done","id":"j","result":[2]})");
  const auto put = next<PutObject>();
  EXPECT_EQ(put.key, "result/j");
  EXPECT_FALSE(maybe<DeleteMessages>());
  pool_->finished(put.op, std::unexpected(Failure{}), now());
  EXPECT_FALSE(maybe<DeleteMessages>());
  later(600ms);
  pool_->finished(next<PutObject>().op, Bytes(), now());
  next<DeleteMessages>();
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
  next<DeleteMessages>();
}

class ShortLease : public Bench {
 protected:
  ShortLease() : Bench(1, 15s) {}
};

TEST_F(ShortLease, a_job_begins_with_two_thirds_of_it_left) {
  const auto poll = next<Receive>();
  later(4'999ms);
  pool_->received(poll.op, std::vector<Message>{{"m", "r", envelope(), 1}}, now());
  EXPECT_TRUE(maybe<WriteFrame>());
}

TEST_F(ShortLease, a_job_that_comes_with_less_waits_for_the_renewal) {
  const auto poll = next<Receive>();
  later(5'001ms);
  pool_->received(poll.op, std::vector<Message>{{"m", "r", envelope(), 1}}, now());
  const auto renewal = next<ChangeVisibility>();
  EXPECT_EQ(renewal.entries.front().seconds, 15);
  EXPECT_FALSE(maybe<WriteFrame>());
  pool_->visibility_changed(renewal.op, std::vector<Outcome<void>>(1), now());
  EXPECT_TRUE(maybe<WriteFrame>());
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
  EXPECT_FALSE(maybe<Recall>());
  later(1ms);
  pool_->recalled(next<Recall>().child, 1, now());
  next<Kill>();
  pool_->child_ended(child, {.signal = 9, .begun = 1}, now());
  const auto put = next<PutObject>();
  EXPECT_NE(put.body.find(R"("attempts":1,"crashes":0)"), Bytes::npos);
}

TEST_F(Bench, a_child_that_speaks_for_another_job_is_not_heard) {
  receive(envelope());
  said(next<WriteFrame>().child, R"({"op":"done","id":"other","result":1})");
  EXPECT_FALSE(maybe<PutObject>());
  EXPECT_EQ(pool_->status().children.front().job, "j");
}

TEST_F(Bench, a_dead_letter_that_is_refused_goes_once_more_without_attributes) {
  receive("hello");
  pool_->finished(next<PutObject>().op, Bytes(), now());
  pool_->finished(next<PutObject>().op, Bytes(), now());
  const auto first = next<SendDead>();
  EXPECT_EQ(first.dedup_id, "m#0") << "not the job: given back to its queue, it may die again";
  EXPECT_FALSE(first.attributes.empty());
  pool_->finished(first.op, std::unexpected(Failure{Failure::Kind::kRefused, "too long"}), now());
  const auto second = next<SendDead>();
  EXPECT_TRUE(second.attributes.empty());
  EXPECT_EQ(second.body, "hello");
  pool_->finished(second.op, Bytes(), now());
  next<DeleteMessages>();
}

TEST_F(Bench, a_result_that_is_refused_three_times_is_the_end_of_its_job) {
  receive(envelope());
  said(next<WriteFrame>().child, R"({"op":"done","id":"j","result":1})");
  const auto refuse = [&](OpId op) {
    pool_->finished(op, std::unexpected(Failure{Failure::Kind::kRefused, "no"}), now());
  };
  for (int i = 0; i < 2; ++i) {
    refuse(next<PutObject>().op);
    later(20s);
    if (const auto renewal = maybe<ChangeVisibility>()) {
      pool_->visibility_changed(renewal->op, std::vector<Outcome<void>>{{}}, now());
    }
    later(10s);
  }
  refuse(next<PutObject>().op);
  EXPECT_NE(next<PutObject>().body.find("ResultRefused"), Bytes::npos);
}

class TwoChildren : public Bench {
 protected:
  TwoChildren() : Bench(2) {}
};

TEST_F(TwoChildren, what_comes_behind_a_suspect_that_waits_runs_before_it) {
  const Bytes body = R"({"args":[1],"kwargs":{}})";
  const Bytes reference = fmt::format(R"("body":{{"key":"body/c","size":{},"sha256":"{}"}})", body.size(),
                                      codec::sha256_hex(body));
  receive(envelope());
  receive(std::vector<Message>{
      {"b", "rb", R"({"headrace":1,"id":"b","task":"t","sent":5,"keep_result":false})", 2},
      {"c", "rc", fmt::format(R"({{"headrace":1,"id":"c","task":"t","sent":5,{}}})", reference), 1}});
  const auto mark_of_b = next<GetObject>();
  const auto body_of_c = next<GetObject>();
  missing(mark_of_b.op);
  pool_->finished(body_of_c.op, body, now());
  EXPECT_NE(next<WriteFrame>().frame.find(R"("id":"c")"), Bytes::npos);
  EXPECT_FALSE(maybe<PutObject>()) << "b waits to be alone";
}

TEST_F(TwoChildren, what_waits_while_a_suspect_runs_is_given_back) {
  receive(std::vector<Message>{
      {"b", "rb", R"({"headrace":1,"id":"b","task":"t","sent":5,"keep_result":false})", 2},
      {"c", "rc", R"({"headrace":1,"id":"c","task":"t","sent":5,"keep_result":false})", 2}});
  const auto mark_of_b = next<GetObject>();
  const auto mark_of_c = next<GetObject>();
  missing(mark_of_b.op);
  pool_->finished(next<PutObject>().op, Bytes(), now());
  EXPECT_NE(next<WriteFrame>().frame.find(R"("id":"b")"), Bytes::npos);
  pool_->finished(
      mark_of_c.op,
      Bytes(R"({"v":1,"id":"c","receives":1,"attempts":0,"crashes":0,"releases":0,"state":"retrying"})"),
      now());
  EXPECT_FALSE(maybe<WriteFrame>());
  later(1s);
  EXPECT_EQ(next<PutObject>().key, "mark/c");
}

TEST_F(Bench, arguments_that_were_put_aside_and_a_mark_go_with_a_good_end) {
  const Bytes body = R"({"args":[1],"kwargs":{}})";
  const Bytes reference = fmt::format(R"(,"body":{{"key":"body/j","size":{},"sha256":"{}"}})", body.size(),
                                      codec::sha256_hex(body));
  receive(fmt::format(R"({{"headrace":1,"id":"j","task":"t","sent":5,"keep_result":false{}}})", reference),
          2);
  pool_->finished(next<GetObject>().op,
                  mark(R"("receives":1,"attempts":0,"crashes":0,"releases":0,"state":"retrying")"), now());
  pool_->finished(next<GetObject>().op, body, now());
  said(next<WriteFrame>().child, R"({"op":"done","id":"j"})");
  pool_->deleted(next<DeleteMessages>().op, std::vector<Outcome<void>>{{}}, now());
  EXPECT_EQ(next<EraseObject>().key, "mark/j");
  EXPECT_EQ(next<EraseObject>().key, "body/j");
}

// ---- jobs ahead of a child

// After one run of 1 ms, a batch of jobs a, b, c ... is with the child.
class Ahead : public Bench {
 protected:
  static Message message(Bytes id, ByteView task) {
    return {id, "r" + id,
            fmt::format(R"({{"headrace":1,"id":"{}","task":"{}","sent":5,"keep_result":false}})", id, task),
            1};
  }
  ChildId warm(ByteView task = "t") {
    receive(std::vector<Message>{message("warm", task)});
    const ChildId child = next<WriteFrame>().child;
    said(child, R"({"op":"done","id":"warm","seconds":0.001})");
    return child;
  }
  ChildId fill(int jobs, ByteView task = "t") {
    const ChildId child = warm(task);
    const auto poll = next<Receive>();
    pool_->deleted(next<DeleteMessages>().op, std::vector<Outcome<void>>{{}}, now());
    std::vector<Message> messages;
    for (int i = 0; i < jobs; ++i) messages.push_back(message(Bytes(1, static_cast<char>('a' + i)), task));
    pool_->received(poll.op, std::move(messages), now());
    return child;
  }
  Bytes frames() {  // ids of the jobs written to a child now
    Bytes out;
    while (const auto frame = maybe<WriteFrame>()) {
      const auto call = codec::parse_json(frame->frame);
      const auto* id = call ? call->find("id") : nullptr;
      if (id != nullptr) out += *id->as_string();
    }
    return out;
  }
};

TEST_F(Bench, a_second_message_of_a_job_that_ended_dead_meanwhile_does_not_run_it) {
  receive({Message{"m1", "r1", envelope(), 1}, Message{"m2", "r2", envelope(), 1}});
  said(next<WriteFrame>().child, R"({"op":"failed","id":"j","type":"E","message":"no","retry":false})");
  pool_->finished(next<PutObject>().op, Bytes(), now());  // the result
  pool_->finished(next<PutObject>().op, Bytes(), now());  // the mark
  pool_->finished(next<SendDead>().op, Bytes(), now());
  pool_->deleted(next<DeleteMessages>().op, std::vector<Outcome<void>>(1), now());
  const auto look = next<GetObject>();
  EXPECT_EQ(look.key, "mark/j");
  pool_->finished(look.op, mark(R"("receives":1,"attempts":1,"crashes":0,"releases":0,"state":"dead")"),
                  now());
  next<SendDead>();
  EXPECT_FALSE(maybe<WriteFrame>());
}

TEST_F(Ahead, a_task_that_nothing_is_known_of_is_received_alone) { EXPECT_EQ(next<Receive>().max, 1); }

TEST_F(Ahead, while_tasks_are_short_a_child_is_given_many) {
  fill(4);
  EXPECT_EQ(frames(), "abcd");
}

TEST_F(Ahead, more_is_asked_for_while_tasks_are_short) {
  warm();
  EXPECT_EQ(next<Receive>().max, 117) << "120 ms of work, at 1.02 ms each";
}

TEST_F(Ahead, what_a_child_says_can_wait_only_while_it_has_plenty_before_it) {
  receive(std::vector<Message>{message("warm", "t")});
  const ChildId child = next<WriteFrame>().child;
  EXPECT_FALSE(pool_->has_plenty(child)) << "whose time nobody knows";
  said(child, R"({"op":"done","id":"warm","seconds":0.0001})");
  std::vector<Message> messages;
  for (int i = 0; i < 200; ++i) messages.push_back(message(fmt::format("j{}", i), "t"));
  receive(std::move(messages));
  EXPECT_TRUE(pool_->has_plenty(child));
  for (int i = 0; i < 140; ++i) said(child, fmt::format(R"({{"op":"done","id":"j{}","seconds":0.0001}})", i));
  EXPECT_FALSE(pool_->has_plenty(child));
}

TEST_F(Ahead, a_child_ends_before_the_first_lease_of_what_it_has) {
  const ChildId child = fill(1);
  EXPECT_EQ(next<SetLease>().end, Nanos(61s));
  const auto first = next<Receive>();
  elapsed_ += 50ms;
  pool_->received(first.op, std::vector<Message>{message("b", "t")}, now());
  const auto second = next<Receive>();
  elapsed_ += 20ms;
  pool_->received(second.op, std::vector<Message>{message("c", "t")}, now());
  said(child, R"({"op":"done","id":"a"})");
  EXPECT_FALSE(maybe<SetLease>()) << "b was asked for at the same time as a, and c later";
  said(child, R"({"op":"done","id":"b"})");
  EXPECT_EQ(next<SetLease>().end, Nanos(61s + 50ms));
}

TEST_F(Ahead, deletes_that_gather_leave_together) {
  const ChildId child = fill(3);
  for (const char* id : {"a", "b", "c"}) said(child, fmt::format(R"({{"op":"done","id":"{}"}})", id));
  const auto first = next<DeleteMessages>();
  EXPECT_EQ(first.receipts, std::vector<Bytes>{"ra"});
  EXPECT_FALSE(maybe<DeleteMessages>());
  later(5ms);
  EXPECT_EQ(next<DeleteMessages>().receipts, (std::vector<Bytes>{"rb", "rc"}));
}

TEST_F(Ahead, each_entry_of_a_batch_has_its_own_outcome) {
  const ChildId child = fill(2);
  const ByteView done[] = {R"({"op":"done","id":"a"})", R"({"op":"done","id":"b"})"};
  pool_->child_said(child, done, now());
  const auto erase = next<DeleteMessages>();
  ASSERT_EQ(erase.receipts.size(), 2U);
  pool_->deleted(erase.op, std::vector<Outcome<void>>{{}, std::unexpected(Failure{})}, now());
  EXPECT_EQ(pool_->status().held, 1U);
  later(600ms);
  EXPECT_EQ(next<DeleteMessages>().receipts, std::vector<Bytes>{"rb"});
}

TEST_F(Ahead, a_job_that_turns_out_long_lets_go_what_waits_behind_it) {
  const ChildId child = fill(3);
  later(99ms);
  EXPECT_FALSE(maybe<Recall>());
  later(1ms);
  const auto recall = next<Recall>();
  EXPECT_EQ(recall.given, 4U) << "the warm one, and three";
  pool_->recalled(child, 2, now());
  EXPECT_FALSE(maybe<WriteFrame>()) << "not to the child that is stuck";
  later(1s);
  const auto put = next<PutObject>();
  EXPECT_NE(put.body.find(R"("releases":1)"), Bytes::npos);
}

TEST_F(Ahead, what_is_asked_back_is_asked_back_once_though_its_child_was_faster_than_its_frames) {
  const ChildId child = fill(3);
  later(100ms);
  next<Recall>();
  pool_->recalled(child, 4, now());  // it has begun them all; what it said of the first two was not read yet
  EXPECT_FALSE(maybe<Recall>());
  later(100ms);
  EXPECT_FALSE(maybe<Recall>());
}

TEST_F(Ahead, what_a_dead_child_had_not_begun_is_no_attempt_and_goes_to_another) {
  const ChildId child = fill(3);
  EXPECT_EQ(frames(), "abc");
  pool_->child_ended(child, {.signal = 11, .begun = 2}, now());
  const auto put = next<PutObject>();
  EXPECT_EQ(put.key, "mark/a");
  EXPECT_NE(put.body.find(R"("crashes":1)"), Bytes::npos);
  EXPECT_FALSE(maybe<PutObject>());
  later(200ms);
  const auto other = next<Spawn>();
  said(other.child, kReady);
  EXPECT_EQ(frames(), "bc");
}

TEST_F(Ahead, a_time_limit_ends_the_child_only_if_that_job_still_runs) {
  const ChildId child = fill(2, "short");
  later(100ms);
  pool_->recalled(next<Recall>().child, 3, now());  // b has begun: a has ended, and says so soon
  later(30s);
  pool_->recalled(next<Recall>().child, 3, now());
  EXPECT_FALSE(maybe<Kill>());
  said(child, R"({"op":"done","id":"a"})");
  EXPECT_EQ(pool_->status().counts.done, 2U);
}

TEST_F(Ahead, a_time_limit_holds_after_a_recall_too) {
  fill(2, "short");
  later(100ms);
  const auto recall = next<Recall>();
  pool_->recalled(recall.child, 2, now());  // a runs, and b goes back
  later(30s);
  pool_->recalled(next<Recall>().child, recall.given, now());
  next<Kill>();
}

TEST_F(Ahead, a_child_that_begins_nothing_is_replaced_and_its_jobs_are_not_blamed) {
  const ChildId child = fill(2);
  later(100ms);
  pool_->recalled(next<Recall>().child, 1, now());  // neither has begun
  EXPECT_EQ(frames(), "a") << "it gets another chance, one at a time";
  later(10s);
  pool_->recalled(next<Recall>().child, 2, now());
  EXPECT_EQ(next<Kill>().child, child);
  pool_->child_ended(child, {.signal = 9, .begun = 4}, now());
  EXPECT_EQ(pool_->status().counts.crashed, 0U);
}

TEST_F(Ahead, a_drain_takes_back_what_has_not_begun) {
  const ChildId child = fill(3);
  pool_->drain(30s, now());
  EXPECT_EQ(next<Recall>().given, 4U);
  pool_->recalled(child, 2, now());
  EXPECT_EQ(next<PutObject>().key, "mark/b");
  EXPECT_EQ(next<PutObject>().key, "mark/c");
  EXPECT_EQ(pool_->status().children.front().job, "a");
}

TEST_F(Bench, what_comes_back_before_its_return_is_answered_begins_anew) {
  receive({Message{"m1", "r1", envelope(R"(,"not_before":1700000005000)"), 1}});
  const auto put = next<PutObject>();  // the mark
  const auto poll = next<Receive>();
  pool_->finished(put.op, Bytes(), now());
  const auto back = next<ChangeVisibility>();
  ASSERT_EQ(back.entries.at(0).receipt, "r1");
  elapsed_ += 6s;
  const Message again{"m1", "r2", envelope(R"(,"not_before":1700000005000)"), 2};
  pool_->received(poll.op, std::vector<Message>{again}, now());
  pool_->visibility_changed(back.op, std::vector<Outcome<void>>(1), now());
  const auto look = next<GetObject>();
  EXPECT_EQ(look.key, "mark/j");
  pool_->finished(look.op, mark(R"("receives":1,"attempts":0,"crashes":0,"releases":0,"state":"retrying")"),
                  now());
  EXPECT_NE(next<WriteFrame>().frame.find(R"("attempt":1)"), Bytes::npos);
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

TEST_F(Bench, what_is_being_told_when_the_drain_begins_has_all_of_its_time) {
  receive(envelope());
  said(next<WriteFrame>().child, R"({"op":"done","id":"j","result":1})");
  const auto put = next<PutObject>();
  pool_->drain(30s, now());
  pool_->finished(put.op, std::unexpected(Failure{}), now());
  std::optional<PutObject> again;
  for (int i = 0; i < 19; ++i) {  // the store is gone for 12 s
    later(1s);
    again = maybe<PutObject>();
    if (again && i >= 12) break;
    if (again) pool_->finished(again->op, std::unexpected(Failure{}), now());
  }
  ASSERT_TRUE(again);
  pool_->finished(again->op, Bytes(), now());
  next<DeleteMessages>();
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
  Bytes buffer;
  for (const ByteView frame : {"one", "", "two"}) append_frame(buffer, frame);
  buffer.pop_back();
  std::size_t at = 0;
  EXPECT_EQ(**take_frame(buffer, at), "one");
  EXPECT_EQ(**take_frame(buffer, at), "");
  EXPECT_EQ(*take_frame(buffer, at), std::nullopt);
  EXPECT_EQ(at, 11U) << "past two frames";
  Bytes long_one;
  Writer(long_one).u32(static_cast<std::uint32_t>(kFrameBytesMax) + 1);
  at = 0;
  EXPECT_EQ(take_frame(long_one, at).error().code, Errc::kLimit);
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
