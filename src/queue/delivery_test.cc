// Sending, receiving, leases, receipts, retention.
#include "queue/engine.h"
#include "queue/testing.h"

#include <gtest/gtest.h>

namespace hr::queue {
namespace {

using testing::Rig;

AttributeChange delay_of(Duration d) {
  AttributeChange change;
  change.delay = d;
  return change;
}

AttributeChange retention_of(Duration d) {
  AttributeChange change;
  change.retention = d;
  return change;
}

TEST(Delivery, messages_are_received_in_the_order_of_sending) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send_all(q, {{}, {}, {}});
  EXPECT_EQ(b.receive(q, 2).at(1).receipt.seq, Seq{2});
  EXPECT_EQ(b.receive(q, 2).at(0).receipt.seq, Seq{3});
}

TEST(Delivery, a_returned_message_goes_behind_those_that_wait) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send_all(q, {{}, {}});
  b.change(q, b.receive(q, 1).at(0).receipt, 0s);
  EXPECT_EQ(b.receive(q, 1).at(0).receipt.seq, Seq{2});
  EXPECT_EQ(b.receive(q, 1).at(0).receipt.seq, Seq{1});
}

TEST(Delivery, a_delay_of_0_is_visible_at_once_and_one_of_900_s_then) {
  Rig b;
  const QueueId q = b.create("jobs", delay_of(5s));
  b.send(q, 0s);
  b.send(q, 900s);
  EXPECT_EQ(b.counts(q), (Counts{1, 0, 1}));
  EXPECT_EQ(b.receive(q, 10, 12h).size(), 1U);
  b.tick(900s - 1ms);
  EXPECT_EQ(b.counts(q), (Counts{0, 1, 1}));
  EXPECT_TRUE(b.receive(q).empty());
  b.tick(1ms);
  EXPECT_EQ(b.receive(q).size(), 1U);
}

TEST(Delivery, a_delay_out_of_range_refuses_the_batch) {
  Rig b;
  const QueueId q = b.create("jobs");
  EXPECT_EQ(b.send_all(q, {{}, 900s + 1ms}).error(), Fault::kInvalid);
  EXPECT_EQ(b.send_all(q, {-1ms, {}}).error(), Fault::kInvalid);
  EXPECT_EQ(b.counts(q), Counts{});
}

TEST(Delivery, the_queues_delay_is_that_of_the_time_of_sending) {
  Rig b;
  const QueueId q = b.create("jobs", delay_of(5s));
  b.send(q);
  b.set(q, delay_of(0s));
  EXPECT_TRUE(b.receive(q).empty());
  b.tick(5s);
  EXPECT_EQ(b.receive(q).size(), 1U);
}

TEST(Delivery, a_lease_ends_neither_early_nor_late) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q);
  b.receive(q);  // 30 s, the default
  EXPECT_EQ(b.engine().next_deadline(), b.now() + 30s);
  b.tick(30s - 1ms);
  EXPECT_TRUE(b.receive(q).empty());
  b.advance(1ms);  // without tick()
  const auto again = b.receive(q);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].receive_count, 2U);
  EXPECT_EQ(again[0].first_received, again[0].sent);
}

TEST(Delivery, a_lease_of_0_leaves_the_message_visible_and_gives_it_once) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send_all(q, {{}, {}});
  EXPECT_EQ(b.receive(q, 10, 0s).size(), 2U);
  EXPECT_EQ(b.counts(q), (Counts{2, 0, 0}));
  EXPECT_EQ(b.receive(q, 10, 0s).at(0).receive_count, 2U);
}

TEST(Delivery, a_lease_of_12_hours_is_the_longest) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q);
  EXPECT_EQ(b.try_receive(q, {.visibility = 12h + 1ms}).error(), Fault::kInvalid);
  EXPECT_EQ(b.try_receive(q, {.visibility = -1ms}).error(), Fault::kInvalid);
  EXPECT_EQ(b.receive(q, 1, 12h).size(), 1U);
  b.tick(12h - 1ms);
  EXPECT_TRUE(b.receive(q).empty());
  b.tick(1ms);
  EXPECT_EQ(b.receive(q).size(), 1U);
}

TEST(Delivery, from_1_to_1000_messages_may_be_asked_for) {
  Rig b;
  const QueueId q = b.create("jobs");
  EXPECT_EQ(b.try_receive(q, {.max_messages = 0}).error(), Fault::kInvalid);
  EXPECT_EQ(b.try_receive(q, {.max_messages = 1001}).error(), Fault::kInvalid);
  for (int i = 0; i < 1001; ++i) b.send(q);
  EXPECT_EQ(b.receive(q, 1000).size(), 1000U);
}

TEST(Delivery, an_old_receipt_deletes_nothing_and_changes_nothing) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q);
  const Receipt old = b.receive(q, 1, 1s).at(0).receipt;
  b.tick(1s);
  const Receipt latest = b.receive(q).at(0).receipt;
  EXPECT_EQ(b.erase(q, old), std::unexpected(Fault::kReceiptInvalid));
  EXPECT_EQ(b.change(q, old, 0s), std::unexpected(Fault::kReceiptInvalid));
  EXPECT_EQ(b.counts(q), (Counts{0, 1, 0}));
  EXPECT_TRUE(b.erase(q, latest));
}

TEST(Delivery, the_latest_receipt_deletes_also_after_its_lease) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q);
  const Receipt r = b.receive(q, 1, 1s).at(0).receipt;
  b.tick(1s);
  EXPECT_TRUE(b.erase(q, r));
  EXPECT_TRUE(b.erase(q, r)) << "once more is fine";
  EXPECT_EQ(b.counts(q), Counts{});
}

TEST(Delivery, a_receipt_that_was_never_given_out_is_invalid) {
  Rig b;
  const QueueId q = b.create("jobs"), other = b.create("other");
  b.send(q);
  const auto invalid = std::unexpected(Fault::kReceiptInvalid);
  for (const Receipt& r :
       {Receipt{q, Seq{1}, 0}, Receipt{q, Seq{1}, 1}, Receipt{q, Seq{2}, 1}, Receipt{other, Seq{1}, 1}}) {
    EXPECT_EQ(b.erase(q, r), invalid);
    EXPECT_EQ(b.change(q, r, 5s), invalid);
  }
}

TEST(Delivery, a_visibility_of_0_returns_the_message_at_once) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q);
  EXPECT_TRUE(b.change(q, b.receive(q).at(0).receipt, 0s));
  EXPECT_EQ(b.counts(q), (Counts{1, 0, 0}));
  EXPECT_EQ(b.receive(q).at(0).receive_count, 2U);
}

TEST(Delivery, a_visibility_is_counted_from_now) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q);
  const Receipt r = b.receive(q, 1, 30s).at(0).receipt;
  b.tick(20s);
  EXPECT_TRUE(b.change(q, r, 30s));
  b.tick(30s - 1ms);
  EXPECT_EQ(b.counts(q), (Counts{0, 1, 0}));
  b.tick(1ms);
  EXPECT_EQ(b.counts(q), (Counts{1, 0, 0}));
}

TEST(Delivery, leases_end_12_hours_after_the_receive_at_the_latest) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q);
  const Receipt r = b.receive(q, 1, 1h).at(0).receipt;
  b.tick(30min);
  EXPECT_EQ(b.change(q, r, 11h + 30min + 1ms), std::unexpected(Fault::kLeaseTooLong));
  EXPECT_EQ(b.change(q, r, 12h + 1ms), std::unexpected(Fault::kInvalid));
  EXPECT_TRUE(b.change(q, r, 11h + 30min));
  b.restart();
  b.tick(11h);
  EXPECT_EQ(b.change(q, r, 30min + 1ms), std::unexpected(Fault::kLeaseTooLong));
  EXPECT_TRUE(b.change(q, r, 30min));
}

TEST(Delivery, the_visibility_of_a_visible_message_cannot_be_changed) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q);
  const Receipt r = b.receive(q, 1, 1s).at(0).receipt;
  b.advance(1s);
  EXPECT_EQ(b.change(q, r, 5s), std::unexpected(Fault::kNotInflight));
  b.erase(q, r);
  EXPECT_EQ(b.change(q, r, 5s), std::unexpected(Fault::kNotInflight));
}

TEST(Delivery, at_the_in_flight_limit_a_receive_is_refused_until_one_is_back) {
  Rig b({.inflight_max = 2});
  const QueueId q = b.create("jobs");
  b.send_all(q, {{}, {}, {}, {}});
  const auto got = b.receive(q);
  EXPECT_EQ(got.size(), 2U);
  EXPECT_EQ(b.try_receive(q, {}).error(), Fault::kOverLimit);
  b.erase(q, got[0].receipt);
  EXPECT_EQ(b.receive(q).size(), 1U);
  EXPECT_EQ(b.try_receive(q, {}).error(), Fault::kOverLimit);
  b.advance(30s);
  EXPECT_EQ(b.receive(q).size(), 2U);
}

TEST(Delivery, a_message_is_gone_exactly_at_its_retention) {
  Rig b;
  const QueueId q = b.create("jobs", retention_of(60s));
  b.send(q);
  b.tick(60s - 1ms);
  EXPECT_EQ(b.counts(q), (Counts{1, 0, 0}));
  EXPECT_EQ(b.engine().next_deadline(), b.now() + 1ms);
  b.tick(1ms);
  EXPECT_EQ(b.counts(q), Counts{});
  EXPECT_EQ(b.engine().next_deadline(), Time::max());
}

TEST(Delivery, a_message_past_retention_is_not_received_even_before_tick) {
  Rig b;
  const QueueId q = b.create("jobs", retention_of(60s));
  b.send(q);
  b.advance(60s);
  EXPECT_TRUE(b.receive(q).empty());
  EXPECT_EQ(b.counts(q), Counts{});
  b.restart();
  EXPECT_EQ(b.counts(q), Counts{}) << "it was logged";
}

TEST(Delivery, retention_takes_delayed_and_leased_messages_too) {
  Rig b;
  const QueueId q = b.create("jobs", retention_of(60s));
  b.send_all(q, {{}, 900s});
  const Receipt r = b.receive(q, 1, 1h).at(0).receipt;
  b.advance(60s);
  EXPECT_EQ(b.change(q, r, 5s), std::unexpected(Fault::kNotInflight));
  b.tick();
  EXPECT_EQ(b.counts(q), Counts{});
  EXPECT_TRUE(b.erase(q, r));
}

TEST(Delivery, a_shorter_retention_counts_for_what_was_sent_before) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q);
  b.tick(2min);
  b.set(q, retention_of(60s));
  EXPECT_LE(b.engine().next_deadline(), b.now());
  b.tick();
  EXPECT_EQ(b.counts(q), Counts{});
}

}  // namespace
}  // namespace hr::queue
