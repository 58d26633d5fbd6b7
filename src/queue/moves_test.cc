// Message move tasks: what they move, at which pace, how they end, and that a restart carries them on.
#include "queue/testing.h"

#include <gtest/gtest.h>

#include <vector>

namespace hr::queue {
namespace {

using testing::describe;
using testing::Rig;
using testing::uuid;

class Moves : public ::testing::Test {
 protected:
  Moves() : dead_(rig.create("dead")), jobs_(make("jobs", dead_)) {}

  QueueId make(const std::string& name, QueueId dead) {
    AttributeChange change;
    change.redrive = Redrive{dead, 1};
    return rig.create(name, change);
  }
  // So many messages fail in `jobs` and end in the dead-letter queue.
  void fail(int messages, QueueId q) {
    for (int i = 0; i < messages; ++i) rig.send(q);
    while (!rig.receive(q, 10, 0s).empty()) {
    }
  }
  void fail(int messages) { fail(messages, jobs_); }

  Outcome<void> start(std::uint64_t id, QueueId to = {}, std::uint32_t rate = 0) {
    Effects step;
    auto done = rig.engine().start_move(
        {.id = uuid(id), .source = dead_, .destination = to, .per_second = rate}, rig.now(), step);
    rig.commit(step, rig.engine().bound(1));
    return done;
  }
  Outcome<std::uint64_t> cancel(std::uint64_t id) {
    Effects step;
    auto done = rig.engine().cancel_move(uuid(id), rig.now(), step);
    rig.commit(step, rig.engine().bound(1));
    return done;
  }
  MoveTask newest() { return rig.engine().moves(dead_).at(0); }
  void expect_restart_finds_the_same() {
    EXPECT_EQ(describe(*rig.restored()), describe(rig.engine()));
    const Status audited = rig.engine().audit();
    EXPECT_TRUE(audited) << audited.error().message;
  }

  Rig rig;
  QueueId dead_, jobs_;
};

TEST_F(Moves, everything_goes_back_to_where_it_came_from_as_new_messages) {
  const QueueId other = make("other", dead_);
  fail(3);
  fail(2, other);
  ASSERT_EQ(rig.counts(dead_).visible, 5U);
  const auto before = rig.receive(dead_, 10, 0s);
  ASSERT_TRUE(start(1));
  rig.tick();
  EXPECT_EQ(rig.counts(dead_), Counts{});
  EXPECT_EQ(rig.counts(jobs_).visible, 3U);
  EXPECT_EQ(rig.counts(other).visible, 2U);
  EXPECT_EQ(newest().status, MoveStatus::kCompleted);
  EXPECT_EQ(newest().moved, 5U);
  expect_restart_finds_the_same();
  for (const Delivery& d : rig.receive(jobs_, 10)) {
    EXPECT_EQ(d.receive_count, 1U);
    EXPECT_EQ(d.sent, rig.now());
    EXPECT_FALSE(d.moved);
    for (const Delivery& old : before) EXPECT_NE(d.id, old.id);
  }
}

TEST_F(Moves, a_destination_takes_all_whatever_their_source) {
  const QueueId to = rig.create("again");
  fail(2);
  rig.send(dead_);  // sent there by hand: it has no source
  ASSERT_TRUE(start(1, to));
  rig.tick();
  EXPECT_EQ(rig.counts(to).visible, 3U);
  EXPECT_EQ(newest().status, MoveStatus::kCompleted);
}

TEST_F(Moves, a_message_without_a_source_ends_a_task_without_a_destination) {
  fail(1);
  rig.send(dead_);
  fail(1);
  ASSERT_TRUE(start(1));
  rig.tick();
  EXPECT_EQ(newest().status, MoveStatus::kFailed);
  EXPECT_EQ(newest().failure, "CouldNotDetermineMessageSource");
  EXPECT_EQ(newest().moved, 1U);
  EXPECT_EQ(rig.counts(dead_).visible, 2U);
  expect_restart_finds_the_same();
}

TEST_F(Moves, a_destination_that_was_deleted_ends_it) {
  const QueueId to = rig.create("again");
  fail(1);
  ASSERT_TRUE(start(1, to));
  ASSERT_TRUE(rig.remove(to));
  rig.tick();
  EXPECT_EQ(newest().status, MoveStatus::kFailed);
  EXPECT_EQ(rig.counts(dead_).visible, 1U);
}

TEST_F(Moves, the_rate_is_kept) {
  fail(100);
  ASSERT_TRUE(start(1, {}, 20));
  rig.tick();
  EXPECT_EQ(newest().moved, 2U);
  rig.tick(99ms);
  EXPECT_EQ(newest().moved, 2U);
  for (int i = 0; i < 9; ++i) rig.tick(100ms);
  EXPECT_EQ(newest().moved, 20U);
  EXPECT_EQ(rig.engine().next_deadline(), rig.now() + 100ms);
}

TEST_F(Moves, a_rate_below_ten_moves_one_at_a_time) {
  fail(3);
  ASSERT_TRUE(start(1, {}, 2));
  rig.tick();
  EXPECT_EQ(newest().moved, 1U);
  rig.tick(499ms);
  EXPECT_EQ(newest().moved, 1U);
  rig.tick(1ms);
  EXPECT_EQ(newest().moved, 2U);
}

TEST_F(Moves, what_is_leased_is_waited_for) {
  fail(2);
  const auto leased = rig.receive(dead_, 1, 5s);
  ASSERT_EQ(leased.size(), 1U);
  ASSERT_TRUE(start(1));
  rig.tick();
  EXPECT_EQ(newest().moved, 1U);
  EXPECT_EQ(newest().status, MoveStatus::kRunning);
  for (int i = 0; i < 5; ++i) rig.tick(1s);
  EXPECT_EQ(newest().status, MoveStatus::kCompleted);
  EXPECT_EQ(newest().moved, 2U);
}

TEST_F(Moves, what_comes_while_it_runs_is_left_to_the_next_task) {
  fail(2);
  ASSERT_TRUE(start(1, {}, 1));
  rig.tick();
  fail(0);  // the moved one fails again
  EXPECT_EQ(rig.counts(dead_).visible, 2U);
  rig.tick(1s);
  EXPECT_EQ(newest().status, MoveStatus::kCompleted);
  EXPECT_EQ(rig.counts(dead_).visible, 1U);
}

TEST_F(Moves, a_restart_carries_on) {
  fail(60);
  ASSERT_TRUE(start(1, {}, 100));
  rig.tick();
  ASSERT_EQ(newest().moved, 10U);
  expect_restart_finds_the_same();
  rig.restart();
  for (int i = 0; i < 5; ++i) rig.tick(100ms);
  EXPECT_EQ(newest().status, MoveStatus::kCompleted);
  EXPECT_EQ(rig.counts(jobs_).visible, 60U);
}

TEST_F(Moves, cancelled_it_moves_no_more) {
  fail(60);
  ASSERT_TRUE(start(1, {}, 100));
  rig.tick();
  EXPECT_EQ(cancel(1).value(), 10U);
  rig.tick(1s);
  EXPECT_EQ(newest().moved, 10U);
  EXPECT_EQ(newest().status, MoveStatus::kCancelled);
  EXPECT_EQ(cancel(1).error(), Fault::kMoveEnded);
  EXPECT_EQ(cancel(2).error(), Fault::kNoSuchMove);
  expect_restart_finds_the_same();
}

TEST_F(Moves, refusals_change_nothing) {
  fail(1);
  const std::string before = describe(rig.engine());
  EXPECT_EQ(start(1, dead_).error(), Fault::kInvalid);
  EXPECT_EQ(start(1, rig.engine().find(testing::kAccount, "dead")->id).error(), Fault::kInvalid);
  EXPECT_EQ(start(1, {}, kMoveRateMax + 1).error(), Fault::kInvalid);
  EXPECT_EQ(start(1, QueueId{99}).error(), Fault::kNoSuchQueue);
  EXPECT_EQ(describe(rig.engine()), before);
  ASSERT_TRUE(start(1, {}, kMoveRateMax));
  EXPECT_EQ(start(2).error(), Fault::kMoveRunning);
  Effects step;
  EXPECT_EQ(rig.engine().start_move({.id = uuid(3), .source = jobs_}, rig.now(), step).error(),
            Fault::kNotDeadLetter);
  const QueueId fifo = rig.create("fifo.fifo");
  EXPECT_EQ(start(4, fifo).error(), Fault::kInvalid);
}

TEST_F(Moves, ten_tasks_of_a_queue_are_remembered_and_go_with_it) {
  for (std::uint64_t id = 1; id <= 12; ++id) {
    fail(1);
    ASSERT_TRUE(start(id));
    rig.tick(1s);
    ASSERT_EQ(newest().status, MoveStatus::kCompleted);
  }
  const auto tasks = rig.engine().moves(dead_);
  ASSERT_EQ(tasks.size(), kMovesListed);
  EXPECT_EQ(tasks.front().asked.id, uuid(12));
  EXPECT_EQ(tasks.back().asked.id, uuid(3));
  expect_restart_finds_the_same();
  ASSERT_TRUE(rig.remove(dead_));
  EXPECT_TRUE(rig.engine().moves(dead_).empty());
  expect_restart_finds_the_same();
}

TEST_F(Moves, a_message_that_waits_there_is_received_at_once) {
  fail(1);
  ASSERT_TRUE(rig.wait(jobs_, 7, 20s));
  ASSERT_TRUE(start(1));
  rig.tick();
  const auto wakeups = rig.wakeups();
  ASSERT_EQ(wakeups.size(), 1U);
  EXPECT_EQ(wakeups[0].deliveries.size(), 1U);
}

TEST_F(Moves, a_moved_message_can_be_copied_to_the_head_of_the_log) {
  fail(1);
  ASSERT_TRUE(start(1));
  rig.tick();
  std::uint32_t cursor = 0;
  const auto all = rig.engine().standing_before(2, cursor, 1);
  ASSERT_EQ(all.size(), 1U);
  rig.next_segment();
  Effects step;
  ASSERT_TRUE(rig.engine().copy(all[0], rig.log()[all[0].at.offset / 10].payload, step));
  rig.commit(step, {1, 1'000});
  EXPECT_EQ(rig.engine().oldest_segment(), 2U);
  expect_restart_finds_the_same();
}

}  // namespace
}  // namespace hr::queue
