#include "storage/blob/blob.h"

#include "os/linux/linux.h"
#include "sim/sim_disk.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

namespace hr::storage {
namespace {

constexpr std::uint64_t kEpoch = 0xabcdef;

std::unique_ptr<BlobStore> open_store(os::Disk& disk, std::uint64_t epoch = kEpoch) {
  auto store = open_blobs(disk, epoch);
  EXPECT_TRUE(store.has_value()) << store.error().message;
  return *std::move(store);
}

Result<BlobName> write_blob(BlobStore& store, ByteView content) {
  HR_ASSIGN(const auto writer, store.create());
  HR_TRY(writer->append(content));
  return writer->commit();
}

Result<Bytes> read_blob(const BlobStore& store, const BlobName& name) {
  HR_ASSIGN(const auto file, store.open(name));
  HR_ASSIGN(const std::uint64_t size, file->size("blob.read"));
  Bytes content(size + 1, '\0');
  HR_ASSIGN(const std::size_t got, file->read_at(0, content, "blob.read"));
  content.resize(got);
  return content;
}

std::vector<BlobName> list_all(const BlobStore& store) {
  std::vector<BlobName> names;
  for (unsigned folder = 0; folder < kBlobFolders; ++folder) {
    const auto some = store.list(folder);
    EXPECT_TRUE(some.has_value());
    names.insert(names.end(), some->begin(), some->end());
  }
  return names;
}

TEST(BlobName, is_a_path_by_its_last_two_digits) {
  const BlobName name{.epoch = 0x1234, .number = 0xfe07};
  EXPECT_EQ(name.path(), "blob/07/0000000000001234-000000000000fe07");
  EXPECT_EQ(parse_blob_name("0000000000001234-000000000000fe07"), name);
}

TEST(BlobName, is_not_read_from_other_files) {
  for (const char* name : {"", "x", "0000000000001234-000000000000fe0", "0000000000001234_000000000000fe07",
                           "000000000000123g-000000000000fe07", "-000000000001234-000000000000fe07",
                           "0000000000001234-000000000000FE07", "0000000000001234-000000000000fe07.tmp"}) {
    EXPECT_EQ(parse_blob_name(name), std::nullopt) << name;
  }
}

TEST(Blobs, give_back_what_was_written) {
  sim::SimDisk disk;
  const auto store = open_store(disk);
  const auto name = write_blob(*store, "hello");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->epoch, kEpoch);
  EXPECT_EQ(*read_blob(*store, *name), "hello");
  EXPECT_EQ(list_all(*store), std::vector{*name});
}

TEST(Blobs, may_be_empty) {
  sim::SimDisk disk;
  const auto store = open_store(disk);
  EXPECT_EQ(*read_blob(*store, *write_blob(*store, "")), "");
}

TEST(Blobs, get_names_of_their_own) {
  sim::SimDisk disk;
  const auto store = open_store(disk);
  std::set<BlobName> names;
  for (int i = 0; i < 600; ++i) names.insert(*write_blob(*store, "x"));
  EXPECT_EQ(names.size(), 600U);
  EXPECT_EQ(list_all(*store).size(), 600U);
}

TEST(Blobs, are_written_in_large_pieces) {
  sim::SimDisk disk;
  const auto store = open_store(disk);
  const auto writer = *store->create();
  Bytes expected;
  for (int i = 0; i < 1000; ++i) {
    const Bytes piece(1000, static_cast<char>('a' + i % 26));
    expected += piece;
    ASSERT_TRUE(writer->append(piece));
    EXPECT_EQ(writer->bytes(), expected.size());
  }
  const auto name = writer->commit();
  ASSERT_TRUE(name.has_value());
  EXPECT_LE(disk.ops("blob.write"), 1'000'000 / (256 << 10) + 1);
  EXPECT_EQ(*read_blob(*store, *name), expected);
}

TEST(Blobs, survive_a_power_cut_once_committed) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    sim::SimDisk disk;
    auto store = open_store(disk);
    const auto name = *write_blob(*store, Bytes(5000, 'x'));
    store.reset();
    disk.crash(seed);
    store = open_store(disk, kEpoch + 1);
    const auto content = read_blob(*store, name);
    ASSERT_TRUE(content.has_value()) << "seed " << seed << ": " << content.error().message;
    EXPECT_EQ(*content, Bytes(5000, 'x'));
  }
}

TEST(Blobs, open_again_after_a_power_cut_at_any_operation_of_their_opening) {
  std::uint64_t operations = 0;
  {
    sim::SimDisk disk;
    open_store(disk);
    operations = disk.ops();
  }
  for (std::uint64_t op = 0; op < operations; op += 7) {
    sim::SimDisk disk;
    disk.crash_after_ops(op);
    EXPECT_FALSE(open_blobs(disk, 1).has_value());
    disk.crash(op + 1);
    const auto store = open_store(disk, 2);
    const auto name = write_blob(*store, "x");
    ASSERT_TRUE(name.has_value());
    disk.crash(op + 2);
    EXPECT_EQ(*read_blob(*open_store(disk, 3), *name), "x");
  }
}

TEST(Blobs, leave_nothing_when_an_upload_is_given_up) {
  sim::SimDisk disk;
  const auto store = open_store(disk);
  {
    const auto writer = *store->create();
    ASSERT_TRUE(writer->append("half"));
  }
  EXPECT_TRUE(list_all(*store).empty());
}

TEST(Blobs, leave_nothing_when_an_operation_fails) {
  for (const char* label : {"blob.write", "blob.sync", "blob.syncdir"}) {
    sim::SimDisk disk;
    const auto store = open_store(disk);
    disk.fail(label, sim::Fault::kIo);
    const auto name = write_blob(*store, "x");
    ASSERT_FALSE(name.has_value()) << label;
    EXPECT_EQ(name.error().code, Errc::kIo);
    EXPECT_TRUE(list_all(*store).empty()) << label;
  }
}

TEST(Blobs, say_when_the_disk_is_full) {
  sim::SimDisk disk;
  const auto store = open_store(disk);
  disk.fail("blob.write", sim::Fault::kNoSpace);
  const auto name = write_blob(*store, "x");
  ASSERT_FALSE(name.has_value());
  EXPECT_EQ(name.error().code, Errc::kNoSpace);
}

TEST(Blobs, are_removed_once_and_for_all) {
  sim::SimDisk disk;
  const auto store = open_store(disk);
  const auto name = *write_blob(*store, "x");
  EXPECT_TRUE(store->remove(name));
  EXPECT_TRUE(store->remove(name));
  const auto file = store->open(name);
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, Errc::kNotFound);
}

TEST(Blobs, stay_while_they_are_pinned_though_they_were_removed) {
  sim::SimDisk disk;
  const auto store = open_store(disk);
  const BlobName name = *write_blob(*store, "content");
  auto first = store->pin({name});
  auto second = store->pin({name});
  ASSERT_TRUE(store->remove(name));
  first.reset();
  EXPECT_EQ(*read_blob(*store, name), "content");
  second.reset();
  ASSERT_TRUE(write_blob(*store, "another"));  // the next change of the store does it
  EXPECT_FALSE(store->open(name).has_value());
}

TEST(Blobs, that_were_pinned_and_not_removed_stay) {
  sim::SimDisk disk;
  const auto store = open_store(disk);
  const BlobName name = *write_blob(*store, "content");
  store->pin({name}).reset();
  ASSERT_TRUE(write_blob(*store, "another"));
  EXPECT_TRUE(store->open(name).has_value());
}

TEST(Blobs, all_stay_while_they_are_held_pinned_ones_longer) {
  sim::SimDisk disk;
  const auto store = open_store(disk);
  const BlobName name = *write_blob(*store, "content");
  const BlobName pinned = *write_blob(*store, "pinned");
  auto hold = store->hold();
  auto pin = store->pin({pinned});
  const BlobName later = store->next();
  ASSERT_TRUE(store->remove(name));
  ASSERT_TRUE(store->remove(pinned));
  EXPECT_EQ(*write_blob(*store, "another"), later);
  EXPECT_EQ(*read_blob(*store, name), "content");
  hold.reset();
  ASSERT_TRUE(write_blob(*store, "another"));
  EXPECT_FALSE(store->open(name).has_value());
  EXPECT_EQ(*read_blob(*store, pinned), "pinned");
  pin.reset();
  ASSERT_TRUE(write_blob(*store, "another"));
  EXPECT_FALSE(store->open(pinned).has_value());
}

TEST(Blobs, leave_foreign_files_alone) {
  sim::SimDisk disk;
  const auto store = open_store(disk);
  ASSERT_TRUE(disk.open("blob/00/note.txt", os::OpenMode::kCreate, "t").has_value());
  ASSERT_TRUE(disk.open("blob/00/0000000000000001-0000000000000001", os::OpenMode::kCreate, "t").has_value());
  EXPECT_TRUE(list_all(*store).empty());
}

TEST(Blobs, stand_on_a_real_disk) {
  std::string name = (std::filesystem::temp_directory_path() / "hr_blob_XXXXXX").string();
  const std::filesystem::path root = ::mkdtemp(name.data());
  {
    const auto disk = *os::open_disk(root);
    const auto blob = *write_blob(*open_store(*disk, 1), Bytes(300'000, 'x'));
    const auto store = open_store(*disk, 2);
    EXPECT_EQ(*read_blob(*store, blob), Bytes(300'000, 'x'));
    EXPECT_EQ(list_all(*store), std::vector{blob});
    EXPECT_TRUE(store->remove(blob));
    EXPECT_TRUE(list_all(*store).empty());
  }
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace hr::storage
