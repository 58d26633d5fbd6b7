#include "sim/sim.h"

#include "sim/sim_disk.h"

#include <gtest/gtest.h>

#include <set>

namespace hr::sim {
namespace {

using os::OpenMode;

constexpr CrashOptions kLoseAll{.odds = CutOdds{.keep = 0}};
constexpr CrashOptions kKeepAll{.odds = CutOdds{.keep = 100}};

std::unique_ptr<os::File> must_open(SimDisk& disk, std::string_view path, OpenMode mode) {
  auto file = disk.open(path, mode, "t.open");
  EXPECT_TRUE(file.has_value());
  return file ? std::move(*file) : nullptr;
}

// A file "a" with a durable name.
std::unique_ptr<os::File> durable_name(SimDisk& disk) {
  auto file = must_open(disk, "a", OpenMode::kCreate);
  EXPECT_TRUE(disk.sync_dir("", "t.syncdir"));
  return file;
}

TEST(SimDisk, what_was_not_synced_may_be_lost_and_what_was_stays) {
  SimDisk disk;
  const auto file = durable_name(disk);
  ASSERT_TRUE(file->write_at(0, "one", "t.write"));
  ASSERT_TRUE(file->sync("t.sync"));
  ASSERT_TRUE(file->write_at(0, "two", "t.write"));
  ASSERT_TRUE(file->write_at(3, "more", "t.write"));
  disk.crash(1, kLoseAll);
  EXPECT_EQ(disk.contents("a"), "one");
}

TEST(SimDisk, every_older_state_of_a_sector_is_possible) {
  std::set<Bytes> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SimDisk disk;
    const auto file = durable_name(disk);
    ASSERT_TRUE(file->allocate(1024, "t.allocate"));
    ASSERT_TRUE(file->sync("t.sync"));
    for (const char* text : {"1", "2", "3"}) {
      ASSERT_TRUE(file->write_at(0, text, "t.write"));
      ASSERT_TRUE(file->write_at(512, text, "t.write"));
    }
    disk.crash(seed);
    const Bytes bytes = disk.contents("a").value_or("");
    seen.insert({bytes[0], bytes[512]});
  }
  EXPECT_GE(seen.size(), 16U);  // 4 states of each sector in any combination; more where garbled
}

TEST(SimDisk, a_name_is_durable_only_after_its_folder_was_synced) {
  SimDisk disk;
  ASSERT_TRUE(must_open(disk, "a", OpenMode::kCreate)->sync("t.sync"));
  disk.crash(1, kLoseAll);
  EXPECT_FALSE(disk.contents("a"));
}

TEST(SimDisk, a_removal_and_a_rename_can_be_lost) {
  SimDisk disk;
  durable_name(disk);
  ASSERT_TRUE(disk.rename("a", "b", "t.rename"));
  disk.crash(1, kLoseAll);
  EXPECT_TRUE(disk.contents("a"));
  EXPECT_FALSE(disk.contents("b"));
  ASSERT_TRUE(disk.remove("a", "t.remove"));
  disk.crash(1, kLoseAll);
  EXPECT_TRUE(disk.contents("a"));
  ASSERT_TRUE(disk.remove("a", "t.remove"));
  ASSERT_TRUE(disk.sync_dir("", "t.syncdir"));
  disk.crash(1, kLoseAll);
  EXPECT_FALSE(disk.contents("a"));
}

TEST(SimDisk, a_later_name_can_survive_an_earlier_one) {
  bool only_second = false;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SimDisk disk;
    must_open(disk, "a", OpenMode::kCreate);
    must_open(disk, "b", OpenMode::kCreate);
    disk.crash(seed);
    only_second |= disk.contents("b") && !disk.contents("a");
  }
  EXPECT_TRUE(only_second);
}

TEST(SimDisk, a_lost_folder_takes_its_files_along) {
  SimDisk disk;
  ASSERT_TRUE(disk.make_dir("d", "t.mkdir"));
  must_open(disk, "d/a", OpenMode::kCreate);
  ASSERT_TRUE(disk.sync_dir("d", "t.syncdir"));
  disk.crash(1, kLoseAll);
  EXPECT_FALSE(disk.contents("d/a"));
  EXPECT_TRUE(disk.list("", "t.list")->empty());
}

TEST(SimDisk, a_killed_process_loses_nothing_but_its_files_are_dead) {
  SimDisk disk;
  const auto file = must_open(disk, "a", OpenMode::kCreate);
  ASSERT_TRUE(file->write_at(0, "abc", "t.write"));
  const auto held = disk.lock("t.lock");
  disk.restart();
  EXPECT_EQ(disk.contents("a"), "abc");
  EXPECT_EQ(file->write_at(0, "x", "t.write").error().code, Errc::kClosed);
  EXPECT_TRUE(disk.lock("t.lock"));
}

TEST(SimDisk, after_a_failed_sync_readers_see_what_never_becomes_durable) {
  SimDisk disk;
  const auto file = durable_name(disk);
  ASSERT_TRUE(file->allocate(512, "t.allocate"));
  ASSERT_TRUE(file->sync("t.sync"));
  disk.fail("t.sync", Fault::kIo);
  ASSERT_TRUE(file->write_at(0, "abc", "t.write"));
  EXPECT_EQ(file->sync("t.sync").error().code, Errc::kIo);
  EXPECT_EQ(disk.contents("a")->substr(0, 3), "abc");
  ASSERT_TRUE(file->sync("t.sync"));
  disk.crash(1, kLoseAll);
  EXPECT_EQ(disk.contents("a"), Bytes(512, '\0'));
}

TEST(SimDisk, dropping_the_cache_shows_what_the_device_got) {
  bool lost = false;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SimDisk disk({.seed = seed});
    const auto file = durable_name(disk);
    ASSERT_TRUE(file->write_at(0, "old", "t.write"));
    ASSERT_TRUE(file->sync("t.sync"));
    disk.fail("t.sync", Fault::kIo);
    ASSERT_TRUE(file->write_at(0, "new", "t.write"));
    EXPECT_FALSE(file->sync("t.sync"));
    ASSERT_TRUE(file->drop_cache("t.drop"));
    const auto seen = disk.contents("a");
    lost |= seen == "old";
    disk.crash(seed);
    EXPECT_EQ(disk.contents("a"), seen);
  }
  EXPECT_TRUE(lost);
}

TEST(SimDisk, faults_hit_the_nth_operation_of_their_label) {
  SimDisk disk;
  const auto file = durable_name(disk);
  disk.fail("t.write", Fault::kNoSpace, 2, 2);
  EXPECT_TRUE(file->write_at(0, "1", "t.write"));
  EXPECT_TRUE(file->write_at(0, "x", "t.other"));
  EXPECT_EQ(file->write_at(0, "2", "t.write").error().code, Errc::kNoSpace);
  EXPECT_EQ(file->write_at(0, "3", "t.write").error().code, Errc::kNoSpace);
  EXPECT_TRUE(file->write_at(0, "4", "t.write"));
  disk.fail("t.write", Fault::kIo, 1, 0);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(file->write_at(0, "5", "t.write").error().code, Errc::kIo);
  disk.clear_faults();
  disk.fail("t.write", Fault::kShortWrite);
  EXPECT_EQ(file->write_at(0, "6666", "t.write").error().code, Errc::kIo);
  EXPECT_EQ(disk.contents("a"), "66");
  EXPECT_EQ(disk.ops("t.write"), 10U);
}

TEST(SimDisk, a_flipped_bit_changes_one_bit_of_one_answer) {
  SimDisk disk;
  const auto file = durable_name(disk);
  ASSERT_TRUE(file->write_at(0, Bytes(100, '\0'), "t.write"));
  disk.fail("t.read", Fault::kBitFlip);
  Bytes out(100, '\0');
  ASSERT_TRUE(file->read_at(0, out, "t.read"));
  int bits = 0;
  for (const char c : out) bits += std::popcount(static_cast<unsigned char>(c));
  EXPECT_EQ(bits, 1);
  ASSERT_TRUE(file->read_at(0, out, "t.read"));
  EXPECT_EQ(out, Bytes(100, '\0'));
}

TEST(SimDisk, a_full_disk_refuses_to_grow_and_still_overwrites) {
  SimDisk disk({.capacity_bytes = 1000});
  const auto file = durable_name(disk);
  ASSERT_TRUE(file->allocate(1000, "t.allocate"));
  EXPECT_EQ(file->allocate(1001, "t.allocate").error().code, Errc::kNoSpace);
  EXPECT_EQ(file->write_at(1000, "x", "t.write").error().code, Errc::kNoSpace);
  EXPECT_TRUE(file->write_at(0, "x", "t.write"));
  EXPECT_EQ(disk.space("t.space")->free_bytes, 0U);
  disk.set_capacity(2000);
  EXPECT_TRUE(file->write_at(1000, "x", "t.write"));
}

TEST(SimDisk, the_power_fails_after_the_told_number_of_operations) {
  SimDisk disk;
  const auto file = durable_name(disk);
  disk.crash_after_ops(2);
  EXPECT_TRUE(file->write_at(0, "1", "t.write"));
  EXPECT_TRUE(file->sync("t.sync"));
  EXPECT_EQ(file->write_at(0, "2", "t.write").error().code, Errc::kClosed);
  EXPECT_EQ(disk.list("", "t.list").error().code, Errc::kClosed);
  disk.crash(1, kKeepAll);
  EXPECT_EQ(disk.contents("a"), "1");
  EXPECT_TRUE(disk.trace().ends_with("t.write t.sync t.write t.list")) << disk.trace();
}

TEST(SimDisk, half_written_sectors_appear_when_asked_for) {
  bool torn = false;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SimDisk disk;
    const auto file = durable_name(disk);
    ASSERT_TRUE(file->write_at(0, Bytes(512, 'a'), "t.write"));
    ASSERT_TRUE(file->sync("t.sync"));
    ASSERT_TRUE(file->write_at(0, Bytes(512, 'b'), "t.write"));
    disk.crash(seed, {.odds = CutOdds{.keep = 50, .half = 50}});
    const Bytes left = disk.contents("a").value_or("");
    torn |= left.contains('a') && left.contains('b');
  }
  EXPECT_TRUE(torn);
}

TEST(SimDisk, the_same_seed_leaves_the_same_bytes) {
  const auto run = [](std::uint64_t seed) {
    SimDisk disk;
    const auto file = durable_name(disk);
    Random random(seed);
    for (int i = 0; i < 50; ++i) {
      EXPECT_TRUE(
          file->write_at(random.below(5000), Bytes(random.below(2000), static_cast<char>(i)), "t.write"));
      if (random.percent(10)) EXPECT_TRUE(file->sync("t.sync"));
    }
    disk.crash(seed);
    return disk.contents("a");
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

TEST(SimClock, setting_the_wall_clock_does_not_move_the_store) {
  SimClock clock(from_ms(1000));
  clock.advance(5ms);
  clock.set_wall(from_ms(10));
  EXPECT_EQ(clock.now(), from_ms(1005));
  EXPECT_EQ(clock.wall(), from_ms(10));
  clock.advance_to(from_ms(500));
  EXPECT_EQ(clock.now(), from_ms(1005));
  EXPECT_EQ(clock.boottime(), Nanos(5ms));
}

TEST(SimEntropy, repeats_from_its_seed) {
  SimEntropy one(3), same(3), other(4);
  const std::uint64_t value = one.u64();
  EXPECT_EQ(value, same.u64());
  EXPECT_NE(value, other.u64());
}

}  // namespace
}  // namespace hr::sim
