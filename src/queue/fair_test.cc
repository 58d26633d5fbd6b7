// Fair queues: whose message is next. SQS Developer Guide, "How Amazon SQS fair queues work".
#include "queue/tenants.h"
#include "queue/testing.h"

#include <gtest/gtest.h>

#include <vector>

namespace hr::queue {
namespace {

using testing::Rig;
using Seqs = std::vector<std::uint64_t>;

constexpr std::uint64_t kLoud = 1, kOther = 2, kThird = 3;

class FairQueue : public ::testing::Test {
 protected:
  // `count` messages of a tenant; the number of the first.
  std::uint64_t send(std::uint64_t tenant, int count = 1) {
    const auto first = static_cast<std::uint64_t>(rig_.send_as(queue_, tenant));
    for (int i = 1; i < count; ++i) rig_.send_as(queue_, tenant);
    return first;
  }
  // Deletes what it receives after `time`.
  void process(int count, Duration time) {
    const auto got = rig_.receive(queue_, count);
    EXPECT_EQ(got.size(), static_cast<std::size_t>(count));
    rig_.advance(time);
    for (const Delivery& d : got) EXPECT_TRUE(rig_.erase(queue_, d.receipt));
  }
  // The loud tenant's 30 in flight, and as many waiting.
  void make_noisy() {
    send(kLoud, 60);
    EXPECT_EQ(rig_.receive(queue_, 30, 1h).size(), 30U);
  }
  void audit() {
    const Status status = rig_.engine().audit();
    EXPECT_TRUE(status) << status.error().message;
  }

  Rig rig_;
  QueueId queue_ = rig_.create("jobs");
};

TEST_F(FairQueue, messages_without_a_group_are_received_in_their_order) {
  const auto a = static_cast<std::uint64_t>(rig_.send(queue_));
  const auto b = send(kOther);
  const auto c = static_cast<std::uint64_t>(rig_.send(queue_));
  EXPECT_EQ(rig_.seqs(queue_), (Seqs{a, b, c}));
  audit();
}

TEST_F(FairQueue, thirty_in_flight_and_more_than_a_tenth_make_a_tenant_noisy) {
  make_noisy();
  const auto quiet = send(kOther);
  const auto lone = static_cast<std::uint64_t>(rig_.send(queue_));
  EXPECT_EQ(rig_.seqs(queue_, 3), (Seqs{quiet, lone, 31}));
  audit();
}

TEST_F(FairQueue, twenty_nine_in_flight_do_not) {
  send(kLoud, 40);
  EXPECT_EQ(rig_.receive(queue_, 29, 1h).size(), 29U);
  send(kOther);
  EXPECT_EQ(rig_.seqs(queue_, 1), (Seqs{30}));
  audit();
}

TEST_F(FairQueue, nor_does_a_tenth_however_many_they_are) {
  for (int i = 0; i < 270; ++i) rig_.send(queue_);
  EXPECT_EQ(rig_.receive(queue_, 270, 1h).size(), 270U);
  send(kLoud, 40);
  EXPECT_EQ(rig_.receive(queue_, 30, 1h).size(), 30U);  // 30 of 300
  const auto quiet = send(kOther);
  EXPECT_EQ(rig_.seqs(queue_, 1), (Seqs{301}));
  EXPECT_EQ(rig_.seqs(queue_, 1), (Seqs{quiet})) << "31 of 301 are more";
  audit();
}

TEST_F(FairQueue, slow_processing_makes_a_tenant_noisy_with_few_in_flight) {
  send(kOther, 10);
  process(10, 1s);
  send(kLoud, 3);
  process(1, 20s);
  const auto quiet = send(kThird);
  EXPECT_EQ(rig_.seqs(queue_, 2), (Seqs{quiet, 12}));
  audit();
}

TEST_F(FairQueue, processing_longer_than_ten_minutes_ago_counts_no_more) {
  send(kLoud);
  process(1, 20s);
  rig_.advance(15min);
  rig_.send_as(queue_, kLoud);
  send(kOther, 3);
  EXPECT_EQ(rig_.seqs(queue_, 1), (Seqs{2}));
  send(kLoud);
  EXPECT_EQ(rig_.seqs(queue_, 3), (Seqs{3, 4, 5}));
}

TEST_F(FairQueue, without_quiet_messages_noisy_ones_are_received_as_ever) {
  make_noisy();
  EXPECT_EQ(rig_.receive(queue_, 30).size(), 30U);
}

TEST_F(FairQueue, among_noisy_tenants_the_one_with_the_fewest_in_flight_is_first) {
  send(kLoud, 50);
  EXPECT_EQ(rig_.receive(queue_, 40, 1h).size(), 40U);
  send(kOther, 50);
  EXPECT_EQ(rig_.receive(queue_, 30, 1h).size(), 30U);
  EXPECT_EQ(rig_.seqs(queue_, 10, 1h), (Seqs{81, 82, 83, 84, 85, 86, 87, 88, 89, 90}));
  EXPECT_EQ(rig_.seqs(queue_, 3, 1h), (Seqs{41, 91, 42})) << "40 each: by turns, the older first";
  audit();
}

TEST_F(FairQueue, a_tenant_is_quiet_again_when_nothing_of_it_waits) {
  make_noisy();
  EXPECT_EQ(rig_.receive(queue_, 30, 0ms).size(), 30U);
  for (const Delivery& d : rig_.receive(queue_, 30)) EXPECT_TRUE(rig_.erase(queue_, d.receipt));
  rig_.tick(1h);  // its leases are over: 30 wait again, none in flight
  const auto next = send(kOther);
  EXPECT_EQ(rig_.seqs(queue_, 1), (Seqs{1}));
  EXPECT_LT(1U, next);
  audit();
}

TEST_F(FairQueue, a_tenant_is_quiet_again_when_it_has_sent_nothing_for_five_minutes) {
  make_noisy();
  rig_.advance(5min - 1ms);
  auto quiet = send(kOther);
  EXPECT_EQ(rig_.seqs(queue_, 1, 1h), (Seqs{quiet}));
  rig_.advance(1ms);
  send(kOther);
  EXPECT_EQ(rig_.seqs(queue_, 1, 1h), (Seqs{31}));
  send(kLoud);
  EXPECT_EQ(rig_.seqs(queue_, 1, 1h), (Seqs{32})) << "judged again when a message of it is received";
  EXPECT_EQ(rig_.seqs(queue_, 1, 1h), (Seqs{62}));
  audit();
}

TEST_F(FairQueue, returned_and_delayed_messages_keep_their_tenant) {
  send(kLoud, 31);
  auto got = rig_.receive(queue_, 30, 1h);
  ASSERT_EQ(got.size(), 30U);
  rig_.send_as(queue_, kLoud, 10s);
  const auto quiet = static_cast<std::uint64_t>(rig_.send_as(queue_, kOther, 20s));
  rig_.tick(20s);
  EXPECT_EQ(rig_.seqs(queue_, 10), (Seqs{quiet, 31, 32}));
  EXPECT_TRUE(rig_.change(queue_, got[0].receipt, 0ms));
  EXPECT_EQ(rig_.seqs(queue_, 1), (Seqs{1}));
  audit();
}

TEST_F(FairQueue, a_dead_letter_keeps_its_tenant) {
  const auto dead = rig_.create("dead");
  AttributeChange redrive;
  redrive.redrive = Redrive{dead, 1};
  ASSERT_TRUE(rig_.set(queue_, redrive));
  send(kLoud, 2);
  EXPECT_EQ(rig_.receive(queue_, 2, 0ms).size(), 2U);
  EXPECT_TRUE(rig_.receive(queue_).empty());
  EXPECT_EQ(rig_.counts(dead).visible, 2U);
  audit();
  EXPECT_NE(testing::describe(rig_.engine()).find("group=1"), std::string::npos);
}

TEST_F(FairQueue, a_restart_keeps_tenants_and_their_messages_and_judges_anew) {
  make_noisy();
  const auto before = testing::describe(rig_.engine());
  rig_.restart();
  EXPECT_EQ(testing::describe(rig_.engine()), before);
  audit();
  send(kOther);
  EXPECT_EQ(rig_.seqs(queue_, 1), (Seqs{31}));
  EXPECT_EQ(rig_.seqs(queue_, 1), (Seqs{61}));
}

TEST_F(FairQueue, a_purge_leaves_nothing_of_the_tenants) {
  make_noisy();
  EXPECT_TRUE(rig_.purge(queue_));
  rig_.tick();
  audit();
  const auto first = send(kLoud);
  send(kOther);
  EXPECT_EQ(rig_.seqs(queue_, 1), (Seqs{first}));
}

TEST(FairQueues, sixty_four_tenants_are_noisy_at_one_moment_and_no_more) {
  Rig rig({.noisy_inflight = 1});
  const auto queue = rig.create("jobs");
  for (std::uint64_t tenant = 1; tenant <= kNoisyMax + 1; ++tenant) {
    const auto first = static_cast<std::uint64_t>(rig.send_as(queue, tenant));
    rig.send_as(queue, tenant);
    const auto got = rig.receive(queue, 1, 1h);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(static_cast<std::uint64_t>(got[0].receipt.seq), first) << "a quiet one's";
    rig.advance(1ms);
    EXPECT_TRUE(rig.change(queue, got[0].receipt, 0ms));
  }
  EXPECT_EQ(rig.seqs(queue, 2), (Seqs{130, 129})) << "the last one's, though it should be noisy too";
  const Status status = rig.engine().audit();
  EXPECT_TRUE(status) << status.error().message;
}

}  // namespace
}  // namespace hr::queue
