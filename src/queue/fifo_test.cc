// FIFO queues: groups, their order, deduplication, receive attempts.
#include "queue/engine.h"
#include "queue/groups.h"
#include "queue/testing.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hr::queue {
namespace {

using testing::Rig;
using testing::uuid;
using Seqs = std::vector<std::uint64_t>;

Receipt receipt(QueueId q, std::uint64_t seq, std::uint32_t receive) { return {q, Seq{seq}, receive}; }

AttributeChange redrive_to(QueueId dead, std::uint32_t max) {
  AttributeChange change;
  change.redrive = Redrive{dead, max};
  return change;
}

TEST(Fifo, a_group_is_received_in_order_as_far_as_it_is_visible) {
  Rig b;
  const QueueId q = b.create("jobs.fifo");
  for (int i = 0; i < 3; ++i) b.send_to(q, 1);
  EXPECT_EQ(b.seqs(q, 2), (Seqs{1, 2}));
  EXPECT_EQ(b.seqs(q), Seqs{});  // 3 waits for both
  ASSERT_TRUE(b.erase(q, receipt(q, 2, 1)));
  EXPECT_EQ(b.seqs(q), Seqs{});
  ASSERT_TRUE(b.erase(q, receipt(q, 1, 1)));
  EXPECT_EQ(b.seqs(q), Seqs{3});
}

TEST(Fifo, a_returned_message_comes_again_before_those_behind_it) {
  Rig b;
  const QueueId q = b.create("jobs.fifo");
  for (int i = 0; i < 3; ++i) b.send_to(q, 1);
  EXPECT_EQ(b.seqs(q, 2), (Seqs{1, 2}));
  ASSERT_TRUE(b.change(q, receipt(q, 1, 1), 0s));
  EXPECT_EQ(b.seqs(q), Seqs{1});  // up to 2, which is leased
  b.tick(30s);
  EXPECT_EQ(b.seqs(q), (Seqs{1, 2, 3}));
}

TEST(Fifo, other_groups_go_on_while_one_is_held_up) {
  Rig b;
  const QueueId q = b.create("jobs.fifo");
  for (const std::uint64_t group : {1U, 1U, 2U, 3U, 2U}) b.send_to(q, group);
  EXPECT_EQ(b.seqs(q, 1), Seqs{1});
  EXPECT_EQ(b.seqs(q), (Seqs{3, 5, 4}));  // a group's messages together, groups as they came
  EXPECT_EQ(b.counts(q), (Counts{1, 4, 0}));
}

TEST(Fifo, a_delay_of_the_queue_holds_up_the_group_and_one_of_a_message_is_refused) {
  Rig b;
  AttributeChange slow;
  slow.delay = 5s;
  const QueueId q = b.create("jobs.fifo", slow);
  b.send_to(q, 1);
  slow.delay = 0s;
  ASSERT_TRUE(b.set(q, slow));
  b.send_to(q, 1);
  EXPECT_EQ(b.counts(q), (Counts{1, 0, 1}));
  EXPECT_EQ(b.seqs(q), Seqs{});
  b.tick(5s);
  EXPECT_EQ(b.seqs(q), (Seqs{1, 2}));
  EXPECT_EQ(b.send_all(q, {5s}).error(), Fault::kInvalid);
}

TEST(Retry, of_a_producer_into_a_standard_queue_is_one_message_for_five_minutes_and_after_a_restart) {
  Rig b;
  const QueueId q = b.create("jobs"), other = b.create("other");
  const Sent first = b.send_to(q, 0, "job-1");
  EXPECT_FALSE(first.duplicate);
  b.advance(300s - 1ms);
  for (int restarts = 0; restarts < 2; ++restarts) {
    const Sent again = b.send_to(q, 0, "job-1");
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.id, first.id);
    b.restart();
  }
  EXPECT_FALSE(b.send_to(other, 0, "job-1").duplicate);
  EXPECT_FALSE(b.send_to(q, 0, "job-2").duplicate);
  b.advance(1ms);
  EXPECT_FALSE(b.send_to(q, 0, "job-1").duplicate);
  EXPECT_EQ(b.counts(q), (Counts{3, 0, 0}));
}

TEST(Retry, the_oldest_is_forgotten_when_the_table_is_full) {
  Rig b({.retries_max = 2});
  const QueueId q = b.create("jobs");
  for (const char* id : {"1", "2", "3"}) EXPECT_FALSE(b.send_to(q, 0, id).duplicate);
  EXPECT_TRUE(b.send_to(q, 0, "3").duplicate);
  EXPECT_TRUE(b.send_to(q, 0, "2").duplicate);
  EXPECT_FALSE(b.send_to(q, 0, "1").duplicate);
}

TEST(Fifo, a_message_needs_a_group_and_a_deduplication_id_there_and_neither_elsewhere) {
  Rig b;
  const QueueId fifo = b.create("jobs.fifo"), standard = b.create("jobs");
  EXPECT_EQ(b.send_all(fifo, {{}}).error(), Fault::kInvalid);
  EXPECT_EQ(b.try_send_to(fifo, 0).error(), Fault::kInvalid);
  EXPECT_TRUE(b.send_all(standard, {{}}));
}

TEST(Fifo, a_message_sent_again_within_five_minutes_is_the_first_one) {
  Rig b;
  const QueueId q = b.create("jobs.fifo");
  const Sent first = b.send_to(q, 1, "a");
  b.advance(300s - 1ms);
  const Sent again = b.send_to(q, 2, "a");
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.seq, first.seq);
  EXPECT_EQ(again.id, first.id);
  EXPECT_EQ(b.counts(q).visible, 1U);
  b.advance(1ms);
  EXPECT_FALSE(b.send_to(q, 1, "a").duplicate);
  EXPECT_FALSE(b.send_to(b.create("other.fifo"), 1, "a").duplicate);
}

TEST(Fifo, a_deduplication_id_outlives_its_message_a_purge_and_a_restart) {
  Rig b;
  const QueueId q = b.create("jobs.fifo");
  b.send_to(q, 1, "a");
  ASSERT_EQ(b.seqs(q), Seqs{1});
  ASSERT_TRUE(b.erase(q, receipt(q, 1, 1)));
  EXPECT_TRUE(b.send_to(q, 1, "a").duplicate);
  ASSERT_TRUE(b.purge(q));
  b.restart();
  EXPECT_TRUE(b.send_to(q, 1, "a").duplicate);
  b.advance(300s);
  EXPECT_FALSE(b.send_to(q, 1, "a").duplicate);
}

TEST(Fifo, deduplication_ids_have_a_maximum_and_their_time) {
  Rig b({.deduplication_max = 3});
  const QueueId q = b.create("jobs.fifo");
  for (int i = 0; i < 3; ++i) b.send_to(q, 1);
  EXPECT_EQ(b.try_send_to(q, 1).error(), Fault::kThrottled);
  b.advance(300s);
  EXPECT_TRUE(b.try_send_to(q, 1));
}

TEST(Fifo, a_receipt_ends_with_its_lease) {
  Rig b;
  const QueueId q = b.create("jobs.fifo");
  b.send_to(q, 1);
  ASSERT_EQ(b.seqs(q), Seqs{1});
  b.tick(30s);
  EXPECT_EQ(b.erase(q, receipt(q, 1, 1)), std::unexpected(Fault::kReceiptExpired));
  ASSERT_EQ(b.seqs(q), Seqs{1});
  EXPECT_TRUE(b.erase(q, receipt(q, 1, 2)));
  EXPECT_TRUE(b.erase(q, receipt(q, 1, 2)));  // gone already
}

TEST(Fifo, a_dead_letter_queue_is_of_the_same_kind) {
  Rig b;
  const QueueId fifo = b.create("dead.fifo"), standard = b.create("dead");
  EXPECT_EQ(b.try_create("a.fifo", redrive_to(standard, 1)), std::unexpected(Fault::kInvalid));
  EXPECT_EQ(b.try_create("a", redrive_to(fifo, 1)), std::unexpected(Fault::kInvalid));
  EXPECT_TRUE(b.try_create("a.fifo", redrive_to(fifo, 1)));
}

TEST(Fifo, a_message_received_too_often_moves_with_its_group_and_frees_it) {
  Rig b;
  const QueueId dead = b.create("dead.fifo");
  const QueueId q = b.create("jobs.fifo", redrive_to(dead, 1));
  for (int i = 0; i < 3; ++i) b.send_to(q, 1);
  EXPECT_EQ(b.seqs(q, 1), Seqs{1});
  b.tick(30s);
  EXPECT_EQ(b.seqs(q), (Seqs{2, 3}));
  b.tick(30s);
  EXPECT_EQ(b.seqs(q), Seqs{});
  const auto moved = b.receive(dead);
  ASSERT_EQ(moved.size(), 3U);
  EXPECT_EQ(moved[0].source, q);
  EXPECT_TRUE(moved[0].moved);
  EXPECT_EQ(moved[0].id, uuid(1));
  EXPECT_EQ(b.counts(q), Counts{});
  EXPECT_TRUE(b.engine().audit());
}

TEST(Fifo, a_full_flight_answers_nothing_instead_of_an_error) {
  Rig b({.inflight_max = 2});
  const QueueId q = b.create("jobs.fifo");
  for (int i = 0; i < 3; ++i) b.send_to(q, 1);
  EXPECT_EQ(b.seqs(q), (Seqs{1, 2}));
  EXPECT_EQ(b.seqs(q), Seqs{});
}

TEST(Fifo, a_waiting_receiver_gets_the_group_that_a_delete_frees) {
  Rig b;
  const QueueId q = b.create("jobs.fifo");
  b.send_to(q, 1);
  b.send_to(q, 1);
  ASSERT_EQ(b.seqs(q, 1), Seqs{1});
  ASSERT_TRUE(b.wait(q, 1, 20s));
  ASSERT_TRUE(b.erase(q, receipt(q, 1, 1)));
  const auto woken = b.wakeups();
  ASSERT_EQ(woken.size(), 1U);
  EXPECT_EQ(woken[0].deliveries.at(0).receipt, receipt(q, 2, 1));
}

ReceiveRequest attempt(const std::string& id, std::optional<Duration> visibility = {}) {
  return {.max_messages = 10, .visibility = visibility, .attempt = Rig::print(id)};
}

TEST(FifoAttempt, asked_again_answers_the_same_messages_with_new_leases) {
  Rig b;
  const QueueId q = b.create("jobs.fifo");
  b.send_to(q, 1);
  b.send_to(q, 1);
  const auto first = b.try_receive(q, attempt("a")).value().deliveries;
  ASSERT_EQ(first.size(), 2U);
  b.send_to(q, 2);
  b.tick(20s);
  b.restart();
  const auto again = b.try_receive(q, attempt("a")).value().deliveries;
  ASSERT_EQ(again.size(), 2U);
  EXPECT_EQ(again[1].receipt, first[1].receipt);
  EXPECT_EQ(again[1].receive_count, 1U);
  b.tick(30s - 1ms);
  EXPECT_EQ(b.counts(q), (Counts{1, 2, 0}));
  b.tick(1ms);
  EXPECT_EQ(b.counts(q), (Counts{3, 0, 0}));
}

TEST(FifoAttempt, is_forgotten_once_one_of_its_messages_has_changed) {
  for (const int change : {0, 1, 2}) {
    Rig b;
    const QueueId q = b.create("jobs.fifo");
    b.send_to(q, 1);
    b.send_to(q, 1);
    ASSERT_EQ(b.try_receive(q, attempt("a")).value().deliveries.size(), 2U);
    b.send_to(q, 2);
    if (change == 0) ASSERT_TRUE(b.erase(q, receipt(q, 2, 1)));
    if (change == 1) ASSERT_TRUE(b.change(q, receipt(q, 2, 1), 60s));
    if (change == 2) b.tick(30s);
    const auto next = b.try_receive(q, attempt("a")).value().deliveries;
    ASSERT_FALSE(next.empty());
    EXPECT_EQ(next[0].receipt, receipt(q, 3, 1)) << change;
  }
}

TEST(FifoAttempt, ends_after_five_minutes) {
  Rig b;
  const QueueId q = b.create("jobs.fifo");
  b.send_to(q, 1);
  ASSERT_EQ(b.try_receive(q, attempt("a", 1h)).value().deliveries.size(), 1U);
  b.tick(300s - 1ms);
  EXPECT_EQ(b.try_receive(q, attempt("a", 1h)).value().deliveries.size(), 1U);
  b.tick(1ms);
  EXPECT_TRUE(b.try_receive(q, attempt("a", 1h)).value().deliveries.empty());
}

TEST(FifoAttempt, the_oldest_go_early_where_there_are_too_many) {
  Rig b({.attempts_max = 1});
  const QueueId q = b.create("jobs.fifo");
  b.send_to(q, 1);
  b.send_to(q, 2);
  ReceiveRequest one = attempt("a");
  one.max_messages = 1;
  ASSERT_EQ(b.try_receive(q, one).value().deliveries.size(), 1U);
  ASSERT_EQ(b.try_receive(q, attempt("b")).value().deliveries.size(), 1U);
  EXPECT_TRUE(b.try_receive(q, one).value().deliveries.empty());
  EXPECT_EQ(b.try_receive(q, attempt("b")).value().deliveries.size(), 1U);
}

TEST(Fifo, a_restart_finds_the_same_state_whatever_was_interleaved) {
  Rig b;
  const QueueId dead = b.create("dead.fifo");
  AttributeChange change = redrive_to(dead, 2);
  change.retention = 60s;
  const QueueId q = b.create("jobs.fifo", change);
  for (int round = 0; round < 40; ++round) {
    for (std::uint64_t group = 1; group < 5; ++group) b.send_to(q, group);
    for (const Delivery& d : b.receive(q, 7, round % 3 == 0 ? 0s : 5s)) {
      if (round % 2 == 0) static_cast<void>(b.erase(q, d.receipt));
    }
    b.tick(Duration(1700 * (round % 5)));
    ASSERT_TRUE(b.engine().audit());
    const auto restored = b.restored();
    Effects none;
    restored->tick(b.now(), none);
    ASSERT_EQ(testing::describe(*restored), testing::describe(b.engine())) << round;
  }
}

TEST(FifoMemory, a_group_costs_about_40_bytes_and_goes_with_its_last_message) {
  Groups groups;
  const std::uint64_t owner = groups.new_owner(1);
  const std::uint64_t empty = groups.bytes();
  constexpr std::uint64_t kMany = 300'000;
  std::vector<GroupIndex> all;
  for (std::uint64_t i = 1; i <= kMany; ++i) all.push_back(groups.join(owner, GroupKey{i}));
  EXPECT_EQ(groups.used(), kMany);
  EXPECT_LE((groups.bytes() - empty) / kMany, 41U);
  EXPECT_EQ(groups.join(owner, GroupKey{7}), all[6]);
  EXPECT_NE(groups.join(groups.new_owner(1), GroupKey{7}), all[6]);
  EXPECT_TRUE(groups.leave(all[6]));
  for (std::uint64_t i = 0; i < kMany; ++i) EXPECT_FALSE(groups.leave(all[i]));
  EXPECT_EQ(groups.used(), 1U);
}

TEST(FifoMemory, a_purge_of_many_groups_ends_bit_by_bit) {
  Rig b({.tick_messages_max = 100});
  const QueueId q = b.create("jobs.fifo");
  for (std::uint64_t i = 0; i < 1'000; ++i) b.send_to(q, 1 + i % 300);
  ASSERT_TRUE(b.purge(q));
  EXPECT_EQ(b.counts(q), Counts{});
  b.send_to(q, 5);
  EXPECT_EQ(b.seqs(q), Seqs{1'001});
  for (int i = 0; i < 20; ++i) b.tick();
  EXPECT_TRUE(b.engine().audit());
}

}  // namespace
}  // namespace hr::queue
