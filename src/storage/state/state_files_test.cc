#include "storage/state/state_files.h"

#include "sim/sim.h"
#include "sim/sim_disk.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace hr::storage {
namespace {

using Blocks = std::map<BlockKey, Bytes>;

constexpr std::uint8_t kCarried = 3;

std::unique_ptr<StateFiles> opened(os::Disk& disk) {
  auto files = open_state_files(disk);
  EXPECT_TRUE(files) << files.error().message;
  return files ? std::move(*files) : nullptr;
}

Blocks contents(const StateFiles& files) {
  Blocks blocks;
  const Status loaded = files.load([&](BlockKey key, ByteView bytes) -> Status {
    blocks[key] = Bytes(bytes);
    return {};
  });
  EXPECT_TRUE(loaded) << loaded.error().message;
  return blocks;
}

Status write(StateFiles& files, Lsn position, bool whole, const Blocks& blocks) {
  HR_TRY(files.begin(whole ? std::nullopt : std::optional(kCarried)));
  for (const auto& [key, bytes] : blocks) HR_TRY(files.add(key, bytes));
  return files.commit(position);
}

TEST(StateFiles, a_new_folder_has_no_checkpoint) {
  sim::SimDisk disk;
  const auto files = opened(disk);
  EXPECT_EQ(files->position(), 0U);
  EXPECT_TRUE(contents(*files).empty());
}

TEST(StateFiles, a_checkpoint_holds_what_was_added_and_what_it_carries) {
  sim::SimDisk disk;
  auto files = opened(disk);
  ASSERT_TRUE(write(*files, 10, true,
                    {{{1, 0}, "head"}, {{3, 0}, "a"}, {{3, 1}, "b"}, {{3, 2}, "c"}, {{4, 0}, "x"}}));
  ASSERT_TRUE(write(*files, 20, false, {{{1, 0}, "head2"}, {{3, 1}, "B"}, {{3, 2}, ""}}));
  const Blocks expected{{{1, 0}, "head2"}, {{3, 0}, "a"}, {{3, 1}, "B"}};
  EXPECT_EQ(contents(*files), expected);
  files = opened(disk);
  EXPECT_EQ(files->position(), 20U);
  EXPECT_EQ(contents(*files), expected);
  EXPECT_EQ(files->stats().files, 2U);
}

TEST(StateFiles, old_files_go_when_nothing_in_them_is_needed) {
  sim::SimDisk disk;
  const auto files = opened(disk);
  ASSERT_TRUE(write(*files, 10, true, {{{3, 0}, "a"}}));
  ASSERT_TRUE(write(*files, 20, true, {{{3, 0}, "b"}}));
  EXPECT_EQ(files->stats().files, 1U);
}

TEST(StateFiles, are_wasteful_when_half_of_the_bytes_are_old) {
  sim::SimDisk disk;
  const auto files = opened(disk);
  ASSERT_TRUE(write(*files, 10, true, {{{3, 0}, Bytes(3U << 20, 'a')}, {{3, 1}, "b"}}));
  EXPECT_FALSE(files->wasteful());
  ASSERT_TRUE(write(*files, 20, false, {{{3, 0}, "small"}}));
  EXPECT_TRUE(files->wasteful());
}

TEST(StateFiles, a_crash_at_any_step_leaves_one_checkpoint_or_the_other) {
  const Blocks first{{{1, 0}, "head"}, {{3, 0}, Bytes(3'000, 'a')}, {{3, 1}, "b"}};
  const Blocks change{{{1, 0}, "head2"}, {{3, 0}, Bytes(5'000, 'A')}};
  const Blocks second{{{1, 0}, "head2"}, {{3, 0}, Bytes(5'000, 'A')}, {{3, 1}, "b"}};
  bool was_first = false, was_second = false;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    sim::SimDisk disk;
    auto files = opened(disk);
    ASSERT_TRUE(write(*files, 10, true, first));
    const bool committed = seed % 3 == 0;
    ASSERT_TRUE(files->begin(kCarried));
    for (const auto& [key, bytes] : change) ASSERT_TRUE(files->add(key, bytes));
    if (committed) ASSERT_TRUE(files->commit(20));
    files.reset();
    disk.crash(seed);
    files = opened(disk);
    const Blocks now = contents(*files);
    EXPECT_EQ(now, files->position() == 20 ? second : first);
    if (committed) EXPECT_EQ(files->position(), 20U);
    (files->position() == 20 ? was_second : was_first) = true;
  }
  EXPECT_TRUE(was_first && was_second);
}

TEST(StateFiles, a_full_disk_leaves_the_checkpoint_that_was_there) {
  for (const char* label : {"state.create", "state.write", "state.sync", "state.rename"}) {
    sim::SimDisk disk;
    auto files = opened(disk);
    ASSERT_TRUE(write(*files, 10, true, {{{3, 0}, "a"}}));
    disk.fail(label, sim::Fault::kNoSpace);
    EXPECT_EQ(write(*files, 20, false, {{{3, 0}, "b"}}).error().code, Errc::kNoSpace) << label;
    EXPECT_EQ(files->position(), 10U);
    EXPECT_EQ(contents(*files), (Blocks{{{3, 0}, "a"}}));
    EXPECT_TRUE(write(*files, 30, false, {{{3, 0}, "c"}})) << label;
    EXPECT_EQ(contents(*opened(disk)), (Blocks{{{3, 0}, "c"}}));
  }
}

TEST(StateFiles, damage_is_named_by_file_and_byte_wherever_it_is) {
  sim::SimDisk disk;
  ASSERT_TRUE(write(*opened(disk), 10, true, {{{1, 0}, "head"}, {{3, 0}, Bytes(100, 'a')}}));
  const std::string path = "state/00000001.checkpoint";
  const Bytes good = disk.contents(path).value();
  for (std::uint64_t at = 0; at < good.size(); ++at) {
    ASSERT_TRUE(disk.damage(path, at, Bytes(1, static_cast<char>(good[at] ^ 0x40))));
    const auto files = open_state_files(disk);
    const Status loaded = !files ? std::unexpected(files.error())
                                 : (*files)->load([](BlockKey, ByteView) -> Status { return {}; });
    ASSERT_FALSE(loaded) << at;
    EXPECT_EQ(loaded.error().code, Errc::kCorrupt);
    EXPECT_NE(loaded.error().message.find(path), std::string::npos) << loaded.error().message;
    ASSERT_TRUE(disk.damage(path, at, Bytes(1, good[at])));
  }
}

TEST(StateFiles, a_bit_turned_on_its_way_is_read_again) {
  sim::SimDisk disk;
  ASSERT_TRUE(write(*opened(disk), 10, true, {{{3, 0}, Bytes(100, 'a')}}));
  for (std::uint64_t nth = 1; nth <= 2; ++nth) {
    disk.fail("state.read", sim::Fault::kBitFlip, nth + 1);
    EXPECT_EQ(contents(*opened(disk)), (Blocks{{{3, 0}, Bytes(100, 'a')}}));
    disk.clear_faults();
  }
}

TEST(StateFiles, a_file_that_is_missing_is_named) {
  sim::SimDisk disk;
  const auto files = opened(disk);
  ASSERT_TRUE(write(*files, 10, true, {{{3, 0}, "a"}, {{3, 1}, "b"}}));
  ASSERT_TRUE(write(*files, 20, false, {{{3, 0}, "c"}}));
  ASSERT_TRUE(disk.remove("state/00000001.checkpoint", "test"));
  const auto again = open_state_files(disk);
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().message.find("state/00000001.checkpoint is missing"), std::string::npos);
}

TEST(StateFiles, a_foreign_file_is_named_and_nothing_is_done) {
  sim::SimDisk disk;
  ASSERT_TRUE(opened(disk));
  ASSERT_TRUE(disk.open("state/notes.txt", os::OpenMode::kCreate, "test"));
  const auto files = open_state_files(disk);
  ASSERT_FALSE(files);
  EXPECT_NE(files.error().message.find("state/notes.txt"), std::string::npos);
}

}  // namespace
}  // namespace hr::storage
