// Dead-letter queues.
#include "queue/engine.h"
#include "queue/records.h"
#include "queue/testing.h"

#include <gtest/gtest.h>

namespace hr::queue {
namespace {

using testing::Rig;

AttributeChange redrive_to(QueueId dead, std::uint32_t max) {
  AttributeChange change;
  change.redrive = Redrive{dead, max};
  return change;
}

struct Redriven : ::testing::Test {
  Rig b;
  QueueId dead = b.create("dead");
  QueueId q = b.create("jobs", redrive_to(dead, 2));

  void fail_once() { b.change(q, b.receive(q, 1).at(0).receipt, 0s); }
};

TEST_F(Redriven, a_message_moves_instead_of_being_received_once_too_often) {
  b.send(q);
  fail_once();
  fail_once();
  EXPECT_EQ(b.counts(q), (Counts{1, 0, 0}));
  EXPECT_TRUE(b.receive(q).empty());
  EXPECT_EQ(b.counts(q), Counts{});
  EXPECT_EQ(b.counts(dead), (Counts{1, 0, 0}));
}

TEST_F(Redriven, a_moved_message_keeps_id_content_times_and_count) {
  b.send(q);
  const Delivery first = b.receive(q, 1, 1s).at(0);
  b.tick(1s);
  fail_once();
  b.tick(1s);
  b.receive(q);
  b.restart();
  const Delivery moved = b.receive(dead).at(0);
  EXPECT_EQ(moved.id, first.id);
  EXPECT_EQ(moved.sent, first.sent);
  EXPECT_EQ(moved.first_received, first.first_received);
  EXPECT_EQ(moved.content, first.content);
  EXPECT_EQ(moved.receive_count, 3U);
  EXPECT_TRUE(b.erase(dead, moved.receipt));
}

TEST_F(Redriven, the_move_is_one_record) {
  b.send(q);
  fail_once();
  fail_once();
  const std::size_t before = b.log().size();
  b.receive(q);
  ASSERT_EQ(b.log().size(), before + 1);
  const auto record = decode(b.log().back().kind, b.log().back().payload);
  EXPECT_TRUE(std::holds_alternative<MessagesDeadLettered>(*record));
}

TEST_F(Redriven, a_receipt_from_before_the_move_touches_neither_queue) {
  b.send(q);
  fail_once();
  const Receipt r = b.receive(q, 1, 1s).at(0).receipt;
  b.tick(1s);
  b.receive(q);
  EXPECT_TRUE(b.erase(q, r)) << "gone from there";
  EXPECT_EQ(b.erase(dead, r), std::unexpected(Fault::kReceiptInvalid));
  EXPECT_EQ(b.counts(dead), (Counts{1, 0, 0}));
}

TEST_F(Redriven, the_receive_goes_on_to_the_next_message) {
  b.send(q);
  fail_once();
  fail_once();
  b.send(q);
  const auto got = b.receive(q, 1);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].receipt.seq, Seq{2});
}

TEST_F(Redriven, a_receiver_that_waits_at_the_dead_letter_queue_is_served) {
  b.send(q);
  fail_once();
  fail_once();
  b.wait(dead, 1, 20s);
  b.receive(q);
  EXPECT_EQ(b.wakeups().at(0).deliveries.at(0).receipt.queue, dead);
}

TEST_F(Redriven, a_receiver_that_waits_at_the_source_goes_on_waiting) {
  b.send(q);
  fail_once();
  const Receipt r = b.receive(q).at(0).receipt;
  b.wait(q, 1, 20s);
  b.change(q, r, 0s);
  EXPECT_TRUE(b.wakeups().empty());
  EXPECT_EQ(b.counts(dead), (Counts{1, 0, 0}));
}

TEST_F(Redriven, retention_counts_from_the_sending) {
  AttributeChange minute;
  minute.retention = 60s;
  b.set(dead, minute);
  b.send(q);
  fail_once();
  fail_once();
  b.tick(59s);
  b.receive(q);
  EXPECT_EQ(b.counts(dead), (Counts{1, 0, 0}));
  EXPECT_EQ(b.engine().next_deadline(), b.now() + 1s);
  b.tick(1s);
  EXPECT_EQ(b.counts(dead), Counts{});
}

TEST_F(Redriven, without_its_dead_letter_queue_a_message_is_received_on) {
  b.send(q);
  b.remove(dead);
  for (std::uint32_t n = 1; n <= 4; ++n) {
    const Delivery d = b.receive(q, 1).at(0);
    EXPECT_EQ(d.receive_count, n);
    b.change(q, d.receipt, 0s);
  }
  AttributeChange other;
  other.delay = 1s;
  EXPECT_TRUE(b.set(q, other)) << "other attributes can still be changed";
}

TEST_F(Redriven, a_dead_letter_queue_has_a_limit_of_its_own) {
  const QueueId last = b.create("last");
  b.set(dead, redrive_to(last, 1));
  b.send(q);
  fail_once();
  fail_once();
  b.receive(q);
  const Delivery once = b.receive(dead, 1, 0s).at(0);
  EXPECT_EQ(once.receive_count, 3U);
  EXPECT_TRUE(b.receive(dead).empty());
  EXPECT_EQ(b.counts(last), (Counts{1, 0, 0}));
}

TEST_F(Redriven, two_queues_may_be_each_others) {
  b.set(dead, redrive_to(q, 1));
  b.set(q, redrive_to(dead, 1));
  b.wait(dead, 1, 20s);
  b.wait(dead, 2, 20s);
  b.send(q);
  fail_once();
  b.receive(q);
  EXPECT_EQ(b.wakeups().size(), 1U);
  EXPECT_TRUE(b.engine().audit());
}

TEST_F(Redriven, a_message_received_returned_and_moved_in_the_step_of_its_sending_keeps_its_content) {
  b.set(q, redrive_to(dead, 1));
  const auto wait = [&](QueueId at, std::uint64_t w) {
    b.try_receive(at, {.visibility = 0s, .wait_until = b.now() + 20s, .waiter = WaiterId{w}});
  };
  wait(q, 1);
  wait(q, 2);
  b.send(q);
  const Delivery first = b.wakeups().at(0).deliveries.at(0);
  EXPECT_GT(first.content.bytes, 0U);
  EXPECT_EQ(b.receive(dead).at(0).content, first.content);
}

TEST_F(Redriven, the_target_must_be_another_queue_that_is_there) {
  EXPECT_EQ(b.set(q, redrive_to(q, 2)), std::unexpected(Fault::kInvalid));
  EXPECT_EQ(b.set(q, redrive_to(QueueId{77}, 2)), std::unexpected(Fault::kInvalid));
  EXPECT_EQ(b.try_create("more", redrive_to(QueueId{77}, 2)), std::unexpected(Fault::kInvalid));
}

TEST_F(Redriven, the_limit_is_from_1_to_1000_and_0_removes_it) {
  EXPECT_TRUE(b.set(q, redrive_to(dead, 1)));
  EXPECT_TRUE(b.set(q, redrive_to(dead, 1000)));
  EXPECT_EQ(b.set(q, redrive_to(dead, 1001)), std::unexpected(Fault::kInvalid));
  EXPECT_TRUE(b.set(q, redrive_to(dead, 0)));
  EXPECT_FALSE(b.engine().find(q)->attributes.redrive);
}

}  // namespace
}  // namespace hr::queue
