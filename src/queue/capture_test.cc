// A copy of the state, taken in blocks while commands go on, is the state of the moment when it was begun.
#include "queue/engine.h"
#include "queue/image.h"
#include "queue/testing.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

namespace hr::queue {
namespace {

using testing::describe;
using testing::Rig;

using Blocks = std::map<storage::BlockKey, Bytes>;

// One step of copying into `blocks`, as a checkpoint that builds on the one before does. False: there is no
// more.
bool copy_block(Engine& engine, Blocks& blocks) {
  auto block = engine.next_block();
  if (!block) return false;
  if (block->bytes.empty()) {
    blocks.erase(block->key);
  } else {
    blocks[block->key] = std::move(block->bytes);
  }
  return true;
}

void begin(Engine& engine, Blocks& blocks, bool whole) {
  std::erase_if(blocks, [&](const auto& entry) { return whole || entry.first.kind != kMessageBlocks; });
  engine.begin_capture(whole);
}

std::unique_ptr<Engine> loaded(const Blocks& blocks, Limits limits = {}) {
  auto engine = std::make_unique<Engine>(limits);
  for (const auto& [key, bytes] : blocks) {
    const Status status = engine->load(key, bytes);
    EXPECT_TRUE(status) << status.error().message;
  }
  const Status status = engine->loaded();
  EXPECT_TRUE(status) << status.error().message;
  const Status audited = engine->audit();
  EXPECT_TRUE(audited) << audited.error().message;
  return engine;
}

// Commands by the dice, on a standard queue, a FIFO queue, and their dead-letter queues.
class Traffic {
 public:
  // `clears`: queues are purged and removed too.
  Traffic(unsigned seed, bool clears) : dice_(seed), clears_(clears) {
    const QueueId dead = rig.create("dead"), dead_fifo = rig.create("dead.fifo");
    dead_ = dead;
    AttributeChange change;
    change.redrive = Redrive{dead, 2};
    jobs_ = rig.create("jobs", change);
    change.redrive = Redrive{dead_fifo, 2};
    fifo_ = rig.create("jobs.fifo", change);
  }

  void step() {
    const bool fifo = below(2) == 0;
    const QueueId q = fifo ? fifo_ : jobs_;
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
      case 3:
        if (fifo) return static_cast<void>(rig.try_send_to(q, 1 + below(4), below(3) == 0 ? "again" : ""));
        return static_cast<void>(
            rig.send_all(q, std::vector<std::optional<Duration>>(1 + below(400), delay())));
      case 4:
      case 5:
      case 6: {
        ReceiveRequest request{.max_messages = static_cast<int>(1 + below(300)),
                               .visibility = Duration(below(9) * 1000)};
        if (fifo && below(2) == 0) request.attempt = Rig::print("attempt" + std::to_string(below(3)));
        const auto received = rig.try_receive(q, request);
        if (received) leases_.insert(leases_.end(), received->deliveries.begin(), received->deliveries.end());
        return;
      }
      case 7:
      case 8:
        return end_leases();
      case 9:
        return rig.tick(Duration(below(5'000)));
      case 10:
        return static_cast<void>(rig.tag(q, {.set = {{"k", std::to_string(below(9))}}, .remove = {}}));
      default:
        if (clears_ && below(12) == 0) static_cast<void>(rig.purge(q));
        if (clears_ && below(12) == 0) replace();
        if (below(3) == 0) {
          rig.move({.id = testing::uuid(++moves_ << 32), .source = dead_, .per_second = 200});
        }
    }
  }

  Rig rig;

 private:
  std::size_t below(std::size_t n) { return dice_() % n; }
  std::optional<Duration> delay() {
    return below(3) == 0 ? std::optional<Duration>(Duration(below(9'000))) : std::nullopt;
  }

  void end_leases() {
    for (std::size_t n = std::min<std::size_t>(leases_.size(), below(300)); n > 0; --n) {
      const std::size_t i = below(leases_.size());
      const Receipt receipt = leases_[i].receipt;
      leases_[i] = leases_.back();
      leases_.pop_back();
      if (below(4) == 0) {
        static_cast<void>(rig.change(receipt.queue, receipt, Duration(below(3) * 5'000)));
      } else {
        static_cast<void>(rig.erase(receipt.queue, receipt));
      }
    }
  }

  // A queue is removed, and another one made.
  void replace() {
    if (spare_ != QueueId{}) static_cast<void>(rig.remove(spare_));
    spare_ = rig.create("spare" + std::to_string(++spares_));
    rig.send(spare_);
  }

  std::mt19937 dice_;
  const bool clears_;
  QueueId jobs_{}, fifo_{}, spare_{}, dead_{};
  std::uint64_t moves_ = 0;
  int spares_ = 0;
  std::vector<Delivery> leases_;
};

// An attempt id that is used again while the copy is made is in it with its new value or none: the log's
// records make it what it is.
std::string without_attempts(const std::string& described) {
  return described.substr(0, described.find("attempt queue="));
}

TEST(Capture, is_of_one_moment_whatever_happens_meanwhile_and_the_log_leads_on_from_there) {
  for (unsigned seed = 1; seed <= 24; ++seed) {
    // Messages that a purge took before they were copied are in no copy: the log's records would take them
    // too.
    const bool clears = seed % 2 == 0;
    Traffic traffic(seed, clears);
    std::mt19937 dice(seed);
    Blocks blocks;
    for (int round = 0; round < 6; ++round) {
      for (int i = 0; i < 60; ++i) traffic.step();
      begin(traffic.rig.engine(), blocks, round == 0 || dice() % 4 == 0);
      const std::string then = without_attempts(describe(traffic.rig.engine()));
      const std::size_t records = traffic.rig.log().size();
      while (copy_block(traffic.rig.engine(), blocks)) {
        for (unsigned i = dice() % 4; i > 0; --i) traffic.step();
      }
      traffic.rig.engine().end_capture(true);

      const auto engine = loaded(blocks);
      if (!clears)
        ASSERT_EQ(without_attempts(describe(*engine)), then) << "seed " << seed << ", round " << round;
      traffic.rig.replay(*engine, records);
      ASSERT_EQ(describe(*engine), describe(traffic.rig.engine())) << "seed " << seed << ", round " << round;
      const Status audited = engine->audit();
      ASSERT_TRUE(audited) << audited.error().message;
    }
  }
}

// The host's clock may be set back while the store is down.
TEST(Capture, what_became_visible_while_it_was_copied_is_visible_at_no_earlier_time_after_a_start) {
  Rig rig;
  const QueueId q = rig.create("jobs");
  rig.send(q);
  ASSERT_EQ(rig.try_receive(q, {.max_messages = 1, .visibility = 5s})->deliveries.size(), 1U);
  const Time begun = rig.now();
  Blocks blocks;
  begin(rig.engine(), blocks, true);
  rig.tick(6s);
  while (copy_block(rig.engine(), blocks)) {
  }
  rig.engine().end_capture(true);

  auto again = loaded(blocks);
  Effects out;
  const auto received = again->receive(q, {.max_messages = 1, .visibility = 5s}, begun + 1s, out);
  ASSERT_TRUE(received);
  EXPECT_EQ(received->deliveries.size(), 1U);
  auto third = loaded(blocks);
  for (const auto& record : out.records) {
    const Status status =
        third->restore({.lsn = 9, .kind = record.kind, .payload = record.payload, .at = {}});
    EXPECT_TRUE(status) << status.error().message;
  }
}

TEST(Capture, leaves_out_messages_that_have_not_changed) {
  Rig rig;
  const QueueId q = rig.create("jobs");
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(rig.send_all(q, std::vector<std::optional<Duration>>(1'000)));
  Blocks blocks;
  const auto messages = [&] {
    std::size_t count = 0;
    while (auto block = rig.engine().next_block()) count += block->key.kind == kMessageBlocks ? 1 : 0;
    rig.engine().end_capture(true);
    return count;
  };
  rig.engine().begin_capture(true);
  EXPECT_EQ(messages(), 5U);
  rig.engine().begin_capture(false);
  EXPECT_EQ(messages(), 0U);
  ASSERT_EQ(rig.seqs(q, 1), std::vector<std::uint64_t>{1});
  rig.engine().begin_capture(false);
  EXPECT_EQ(messages(), 1U);
}

TEST(Capture, that_was_given_up_leaves_everything_to_the_next) {
  Rig rig;
  const QueueId q = rig.create("jobs");
  rig.send(q);
  rig.engine().begin_capture(true);
  ASSERT_TRUE(rig.engine().next_block());
  rig.engine().end_capture(false);
  Blocks blocks;
  begin(rig.engine(), blocks, false);
  while (copy_block(rig.engine(), blocks)) {
  }
  EXPECT_EQ(describe(*loaded(blocks)), describe(rig.engine()));
}

TEST(Capture, keeps_the_numbers_of_a_queue_without_messages) {
  Rig rig;
  const QueueId q = rig.create("jobs");
  rig.send(q);
  ASSERT_TRUE(rig.purge(q));
  Blocks blocks;
  begin(rig.engine(), blocks, true);
  while (copy_block(rig.engine(), blocks)) {
  }
  const auto engine = loaded(blocks);
  EXPECT_EQ(describe(*engine), describe(rig.engine()));
}

TEST(Capture, blocks_that_do_not_fit_together_are_refused) {
  Rig rig;
  const QueueId q = rig.create("jobs");
  rig.send(q);
  Blocks blocks;
  begin(rig.engine(), blocks, true);
  while (copy_block(rig.engine(), blocks)) {
  }
  const auto refusal = [&](const Blocks& some) {
    Engine engine{Limits{}};
    for (const auto& [key, bytes] : some) {
      if (Status status = engine.load(key, bytes); !status) return status.error().code;
    }
    const Status status = engine.loaded();
    return status ? Errc::kInvalid : status.error().code;
  };
  Blocks without_head = blocks;
  without_head.erase({1, 0});
  EXPECT_EQ(refusal(without_head), Errc::kCorrupt);
  Blocks twice = blocks;
  twice[{kMessageBlocks, 1}] = blocks.at({kMessageBlocks, 0});
  EXPECT_EQ(refusal(twice), Errc::kCorrupt);
  Blocks unknown = blocks;
  unknown[{77, 0}] = "?";
  EXPECT_EQ(refusal(unknown), Errc::kCorrupt);
}

TEST(Capture, every_cut_or_changed_block_is_refused_or_read_and_never_more) {
  Traffic traffic(7, true);
  for (int i = 0; i < 60; ++i) traffic.step();
  Blocks blocks;
  begin(traffic.rig.engine(), blocks, true);
  while (copy_block(traffic.rig.engine(), blocks)) {
  }
  std::mt19937 dice(7);
  for (const auto& [key, bytes] : blocks) {
    for (int i = 0; i < 200; ++i) {
      Blocks changed = blocks;
      Bytes& block = changed[key];
      block[dice() % block.size()] = static_cast<char>(dice());
      if (i % 3 == 0) block.resize(dice() % (block.size() + 1));
      Engine engine{Limits{}};
      bool good = true;
      for (const auto& [k, b] : changed) good = good && engine.load(k, b);
      if (good) static_cast<void>(engine.loaded());
    }
  }
}

TEST(Standing, messages_of_old_segments_are_found_and_copied_to_the_head) {
  Rig rig;
  const QueueId q = rig.create("jobs"), other = rig.create("other.fifo");
  for (int i = 0; i < 1'500; ++i) rig.send(q);
  rig.send_to(other, 3);
  EXPECT_EQ(rig.engine().oldest_segment(), 1U);
  const std::string before = describe(rig.engine());
  std::uint32_t cursor = 0;
  std::vector<Standing> all;
  while (cursor != kWalkEnded) {
    const auto some = rig.engine().standing_before(2, cursor, 1);
    all.insert(all.end(), some.begin(), some.end());
  }
  ASSERT_EQ(all.size(), 1'501U);
  ASSERT_TRUE(rig.erase(q, rig.receive(q, 1)[0].receipt));  // gone before its copy
  rig.next_segment();
  std::uint64_t copies = 0;
  for (const Standing& s : all) {
    Effects step;
    ASSERT_TRUE(rig.engine().copy(s, rig.log()[s.at.offset / 10].payload, step));
    copies += step.records.size();
    rig.commit(step, {1, 1'000});
  }
  EXPECT_EQ(copies, 1'500U);
  EXPECT_EQ(rig.engine().oldest_segment(), 2U);
  EXPECT_EQ(describe(*rig.restored()), describe(rig.engine()));
  const Status audited = rig.engine().audit();
  EXPECT_TRUE(audited) << audited.error().message;
}

TEST(Standing, a_copy_of_another_message_is_refused) {
  Rig rig;
  const QueueId q = rig.create("jobs");
  rig.send(q);
  rig.send(q);
  std::uint32_t cursor = 0;
  const auto all = rig.engine().standing_before(2, cursor, 1);
  Effects step;
  EXPECT_EQ(rig.engine().copy(all[0], rig.log()[all[1].at.offset / 10].payload, step).error().code,
            Errc::kCorrupt);
  EXPECT_TRUE(step.records.empty());
}

TEST(Standing, nothing_stands_anywhere_once_all_is_gone) {
  Rig rig;
  const QueueId q = rig.create("jobs");
  rig.send(q);
  EXPECT_GT(rig.engine().live_bytes(), 0U);
  ASSERT_TRUE(rig.erase(q, rig.receive(q, 1)[0].receipt));
  EXPECT_EQ(rig.engine().live_bytes(), 0U);
  EXPECT_EQ(rig.engine().oldest_segment(), UINT32_MAX);
}

}  // namespace
}  // namespace hr::queue
