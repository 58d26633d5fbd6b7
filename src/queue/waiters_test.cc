// Receives that wait.
#include "queue/engine.h"
#include "queue/testing.h"

#include <gtest/gtest.h>

namespace hr::queue {
namespace {

using testing::Rig;

TEST(Waiters, a_send_that_meets_one_is_one_group_with_its_lease) {
  Rig b;
  const QueueId q = b.create("jobs");
  EXPECT_TRUE(b.wait(q, 7, 20s));
  const std::size_t before = b.log().size();
  b.send(q);

  const auto woken = b.wakeups();
  ASSERT_EQ(woken.size(), 1U);
  EXPECT_EQ(woken[0].waiter, WaiterId{7});
  ASSERT_EQ(woken[0].deliveries.size(), 1U);
  EXPECT_EQ(woken[0].deliveries[0].content, b.engine().location(q, Seq{1}));
  EXPECT_EQ(b.log().size(), before + 2);
  EXPECT_EQ(b.counts(q), (Counts{0, 1, 0}));
}

TEST(Waiters, the_first_waiting_is_the_first_served) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.wait(q, 5, 20s);
  b.wait(q, 3, 10s);
  b.send_all(q, {{}, {}});
  const auto woken = b.wakeups();
  ASSERT_EQ(woken.size(), 2U);
  EXPECT_EQ(woken[0].waiter, WaiterId{5});
  EXPECT_EQ(woken[0].deliveries.at(0).receipt.seq, Seq{1});
  EXPECT_EQ(woken[1].waiter, WaiterId{3});
}

TEST(Waiters, one_takes_as_many_as_it_asked_for) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.wait(q, 1, 20s, 2);
  b.wait(q, 2, 20s, 10);
  b.send_all(q, {{}, {}, {}, {}});
  const auto woken = b.wakeups();
  ASSERT_EQ(woken.size(), 2U);
  EXPECT_EQ(woken[0].deliveries.size(), 2U);
  EXPECT_EQ(woken[1].deliveries.size(), 2U);
}

TEST(Waiters, a_message_that_is_there_is_not_waited_for) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q);
  EXPECT_FALSE(b.wait(q, 1, 20s));
  EXPECT_TRUE(b.wakeups().empty());
}

TEST(Waiters, a_wait_ends_exactly_when_it_should_with_nothing) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.wait(q, 1, 20s);
  EXPECT_EQ(b.engine().next_deadline(), b.now() + 20s);
  b.tick(20s - 1ms);
  EXPECT_TRUE(b.wakeups().empty());
  b.tick(1ms);
  const auto woken = b.wakeups();
  ASSERT_EQ(woken.size(), 1U);
  EXPECT_TRUE(woken[0].deliveries.empty());
  EXPECT_EQ(b.engine().next_deadline(), Time::max());
}

TEST(Waiters, a_wait_that_ends_now_is_none) {
  Rig b;
  const QueueId q = b.create("jobs");
  EXPECT_FALSE(b.wait(q, 1, 0s));
}

TEST(Waiters, a_message_that_appears_at_the_end_of_a_wait_is_still_delivered) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q, 20s);
  b.wait(q, 1, 20s);
  b.tick(20s);
  EXPECT_EQ(b.wakeups().at(0).deliveries.size(), 1U);
}

TEST(Waiters, the_end_of_a_delay_and_of_a_lease_serve_them) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q, 5s);
  b.wait(q, 1, 20s);
  b.tick(5s);
  EXPECT_EQ(b.wakeups().at(0).deliveries.at(0).receive_count, 1U);
  b.advance(15s);
  b.wait(q, 2, 20s);
  b.tick(15s);
  EXPECT_EQ(b.wakeups().at(0).deliveries.at(0).receive_count, 2U);
}

TEST(Waiters, a_message_returned_with_visibility_0_serves_them) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q);
  const Receipt r = b.receive(q).at(0).receipt;
  b.wait(q, 1, 20s);
  b.change(q, r, 0s);
  EXPECT_EQ(b.wakeups().at(0).deliveries.at(0).receive_count, 2U);
}

TEST(Waiters, one_at_the_in_flight_limit_is_served_when_a_message_is_deleted) {
  Rig b({.inflight_max = 1});
  const QueueId q = b.create("jobs");
  b.send_all(q, {{}, {}});
  const Receipt r = b.receive(q).at(0).receipt;
  EXPECT_TRUE(b.wait(q, 1, 20s));
  EXPECT_TRUE(b.wakeups().empty());
  b.erase(q, r);
  EXPECT_EQ(b.wakeups().at(0).deliveries.at(0).receipt.seq, Seq{2});
}

TEST(Waiters, one_that_has_gone_is_leased_nothing) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.wait(q, 1, 20s);
  b.engine().cancel(WaiterId{1});
  b.engine().cancel(WaiterId{1});
  b.send(q);
  EXPECT_TRUE(b.wakeups().empty());
  EXPECT_EQ(b.counts(q), (Counts{1, 0, 0}));
  EXPECT_TRUE(b.engine().audit());
}

TEST(Waiters, with_all_places_taken_a_receive_does_not_wait) {
  Rig b({.waiters_max = 2});
  const QueueId q = b.create("jobs"), other = b.create("other");
  EXPECT_TRUE(b.wait(q, 1, 20s));
  EXPECT_TRUE(b.wait(other, 2, 20s));
  EXPECT_FALSE(b.wait(q, 3, 20s));
  b.engine().cancel(WaiterId{2});
  EXPECT_TRUE(b.wait(q, 4, 20s));
}

TEST(Waiters, a_receive_that_comes_later_does_not_overtake) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.wait(q, 1, 20s);
  b.send(q, 1s);
  b.advance(1s);  // without tick()
  EXPECT_TRUE(b.receive(q).empty());
  EXPECT_EQ(b.wakeups().at(0).waiter, WaiterId{1});
}

TEST(Waiters, they_do_not_survive_a_restart) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.wait(q, 1, 20s);
  b.restart();
  EXPECT_EQ(b.engine().next_deadline(), Time::max());
}

}  // namespace
}  // namespace hr::queue
