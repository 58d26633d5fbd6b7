// What people ask a pool for, step by step.
#include "worker/caretaker.h"
#include "worker/pool_bench.h"

namespace hr::worker {
namespace {

using testing::Bench;

constexpr ByteView kDone = R"({"op":"done","id":"j","seconds":0.1,"result":1})";
constexpr ByteView kFailed =
    R"({"op":"failed","id":"j","seconds":0.1,"type":"JobCancelled","message":"","retry":true})";

bool tells(const PutObject& put, ByteView what) { return put.body.contains(what); }

class Control : public Bench {
 protected:
  // The whole way of a job that was cancelled: a result that says so, then the message goes.
  void ends_cancelled() {
    const auto put = next<PutObject>();
    EXPECT_EQ(put.key, "result/j");
    EXPECT_TRUE(tells(put, R"("state":"cancelled")")) << put.body;
    pool_->finished(put.op, Bytes(), now());
    EXPECT_EQ(next<DeleteMessages>().receipts, std::vector<Bytes>{"r"});
    EXPECT_EQ(pool_->status().counts.cancelled, 1U);
    EXPECT_EQ(pool_->status().counts.crashed, 0U);
  }
};

TEST_F(Control, a_job_that_was_cancelled_before_it_came_never_begins) {
  pool_->cancel({"j"}, now());
  receive(envelope());
  ends_cancelled();
  EXPECT_FALSE(maybe<WriteFrame>());
}

TEST_F(Control, a_job_that_its_child_has_not_begun_is_taken_back_and_ends) {
  receive(envelope());
  next<WriteFrame>();
  pool_->cancel({"j"}, now());
  EXPECT_EQ(next<Recall>().given, 1U);
  pool_->recalled(1, 0, now());
  ends_cancelled();
}

TEST_F(Control, a_job_that_runs_is_told_and_ends_when_it_says_so) {
  receive(envelope());
  next<WriteFrame>();
  pool_->cancel({"j"}, now());
  pool_->recalled(1, 1, now());
  EXPECT_EQ(next<WriteFrame>().frame, write_cancel("j"));
  EXPECT_EQ(pool_->jobs().front().state, "cancelling");
  pool_->cancel({"j"}, now());  // the next look at the same list
  said(1, kFailed);
  ends_cancelled();
}

TEST_F(Control, a_job_that_does_not_end_is_killed_some_seconds_later) {
  receive(envelope());
  next<WriteFrame>();
  pool_->cancel({"j"}, now());
  pool_->recalled(1, 1, now());
  later(4'900ms);
  EXPECT_FALSE(maybe<Kill>());
  later(200ms);
  pool_->recalled(1, 1, now());
  EXPECT_EQ(next<Kill>().child, 1U);
  pool_->child_ended(1, {.signal = 9, .begun = 1}, now());
  ends_cancelled();
}

TEST_F(Control, a_job_that_was_faster_than_its_cancellation_is_done) {
  receive(envelope());
  next<WriteFrame>();
  pool_->cancel({"j"}, now());
  said(1, kDone);
  const auto put = next<PutObject>();
  EXPECT_TRUE(tells(put, R"("state":"done")"));
  pool_->finished(put.op, Bytes(), now());
  const auto gone = next<DeleteMessages>();
  pool_->deleted(gone.op, std::vector<Outcome<void>>(1), now());
  EXPECT_EQ(next<EraseObject>().key, "cancel/j");
}

TEST_F(Control, from_a_paused_queue_nothing_is_received) {
  const auto poll = next<Receive>();
  pool_->pause({"default"}, now());
  EXPECT_EQ(next<CancelReceive>().op, poll.op);
  pool_->received(poll.op, std::vector<Message>{}, now());
  EXPECT_FALSE(maybe<Receive>());
  EXPECT_EQ(pool_->status().paused, std::vector<Bytes>{"default"});
  pool_->pause({}, now());
  EXPECT_TRUE(maybe<Receive>());
}

TEST_F(Control, a_resting_pool_gives_back_what_has_not_begun) {
  receive(envelope());
  next<WriteFrame>();
  pool_->rest(true, now());
  EXPECT_EQ(next<Recall>().given, 1U);
  pool_->recalled(1, 0, now());
  const auto mark = next<PutObject>();
  EXPECT_TRUE(tells(mark, R"("releases":1)"));
  pool_->finished(mark.op, Bytes(), now());
  EXPECT_EQ(next<ChangeVisibility>().entries.front().seconds, 0);
  EXPECT_FALSE(maybe<Receive>());
  pool_->rest(false, now());
  EXPECT_TRUE(maybe<Receive>());
}

// ---- delays beyond what a queue holds back

TEST_F(Control, an_attempt_that_waits_as_long_as_a_queue_may_hold_back_stays_in_it) {
  receive(envelope());
  said(next<WriteFrame>().child, R"({"op":"failed","id":"j","type":"Retry","delay":900})");
  pool_->finished(next<PutObject>().op, Bytes(), now());
  EXPECT_EQ(next<ChangeVisibility>().entries.front().seconds, 900);
}

TEST_F(Control, an_attempt_that_waits_a_second_longer_is_sent_again_later) {
  receive(envelope());
  said(next<WriteFrame>().child, R"({"op":"failed","id":"j","type":"Retry","delay":901})");
  pool_->finished(next<PutObject>().op, Bytes(), now());
  EXPECT_EQ(next<PutObject>().key, "later/202311142228/j");
}

TEST_F(Control, the_message_of_an_attempt_that_waits_for_a_day_is_sent_again_with_what_is_known) {
  receive(envelope());
  next<WriteFrame>();
  said(1, R"({"op":"failed","id":"j","seconds":0.1,"type":"E","message":"","delay":86400})");
  const auto mark = next<PutObject>();
  EXPECT_EQ(mark.key, "mark/j");
  EXPECT_TRUE(tells(mark, R"("receives":0,"attempts":1)")) << mark.body;
  pool_->finished(mark.op, Bytes(), now());
  const auto put = next<PutObject>();
  EXPECT_EQ(put.key, "later/202311152213/j");
  const auto later = task::parse_later(put.body);
  ASSERT_TRUE(later);
  EXPECT_EQ(later->queue, "default");
  const auto call = task::parse_envelope(later->message);
  ASSERT_TRUE(call);
  EXPECT_EQ(call->attempt, 1U);
  EXPECT_EQ(call->not_before, later->due);
  pool_->finished(put.op, Bytes(), now());
  EXPECT_EQ(next<DeleteMessages>().receipts, std::vector<Bytes>{"r"});
}

TEST_F(Control, a_message_that_was_sent_again_knows_its_attempts_from_the_mark) {
  receive(envelope(R"(,"attempt":1)"));
  EXPECT_EQ(next<GetObject>().key, "mark/j");
}

TEST_F(Control, a_message_that_was_sent_again_knows_its_attempts_when_the_mark_is_gone) {
  receive(envelope(R"(,"attempt":1)"));
  missing(next<GetObject>().op);
  EXPECT_NE(next<WriteFrame>().frame.find(R"("attempt":2)"), Bytes::npos);
}

TEST(Caretaker, sends_what_is_due_within_minutes) {
  const Time now = from_ms(1'700'000'000'000);  // 22:13:20
  EXPECT_TRUE(is_near("later/202311142213/j", now));
  EXPECT_TRUE(is_near("later/202201010000/j", now));
  EXPECT_TRUE(is_near("later/202311142222/zz", now));
  EXPECT_FALSE(is_near("later/202311142223/0", now));
}

TEST(Caretaker, reads_which_queues_are_paused) {
  EXPECT_EQ(*read_paused(R"({"v":1,"paused":["a","b"]})"), (std::set<Bytes>{"a", "b"}));
  EXPECT_TRUE(read_paused("{}")->empty());
  EXPECT_FALSE(read_paused(R"({"paused":"a"})"));
  EXPECT_FALSE(read_paused("[]"));
}

}  // namespace
}  // namespace hr::worker
