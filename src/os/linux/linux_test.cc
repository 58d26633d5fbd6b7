#include "os/linux/linux.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace hr::os {
namespace {

namespace fs = std::filesystem;

class LinuxDisk : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "headrace-os-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::unique_ptr<Disk> open(const std::string& path) {
    auto disk = open_disk(path);
    EXPECT_TRUE(disk.has_value()) << disk.error().message;
    return disk ? std::move(*disk) : nullptr;
  }
  static unsigned mode_of(const std::string& path) {
    struct stat info{};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return info.st_mode & 0777U;
  }

  std::string folder_;
};

TEST_F(LinuxDisk, creates_missing_folders_for_their_owner_alone) {
  const auto disk = open(folder_ + "/a/b/");
  EXPECT_EQ(mode_of(folder_ + "/a"), 0700U);
  EXPECT_EQ(mode_of(folder_ + "/a/b"), 0700U);
  ASSERT_TRUE(disk->open("f", OpenMode::kCreate, "t.open"));
  EXPECT_EQ(mode_of(folder_ + "/a/b/f"), 0600U);
}

TEST_F(LinuxDisk, does_not_follow_links) {
  const auto disk = open(folder_ + "/root");
  std::ofstream(folder_ + "/outside") << "secret";
  fs::create_symlink(folder_ + "/outside", folder_ + "/root/f");
  EXPECT_FALSE(disk->open("f", OpenMode::kRead, "t.open"));
  EXPECT_FALSE(disk->open("f", OpenMode::kCreate, "t.open"));
  fs::create_directory_symlink(folder_, folder_ + "/root/d");
  EXPECT_FALSE(disk->list("d", "t.list"));
  EXPECT_FALSE(open_disk(folder_ + "/root/d"));
}

TEST_F(LinuxDisk, stays_in_its_folder_when_the_path_to_it_is_renamed) {
  const auto disk = open(folder_ + "/root");
  fs::rename(folder_ + "/root", folder_ + "/moved");
  ASSERT_TRUE(disk->open("f", OpenMode::kCreate, "t.open"));
  EXPECT_TRUE(fs::exists(folder_ + "/moved/f"));
}

TEST_F(LinuxDisk, a_pipe_in_the_place_of_a_file_is_refused_and_does_not_hang) {
  const auto disk = open(folder_);
  ASSERT_EQ(::mkfifo((folder_ + "/f").c_str(), 0600), 0);
  EXPECT_EQ(disk->open("f", OpenMode::kReadWrite, "t.open").error().code, Errc::kInvalid);
}

TEST_F(LinuxDisk, two_disks_of_one_folder_share_one_lock) {
  const auto one = open(folder_), other = open(folder_);
  auto held = one->lock("store.lock");
  ASSERT_TRUE(held);
  const auto refused = other->lock("store.lock");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kBusy);
  EXPECT_NE(refused.error().message.find(folder_), std::string::npos);
  held->reset();
  EXPECT_TRUE(other->lock("store.lock"));
}

TEST_F(LinuxDisk, an_error_is_a_sentence) {
  const auto disk = open(folder_);
  EXPECT_EQ(disk->open("log/00000001.log", OpenMode::kRead, "log.open").error().message,
            "log.open of log/00000001.log failed: No such file or directory");
}

TEST_F(LinuxDisk, a_file_in_the_place_of_the_root_is_refused) {
  std::ofstream(folder_ + "/file") << "x";
  EXPECT_FALSE(open_disk(folder_ + "/file"));
  EXPECT_FALSE(open_disk(folder_ + "/file/below"));
  EXPECT_FALSE(open_disk(""));
}

TEST_F(LinuxDisk, the_largest_offsets_are_errors) {
  const auto disk = open(folder_);
  const auto file = disk->open("f", OpenMode::kCreate, "t.open");
  ASSERT_TRUE(file);
  EXPECT_EQ((*file)->write_at(~0ULL - 2, "abcdef", "t.write").error().code, Errc::kLimit);
  EXPECT_EQ((*file)->allocate(~0ULL, "t.allocate").error().code, Errc::kLimit);
  EXPECT_GE((*file)->native_handle(), 0);
}

TEST(LinuxClock, never_starts_below_its_floor_and_never_runs_back) {
  const Time floor = from_ms(9'000'000'000'000);
  const auto clock = make_clock(floor);
  EXPECT_GE(clock->now(), floor);
  EXPECT_LT(clock->wall(), floor);
  const Time before = clock->now();
  EXPECT_GE(clock->now(), before);
  EXPECT_GE(make_clock(from_ms(0))->now(), from_ms(1'700'000'000'000));
}

TEST(LinuxEntropy, does_not_repeat) {
  const auto entropy = make_entropy();
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(entropy->u64());
  EXPECT_EQ(seen.size(), 1000U);
}

}  // namespace
}  // namespace hr::os
