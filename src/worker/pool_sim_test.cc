// Whole histories of pools from seeds: requests that fail before or after they were carried out, children
// that fail, crash and hang, hosts that die, stall and drain, messages that come twice; bursts of short tasks
// that are given many at a time.
#include "worker/pool_world.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace hr::worker::testing {
namespace {

constexpr ByteView kRecord =
    R"({"eventTime":"2026-01-02T03:04:05Z","eventName":"ObjectCreated:Put","s3":{"configurationId":)"
    R"("headrace-app.index","bucket":{"name":"inbox"},"object":{"key":"k"}}})";

// Empty: all went as it must.
std::string history(std::uint64_t seed, std::size_t hosts, Chances chances, Plant plant = Plant::kNone) {
  World world(seed, hosts, chances, plant);
  constexpr int kTasks = 60, kBurst = 60;
  for (int i = 0; i < kTasks; ++i) {
    world.send_task(fmt::format("job-{}", i), i % 2 == 0);
    if (i % 10 == 3) world.send(fmt::format(R"({{"Records":[{},{}]}})", kRecord, kRecord));
    if (i % 20 == 7) world.send(R"({"Service":"Amazon S3","Event":"s3:TestEvent","Records":null})");
    if (i % 20 == 9) world.send("not an envelope");
    for (int j = 0; i % 15 == 5 && j < kBurst; ++j) {
      world.send_task(fmt::format("quick-job-{}-{}", i, j), j % 7 == 0);
    }
    world.run_for(5s);
  }
  world.run_for(600s);
  world.calm();
  for (int i = 0; i < 200 && world.messages_left() > 0 && world.breach.empty(); ++i) world.run_for(60s);
  if (!world.breach.empty()) return world.breach;
  if (world.messages_left() != 0) return "a message never came to an end";
  for (int i = 0; i < kTasks; ++i) {
    const Bytes id = fmt::format("job-{}", i);
    if (world.runs_done[id] == 0 && !world.dead.contains(id) && !world.cancelled(id)) {
      return id + " never ended";
    }
  }
  return "";
}

std::uint64_t first_seed() {
  const char* named = std::getenv("HEADRACE_SEED");
  return named != nullptr ? std::strtoull(named, nullptr, 10) : 1;
}

int seeds() {
  const char* named = std::getenv("HEADRACE_SEEDS");
  return named != nullptr ? std::atoi(named) : 60;
}

TEST(PoolSimulation, two_hosts_with_every_fault_end_each_message_once) {
  const std::uint64_t first = first_seed();
  for (int i = 0; i < seeds(); ++i) {
    const auto seed = first + static_cast<std::uint64_t>(i);
    ASSERT_EQ(history(seed, 2, {}), "") << "seed " << seed;
  }
}

TEST(PoolSimulation, messages_that_come_twice_never_run_twice_at_once_on_a_host) {
  Chances chances;
  chances.duplicate = 300;
  chances.host_dies = 0;
  const std::uint64_t first = first_seed();
  for (int i = 0; i < seeds(); ++i) {
    const auto seed = first + static_cast<std::uint64_t>(i);
    ASSERT_EQ(history(seed, 1, chances), "") << "seed " << seed;
  }
}

TEST(PoolSimulation, jobs_that_are_cancelled_end_beside_those_that_are_not) {
  Chances chances;
  chances.cancels = 150;
  const std::uint64_t first = first_seed();
  for (int i = 0; i < seeds(); ++i) {
    const auto seed = first + static_cast<std::uint64_t>(i);
    ASSERT_EQ(history(seed, 2, chances), "") << "seed " << seed;
  }
}

TEST(PoolSimulation, without_faults_every_task_runs_once) {
  World world(1, 2, {0, 0, 0, 0, 0, 0, 0, 0, 0});
  for (int i = 0; i < 200; ++i) world.send_task(fmt::format("job-{}", i), true);
  for (int i = 0; i < 100 && world.messages_left() > 0; ++i) world.run_for(60s);
  EXPECT_EQ(world.breach, "");
  EXPECT_EQ(world.messages_left(), 0U);
  EXPECT_EQ(world.runs_begun.size(), 200U);
  for (const auto& [job, runs] : world.runs_begun) EXPECT_EQ(runs, 1) << job;
}

TEST(PoolSimulation, finds_each_bug_that_is_planted) {
  constexpr std::uint64_t kSeedsMax = 60;
  for (const auto& [plant, name] :
       {std::pair(Plant::kLeaseTooLong, "a child is told that its lease ends 20 s later than it does"),
        std::pair(Plant::kAllBegun, "a dead child is said to have begun all it was given"),
        std::pair(Plant::kAllDone, "what a dead child had not begun is taken for done"),
        std::pair(Plant::kRecallNotHeard, "a child goes on with what was taken back"),
        std::pair(Plant::kRecallTellsLess, "what a child runs is taken for not begun"),
        std::pair(Plant::kNotDeleted, "a batch says that it deleted, and did not"),
        std::pair(Plant::kResultNotStored, "a result is said to be stored, and is not")}) {
    std::uint64_t seed = 0;
    while (++seed <= kSeedsMax && history(seed, 2, {}, plant).empty()) {
    }
    EXPECT_LE(seed, kSeedsMax) << name;
  }
}

}  // namespace
}  // namespace hr::worker::testing
