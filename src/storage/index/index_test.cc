// One suite for every Index; what only one of them does stands at the end.
#include "storage/index/index.h"

#include "storage/index/memory_index.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <thread>

namespace hr::storage {
namespace {

// A folder that goes when the test does.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "hr_index_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string path() const { return path_ / "index"; }

 private:
  std::filesystem::path path_;
};

// An index under test, and what a crash makes of it.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual Index& index() = 0;
  virtual void crash() = 0;
};

class MemorySubject final : public Subject {
 public:
  Index& index() override { return index_; }
  void crash() override { index_.crash(); }

 private:
  MemoryIndex index_;
};

class RocksSubject final : public Subject {
 public:
  RocksSubject() { open(); }
  Index& index() override { return *index_; }
  void crash() override {  // closing flushes nothing
    index_.reset();
    open();
  }

 private:
  void open() {
    auto opened = open_rocksdb_index(dir_.path());
    if (!opened) std::abort();
    index_ = *std::move(opened);
  }
  TempDir dir_;
  std::unique_ptr<Index> index_;
};

template <class T>
class AnIndex : public testing::Test {
 protected:
  Index& index() { return subject_.index(); }
  void crash() { subject_.crash(); }
  std::optional<Bytes> get(Table table, ByteView key) {
    auto value = index().get(table, key, Patience::kAny);
    EXPECT_TRUE(value.has_value()) << value.error().message;
    return value.value_or(std::nullopt);
  }
  void put(Lsn lsn, Table table, Bytes key, std::optional<Bytes> value) {
    ASSERT_TRUE(index().apply({{table, std::move(key), std::move(value)}}, lsn));
  }
  std::vector<std::pair<Bytes, Bytes>> scan(Table table, ByteView from = "") {
    std::vector<std::pair<Bytes, Bytes>> rows;
    const auto cursor = index().cursor(table);
    EXPECT_TRUE(cursor->seek(from));
    while (cursor->valid()) {
      rows.emplace_back(cursor->key(), cursor->value());
      EXPECT_TRUE(cursor->next());
    }
    return rows;
  }

 private:
  T subject_;
};

using Subjects = testing::Types<MemorySubject, RocksSubject>;
TYPED_TEST_SUITE(AnIndex, Subjects);

using Rows = std::vector<std::pair<Bytes, Bytes>>;

TYPED_TEST(AnIndex, begins_empty_at_position_zero) {
  EXPECT_EQ(this->index().applied(), 0U);
  EXPECT_EQ(this->index().durable(), 0U);
  EXPECT_EQ(this->get(Table::kObjects, "a"), std::nullopt);
  EXPECT_FALSE(this->index().cursor(Table::kObjects)->valid());
}

TYPED_TEST(AnIndex, keeps_its_tables_apart) {
  this->put(1, Table::kObjects, "k", "object");
  this->put(2, Table::kBodies, "k", "body");
  EXPECT_EQ(this->get(Table::kObjects, "k"), "object");
  EXPECT_EQ(this->get(Table::kBodies, "k"), "body");
  EXPECT_EQ(this->get(Table::kBuckets, "k"), std::nullopt);
}

TYPED_TEST(AnIndex, holds_empty_keys_and_empty_values) {
  this->put(1, Table::kObjects, "", "");
  EXPECT_EQ(this->get(Table::kObjects, ""), "");
  this->put(2, Table::kObjects, "", std::nullopt);
  EXPECT_EQ(this->get(Table::kObjects, ""), std::nullopt);
}

TYPED_TEST(AnIndex, applies_the_changes_of_a_batch_in_order) {
  ASSERT_TRUE(this->index().apply({{Table::kObjects, "a", "1"},
                                   {Table::kObjects, "b", "1"},
                                   {Table::kObjects, "a", std::nullopt},
                                   {Table::kObjects, "b", "2"}},
                                  7));
  EXPECT_EQ(this->get(Table::kObjects, "a"), std::nullopt);
  EXPECT_EQ(this->get(Table::kObjects, "b"), "2");
  EXPECT_EQ(this->index().applied(), 7U);
}

TYPED_TEST(AnIndex, moves_its_position_without_a_change) {
  ASSERT_TRUE(this->index().apply({}, 9));
  EXPECT_EQ(this->index().applied(), 9U);
  EXPECT_EQ(this->index().durable(), 0U);
  ASSERT_TRUE(this->index().flush());
  this->crash();
  EXPECT_EQ(this->index().applied(), 9U);
}

TYPED_TEST(AnIndex, orders_keys_as_unsigned_bytes) {
  const Bytes nul("\0", 1);
  const Bytes high("\xff", 1);
  this->put(1, Table::kObjects, high, "4");
  this->put(2, Table::kObjects, "a", "2");
  this->put(3, Table::kObjects, nul, "1");
  this->put(4, Table::kObjects, "\x80", "3");
  EXPECT_EQ(this->scan(Table::kObjects), (Rows{{nul, "1"}, {"a", "2"}, {"\x80", "3"}, {high, "4"}}));
  EXPECT_EQ(this->scan(Table::kObjects, "a\x01"), (Rows{{"\x80", "3"}, {high, "4"}}));
  EXPECT_EQ(this->scan(Table::kObjects, "\xff\x01"), Rows{});
}

TYPED_TEST(AnIndex, shows_a_cursor_one_moment) {
  this->put(1, Table::kObjects, "a", "1");
  this->put(2, Table::kObjects, "b", "1");
  const auto cursor = this->index().cursor(Table::kObjects);
  ASSERT_TRUE(cursor->seek("a"));
  ASSERT_TRUE(this->index().apply(
      {{Table::kObjects, "a", "2"}, {Table::kObjects, "b", std::nullopt}, {Table::kObjects, "c", "2"}}, 3));
  EXPECT_EQ(cursor->value(), "1");
  ASSERT_TRUE(cursor->next());
  ASSERT_TRUE(cursor->valid());
  EXPECT_EQ(cursor->key(), "b");
  ASSERT_TRUE(cursor->next());
  EXPECT_FALSE(cursor->valid());
  EXPECT_EQ(this->scan(Table::kObjects), (Rows{{"a", "2"}, {"c", "2"}}));
}

TYPED_TEST(AnIndex, falls_back_to_its_last_flush_after_a_crash) {
  this->put(1, Table::kObjects, "kept", "1");
  this->put(2, Table::kBodies, "kept", "1");
  ASSERT_TRUE(this->index().flush());
  EXPECT_EQ(this->index().durable(), 2U);
  this->put(3, Table::kObjects, "kept", "2");
  this->put(4, Table::kBodies, "kept", std::nullopt);
  this->put(5, Table::kObjects, "lost", "2");
  EXPECT_EQ(this->index().durable(), 2U);
  this->crash();
  EXPECT_EQ(this->index().applied(), 2U);
  EXPECT_EQ(this->index().durable(), 2U);
  EXPECT_EQ(this->get(Table::kObjects, "kept"), "1");
  EXPECT_EQ(this->get(Table::kBodies, "kept"), "1");
  EXPECT_EQ(this->get(Table::kObjects, "lost"), std::nullopt);
}

TYPED_TEST(AnIndex, loses_everything_in_a_crash_before_its_first_flush) {
  this->put(1, Table::kBuckets, "a", "1");
  this->crash();
  EXPECT_EQ(this->index().applied(), 0U);
  EXPECT_EQ(this->get(Table::kBuckets, "a"), std::nullopt);
}

TYPED_TEST(AnIndex, reads_what_is_in_memory_without_waiting) {
  this->put(1, Table::kObjects, "a", "1");
  const auto value = this->index().get(Table::kObjects, "a", Patience::kMemory);
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ(*value, "1");
}

TYPED_TEST(AnIndex, agrees_with_a_map_over_random_batches_flushes_and_crashes) {
  std::mt19937_64 random(7);
  std::map<Bytes, Bytes> now;
  std::map<Bytes, Bytes> durable;
  Lsn lsn = 0;
  Lsn durable_lsn = 0;
  for (int step = 0; step < 600; ++step) {
    const auto choice = random() % 100;
    if (choice < 3) {
      this->crash();
      now = durable;
      lsn = durable_lsn;
    } else if (choice < 10) {
      ASSERT_TRUE(this->index().flush());
      durable = now;
      durable_lsn = lsn;
    } else {
      std::vector<IndexChange> changes;
      for (std::uint64_t i = random() % 8; i > 0; --i) {
        const Bytes key = std::to_string(random() % 60);
        std::optional<Bytes> value;
        if (random() % 3 != 0) value = std::to_string(random());
        value ? static_cast<void>(now[key] = *value) : static_cast<void>(now.erase(key));
        changes.push_back({Table::kObjects, key, value});
      }
      ASSERT_TRUE(this->index().apply(changes, ++lsn));
    }
    ASSERT_EQ(this->index().applied(), lsn);
    ASSERT_EQ(this->index().durable(), durable_lsn);
    if (step % 20 == 0) {
      ASSERT_EQ(this->scan(Table::kObjects), Rows(now.begin(), now.end()));
    }
  }
}

TEST(MemoryIndex, is_busy_for_readers_without_patience_when_cold) {
  MemoryIndex index;
  ASSERT_TRUE(index.apply({{Table::kObjects, "a", "1"}}, 1));
  index.set_cold(true);
  const auto value = index.get(Table::kObjects, "a", Patience::kMemory);
  ASSERT_FALSE(value.has_value());
  EXPECT_EQ(value.error().code, Errc::kBusy);
  EXPECT_EQ(*index.get(Table::kObjects, "a", Patience::kAny), "1");
}

TEST(RocksdbIndex, is_busy_for_readers_without_patience_when_a_block_is_on_the_device) {
  const TempDir dir;
  {
    const auto index = *open_rocksdb_index(dir.path());
    ASSERT_TRUE(index->apply({{Table::kObjects, "a", "1"}}, 1));
    ASSERT_TRUE(index->flush());
  }
  const auto index = *open_rocksdb_index(dir.path());
  const auto cold = index->get(Table::kObjects, "a", Patience::kMemory);
  ASSERT_FALSE(cold.has_value());
  EXPECT_EQ(cold.error().code, Errc::kBusy);
  EXPECT_EQ(*index->get(Table::kObjects, "a", Patience::kAny), "1");
  EXPECT_EQ(*index->get(Table::kObjects, "a", Patience::kMemory), "1");
}

TEST(RocksdbIndex, survives_more_than_its_write_buffers_hold) {
  const TempDir dir;
  {
    const auto index = *open_rocksdb_index(dir.path());
    const Bytes body(16U << 10, 'x');
    for (Lsn lsn = 1; lsn <= 6'000; ++lsn) {  // 96 MiB through buffers of 32 MiB
      ASSERT_TRUE(index->apply({{Table::kBodies, big_endian(lsn % 100), body}}, lsn));
    }
    ASSERT_TRUE(index->flush());
  }
  const auto index = *open_rocksdb_index(dir.path());
  EXPECT_EQ(index->durable(), 6'000U);
  EXPECT_EQ((*index->get(Table::kBodies, big_endian(7), Patience::kAny))->size(), 16U << 10);
}

TEST(RocksdbIndex, refuses_a_second_process_on_its_folder) {
  const TempDir dir;
  const auto index = *open_rocksdb_index(dir.path());
  EXPECT_FALSE(open_rocksdb_index(dir.path()).has_value());
}

TEST(RocksdbIndex, is_copied_as_it_stands_while_it_goes_on) {
  const TempDir dir;
  const std::string copy = dir.path() + ".copy";
  const auto index = *open_rocksdb_index(dir.path());
  ASSERT_TRUE(index->apply({{.table = Table::kObjects, .key = "a", .value = "1"}}, 7));
  ASSERT_TRUE(index->copy_to(copy));
  EXPECT_FALSE(index->copy_to(copy)) << "over what is there";
  ASSERT_TRUE(index->apply({{.table = Table::kObjects, .key = "a", .value = "2"}}, 8));
  const auto copied = *open_rocksdb_index_read_only(copy);
  EXPECT_EQ(copied->applied(), 7U);
  EXPECT_EQ(**copied->get(Table::kObjects, "a", Patience::kAny), "1");
}

// Each change that counts writes two tables, one of them seldom: no copy has one half of it.
TEST(RocksdbIndex, is_copied_at_one_position_while_others_change_it) {
  const TempDir dir;
  const auto index = *open_rocksdb_index(dir.path());
  std::atomic<bool> enough = false;
  std::thread writer([&] {
    for (Lsn lsn = 1; !enough; ++lsn) {
      std::vector<IndexChange> changes = {{.table = Table::kObjects, .key = "often", .value = "x"}};
      if (lsn % 8 == 0) {
        const Bytes value = std::to_string(lsn);
        changes.push_back({.table = Table::kObjects, .key = "half", .value = value});
        changes.push_back({.table = Table::kBodies, .key = "half", .value = value});
      }
      ASSERT_TRUE(index->apply(changes, lsn));
    }
  });
  constexpr int kCopies = 12;
  for (int i = 0; i < kCopies; ++i) {
    const std::string copy = fmt::format("{}.copy-{}", dir.path(), i);
    ASSERT_TRUE(index->copy_to(copy));
    const auto copied = *open_rocksdb_index_read_only(copy);
    const std::string expected = std::to_string(copied->applied() / 8 * 8);
    for (const Table table : {Table::kObjects, Table::kBodies}) {
      EXPECT_EQ((*copied->get(table, "half", Patience::kAny)).value_or("0"), expected) << "copy " << i;
    }
    std::filesystem::remove_all(copy);
  }
  enough = true;
  writer.join();
}

TEST(RocksdbIndex, makes_the_folders_above_it) {
  const TempDir dir;
  EXPECT_TRUE(open_rocksdb_index(dir.path() + "/a/b").has_value());
  EXPECT_TRUE(std::filesystem::is_directory(dir.path() + "/a/b"));
}

TEST(RocksdbIndex, says_when_its_folder_cannot_be_made) {
  const auto index = open_rocksdb_index("/proc/index");
  ASSERT_FALSE(index.has_value());
  EXPECT_NE(index.error().message.find("/proc/index"), std::string::npos);
}

TEST(RocksdbIndex, refuses_a_relative_path) {
  const auto index = open_rocksdb_index("relative/index");
  ASSERT_FALSE(index.has_value());
  EXPECT_EQ(index.error().code, Errc::kInvalid);
}

// Applies `change` to one file of a closed index with an extension or name, returns what opening or reading
// says.
template <class Change>
Status after_damage(std::string_view part_of_name, Change change) {
  const TempDir dir;
  {
    const auto index = *open_rocksdb_index(dir.path());
    for (Lsn lsn = 1; lsn <= 200; ++lsn) {
      HR_TRY(index->apply({{Table::kObjects, big_endian(lsn), Bytes(100, 'x')}}, lsn));
    }
    HR_TRY(index->flush());
  }
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    if (entry.path().filename().string().contains(part_of_name)) change(entry.path());
  }
  HR_ASSIGN(const auto index, open_rocksdb_index(dir.path()));
  for (Lsn lsn = 1; lsn <= 200; ++lsn) {
    HR_ASSIGN(const auto value, index->get(Table::kObjects, big_endian(lsn), Patience::kAny));
    if (value != Bytes(100, 'x')) return fail(Errc::kNotFound, "lost");
  }
  return {};
}

void flip_bytes(const std::filesystem::path& file, std::uintmax_t from) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  for (std::uintmax_t at = from; at < std::filesystem::file_size(file); at += 64) {
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put('\x5a');
  }
}

TEST(RocksdbIndex, names_its_folder_when_data_is_damaged) {
  const Status status = after_damage(".sst", [](const std::filesystem::path& file) { flip_bytes(file, 16); });
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Errc::kCorrupt) << status.error().message;
  EXPECT_NE(status.error().message.find("/index"), std::string::npos);
}

TEST(RocksdbIndex, refuses_a_damaged_manifest) {
  const Status status =
      after_damage("MANIFEST", [](const std::filesystem::path& file) { flip_bytes(file, 20); });
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Errc::kCorrupt) << status.error().message;
}

TEST(RocksdbIndex, does_not_begin_anew_where_its_manifest_pointer_is_gone) {
  const Status status =
      after_damage("CURRENT", [](const std::filesystem::path& file) { std::filesystem::remove(file); });
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Errc::kCorrupt) << status.error().message;
}

TEST(RocksdbIndex, does_not_open_without_one_of_its_files) {
  EXPECT_FALSE(
      after_damage(".sst", [](const std::filesystem::path& file) { std::filesystem::remove(file); }));
}

}  // namespace
}  // namespace hr::storage
