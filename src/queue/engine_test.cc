#include "queue/engine.h"

#include "queue/testing.h"

#include <gtest/gtest.h>

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
  EXPECT_GT(got[0].content.bytes, 0U);
  EXPECT_EQ(b.counts(q), (Counts{0, 1, 0}));

  EXPECT_TRUE(b.erase(q, got[0].receipt));
  EXPECT_EQ(b.counts(q), Counts{});
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

TEST(Engine, a_send_that_meets_a_waiting_receiver_is_one_group_with_its_lease) {
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

}  // namespace
}  // namespace hr::queue
