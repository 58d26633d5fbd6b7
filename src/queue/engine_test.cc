#include "queue/engine.h"

#include "queue/testing.h"

#include <gtest/gtest.h>

#include <string>

namespace hr::queue {
namespace {

using testing::describe;
using testing::Rig;

TEST(Engine, a_message_is_sent_received_and_deleted) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q);
  EXPECT_EQ(b.counts(q), (Counts{1, 0, 0}));

  const auto got = b.receive(q);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].receive_count, 1U);
  EXPECT_EQ(got[0].content, b.engine().location(q, Seq{1}));
  EXPECT_EQ(b.counts(q), (Counts{0, 1, 0}));

  EXPECT_TRUE(b.erase(q, got[0].receipt));
  EXPECT_EQ(b.counts(q), Counts{});
  EXPECT_EQ(b.engine().next_deadline(), Time::max());
  EXPECT_TRUE(b.engine().audit());
}

TEST(Engine, a_restart_arrives_at_the_same_state) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send_all(q, {{}, 5s, {}});
  b.receive(q, 1);
  const std::string before = describe(b.engine());

  b.restart();

  EXPECT_EQ(describe(b.engine()), before);
  EXPECT_TRUE(b.engine().audit());
}

TEST(Engine, a_lease_survives_a_restart_and_ends_when_it_should) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q);
  b.receive(q, 1, 10s);
  b.restart();

  b.tick(10s - 1ms);
  EXPECT_TRUE(b.receive(q).empty());
  b.tick(1ms);
  EXPECT_EQ(b.receive(q).at(0).receive_count, 2U);
}

TEST(Engine, a_clock_that_runs_backwards_stands_still) {
  Rig b;
  const QueueId q = b.create("jobs");
  b.send(q);
  const Time received = b.now();
  b.receive(q, 1, 10s);
  b.advance(-1h);
  b.tick();
  EXPECT_EQ(b.counts(q), (Counts{0, 1, 0}));
  EXPECT_EQ(b.engine().next_deadline(), received + 10s);
}

TEST(Engine, a_refused_command_logs_nothing) {
  Rig b;
  b.send_all(QueueId{9}, {{}});
  b.remove(QueueId{9});
  b.try_create("a b");
  EXPECT_TRUE(b.log().empty());
}

TEST(Engine, a_step_past_its_budget_is_due_again_at_once) {
  Rig b({.tick_messages_max = 3});
  const QueueId q = b.create("jobs");
  for (int i = 0; i < 10; ++i) b.send(q, 1s);
  b.tick(1s);
  EXPECT_EQ(b.counts(q), (Counts{3, 0, 7}));
  int more = 0;
  for (; b.engine().next_deadline() <= b.now(); ++more) b.tick();
  EXPECT_EQ(more, 3);
  EXPECT_EQ(b.counts(q), (Counts{10, 0, 0}));
}

TEST(Engine, what_is_received_does_not_depend_on_how_far_tick_came) {
  Rig b({.tick_messages_max = 1});
  const QueueId q = b.create("jobs");
  b.send_all(q, {3s, 2s, 1s});
  b.advance(3s);
  const auto got = b.receive(q);
  ASSERT_EQ(got.size(), 3U);
  EXPECT_EQ(got[0].receipt.seq, Seq{3});
  EXPECT_EQ(got[1].receipt.seq, Seq{2});
  EXPECT_EQ(got[2].receipt.seq, Seq{1});
  EXPECT_TRUE(b.engine().audit());
}

TEST(Engine, waiting_receivers_beyond_a_steps_budget_are_served_by_the_next) {
  Rig b({.tick_messages_max = 2});
  const QueueId q = b.create("jobs");
  for (std::uint64_t w = 1; w <= 5; ++w) b.wait(q, w, 20s);
  b.send_all(q, {{}, {}, {}, {}, {}});
  EXPECT_EQ(b.wakeups().size(), 2U);
  while (b.engine().next_deadline() <= b.now()) b.tick();
  const auto rest = b.wakeups();
  ASSERT_EQ(rest.size(), 3U);
  EXPECT_EQ(rest[0].waiter, WaiterId{3});
  EXPECT_TRUE(b.engine().audit());
}

TEST(Engine, nothing_due_ever_has_no_deadline) {
  Rig b;
  EXPECT_EQ(b.engine().next_deadline(), Time::max());
  b.create("jobs");
  EXPECT_EQ(b.engine().next_deadline(), Time::max());
}

}  // namespace
}  // namespace hr::queue
