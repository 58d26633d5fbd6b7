// What os/disk.h promises, asked of the real disk and of the simulated one.
#include "os/linux/linux.h"
#include "sim/sim_disk.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

namespace hr::sim {
namespace {

using os::OpenMode;

struct Kind {
  std::string name;
  std::function<std::unique_ptr<os::Disk>(const std::string& folder)> make;
};

class DiskConformance : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "headrace-disk-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    disk_ = GetParam().make(folder_);
    ASSERT_TRUE(disk_);
  }
  void TearDown() override {
    disk_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::unique_ptr<os::File> create(std::string_view path) {
    auto file = disk_->open(path, OpenMode::kCreate, "t.create");
    EXPECT_TRUE(file.has_value()) << file.error().message;
    return file ? std::move(*file) : nullptr;
  }
  static Bytes read(os::File& file, std::uint64_t offset, std::size_t n) {
    Bytes out(n, '?');
    const auto got = file.read_at(offset, out, "t.read");
    EXPECT_TRUE(got.has_value());
    out.resize(got.value_or(0));
    return out;
  }

  std::string folder_;
  std::unique_ptr<os::Disk> disk_;
};

TEST_P(DiskConformance, what_is_written_is_read) {
  const auto file = create("a");
  ASSERT_TRUE(file->write_at(0, "0123456789", "t.write"));
  ASSERT_TRUE(file->write_at(5, "abc", "t.write"));
  EXPECT_EQ(read(*file, 0, 10), "01234abc89");
  EXPECT_EQ(file->size("t.size"), 10U);
  EXPECT_TRUE(file->sync("t.sync"));
}

TEST_P(DiskConformance, a_read_is_short_only_at_the_end) {
  const auto file = create("a");
  ASSERT_TRUE(file->write_at(0, "0123456789", "t.write"));
  EXPECT_EQ(read(*file, 8, 10), "89");
  EXPECT_EQ(read(*file, 10, 10), "");
  EXPECT_EQ(read(*file, 1000, 10), "");
}

TEST_P(DiskConformance, a_write_past_the_end_leaves_zeros_between) {
  const auto file = create("a");
  ASSERT_TRUE(file->write_at(6000, "x", "t.write"));
  EXPECT_EQ(read(*file, 0, 7000), Bytes(6000, '\0') + "x");
}

TEST_P(DiskConformance, allocate_makes_a_file_longer_and_never_shorter) {
  const auto file = create("a");
  ASSERT_TRUE(file->write_at(0, "abc", "t.write"));
  ASSERT_TRUE(file->allocate(10000, "t.allocate"));
  EXPECT_EQ(file->size("t.size"), 10000U);
  ASSERT_TRUE(file->allocate(10, "t.allocate"));
  EXPECT_EQ(file->size("t.size"), 10000U);
  EXPECT_EQ(read(*file, 0, 10000), "abc" + Bytes(9997, '\0'));
}

TEST_P(DiskConformance, what_truncate_cut_off_reads_as_zeros_when_the_file_grows_again) {
  const auto file = create("a");
  ASSERT_TRUE(file->write_at(0, Bytes(3000, 'x'), "t.write"));
  ASSERT_TRUE(file->truncate(700, "t.truncate"));
  ASSERT_TRUE(file->truncate(3000, "t.truncate"));
  EXPECT_EQ(read(*file, 0, 3000), Bytes(700, 'x') + Bytes(2300, '\0'));
}

TEST_P(DiskConformance, create_refuses_what_exists_and_open_what_does_not) {
  EXPECT_EQ(disk_->open("a", OpenMode::kRead, "t.open").error().code, Errc::kNotFound);
  EXPECT_EQ(disk_->open("a", OpenMode::kReadWrite, "t.open").error().code, Errc::kNotFound);
  create("a");
  EXPECT_EQ(disk_->open("a", OpenMode::kCreate, "t.open").error().code, Errc::kExists);
  EXPECT_TRUE(disk_->open("a", OpenMode::kReadWrite, "t.open"));
  EXPECT_EQ(disk_->open("none/a", OpenMode::kCreate, "t.open").error().code, Errc::kNotFound);
}

TEST_P(DiskConformance, a_file_opened_to_read_takes_no_write) {
  create("a");
  const auto file = disk_->open("a", OpenMode::kRead, "t.open");
  ASSERT_TRUE(file);
  EXPECT_FALSE((*file)->write_at(0, "x", "t.write"));
}

TEST_P(DiskConformance, an_error_names_the_operation_and_the_path) {
  const auto file = disk_->open("blob/07", OpenMode::kRead, "blob.open");
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().message.find("blob"), std::string::npos) << file.error().message;
}

TEST_P(DiskConformance, names_outside_the_rule_are_refused_everywhere) {
  for (const std::string& bad :
       {std::string(".."), std::string("."), std::string("a/../b"), std::string("/a"), std::string("a/"),
        std::string("a//b"), std::string("a b"), std::string("a\0b", 3), std::string(256, 'n'),
        std::string("")}) {
    EXPECT_EQ(disk_->open(bad, OpenMode::kCreate, "t").error().code, Errc::kInvalid) << bad;
    EXPECT_EQ(disk_->make_dir(bad, "t").error().code, Errc::kInvalid) << bad;
    EXPECT_EQ(disk_->remove(bad, "t").error().code, Errc::kInvalid) << bad;
    EXPECT_EQ(disk_->rename("a", bad, "t").error().code, Errc::kInvalid) << bad;
  }
  EXPECT_TRUE(disk_->open(std::string(255, 'n'), OpenMode::kCreate, "t"));
}

TEST_P(DiskConformance, rename_replaces_its_target) {
  ASSERT_TRUE(create("a")->write_at(0, "new", "t.write"));
  ASSERT_TRUE(create("b")->write_at(0, "older", "t.write"));
  ASSERT_TRUE(disk_->rename("a", "b", "t.rename"));
  EXPECT_EQ(disk_->open("a", OpenMode::kRead, "t.open").error().code, Errc::kNotFound);
  const auto file = disk_->open("b", OpenMode::kRead, "t.open");
  ASSERT_TRUE(file);
  EXPECT_EQ(read(**file, 0, 100), "new");
  EXPECT_EQ(disk_->rename("none", "c", "t.rename").error().code, Errc::kNotFound);
}

TEST_P(DiskConformance, an_open_file_outlives_its_name) {
  const auto file = create("a");
  ASSERT_TRUE(file->write_at(0, "abc", "t.write"));
  ASSERT_TRUE(disk_->remove("a", "t.remove"));
  EXPECT_EQ(read(*file, 0, 3), "abc");
  EXPECT_EQ(disk_->remove("a", "t.remove").error().code, Errc::kNotFound);
}

TEST_P(DiskConformance, a_folder_lists_its_own_entries_in_name_order) {
  ASSERT_TRUE(disk_->make_dir("d", "t.mkdir"));
  ASSERT_TRUE(disk_->make_dir("d", "t.mkdir"));
  ASSERT_TRUE(disk_->make_dir("d/sub", "t.mkdir"));
  ASSERT_TRUE(create("d/b")->write_at(0, "12345", "t.write"));
  create("d/a");
  create("d-x");
  create("d/sub/c");
  const auto entries = disk_->list("d", "t.list");
  ASSERT_TRUE(entries);
  EXPECT_EQ(*entries, (std::vector<os::DirEntry>{{"a", 0, false}, {"b", 5, false}, {"sub", 0, true}}));
  EXPECT_EQ(disk_->list("none", "t.list").error().code, Errc::kNotFound);
  EXPECT_TRUE(disk_->list("", "t.list"));
  EXPECT_TRUE(disk_->sync_dir("d", "t.syncdir"));
  EXPECT_TRUE(disk_->sync_dir("", "t.syncdir"));
  EXPECT_FALSE(disk_->sync_dir("none", "t.syncdir"));
}

TEST_P(DiskConformance, a_file_in_the_place_of_a_folder_is_an_error) {
  create("f");
  EXPECT_FALSE(disk_->make_dir("f", "t.mkdir"));
  EXPECT_FALSE(disk_->open("f/a", OpenMode::kCreate, "t.open"));
  ASSERT_TRUE(disk_->make_dir("d", "t.mkdir"));
  EXPECT_FALSE(disk_->open("d", OpenMode::kReadWrite, "t.open"));
  EXPECT_FALSE(disk_->remove("d", "t.remove"));
}

TEST_P(DiskConformance, a_second_lock_is_busy_until_the_first_is_gone) {
  auto first = disk_->lock("t.lock");
  ASSERT_TRUE(first);
  EXPECT_EQ(disk_->lock("t.lock").error().code, Errc::kBusy);
  first->reset();
  EXPECT_TRUE(disk_->lock("t.lock"));
}

TEST_P(DiskConformance, space_says_what_is_left) {
  const auto space = disk_->space("t.space");
  ASSERT_TRUE(space);
  EXPECT_GT(space->total_bytes, 0U);
  EXPECT_LE(space->free_bytes, space->total_bytes);
}

const Kind kKinds[] = {
    {"linux",
     [](const std::string& folder) {
       auto disk = os::open_disk(folder);
       return disk ? std::move(*disk) : nullptr;
     }},
    {"sim", [](const std::string&) -> std::unique_ptr<os::Disk> { return std::make_unique<SimDisk>(); }},
};

INSTANTIATE_TEST_SUITE_P(Disks, DiskConformance, testing::ValuesIn(kKinds),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace hr::sim
