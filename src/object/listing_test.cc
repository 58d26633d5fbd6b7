#include "object/listing.h"

#include "object/coding.h"
#include "storage/index/memory_index.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace hr::object {
namespace {

using Strings = std::vector<std::string>;
using storage::Table;

constexpr BucketId kBucket{7};

class Listing : public testing::Test {
 protected:
  void add(std::string_view key, BucketId bucket = kBucket) {
    const Bytes value = encode(Object{.bytes = key.size(), .etag = std::string(key)});
    ASSERT_TRUE(index_.apply({{Table::kObjects, object_key(bucket, key), value}}, index_.applied() + 1));
  }
  void add_all(const Strings& keys) {
    for (const auto& key : keys) add(key);
  }
  ListPage list(ListRequest request) {
    request.bucket = kBucket;
    auto page = list_objects(index_, request);
    EXPECT_TRUE(page.has_value()) << page.error().message;
    return page ? *page : ListPage{};
  }
  storage::MemoryIndex index_;
};

Strings keys_of(const ListPage& page) {
  Strings keys;
  for (const auto& listed : page.objects) keys.push_back(listed.key);
  return keys;
}

TEST_F(Listing, shows_keys_of_its_bucket_in_byte_order) {
  add("other", BucketId{6});
  add("other", BucketId{8});
  add_all({"b", "a", "\xff", std::string("\0", 1)});
  const auto page = list({});
  EXPECT_EQ(keys_of(page), (Strings{std::string("\0", 1), "a", "b", "\xff"}));
  EXPECT_EQ(page.objects[1].object.etag, "a");
  EXPECT_FALSE(page.truncated);
  EXPECT_EQ(page.next_after, "");
}

TEST_F(Listing, stays_within_the_prefix) {
  add_all({"a", "b", "b/1", "b/2", "b0", "c"});
  EXPECT_EQ(keys_of(list({.prefix = "b/"})), (Strings{"b/1", "b/2"}));
  EXPECT_EQ(keys_of(list({.prefix = "b"})), (Strings{"b", "b/1", "b/2", "b0"}));
  EXPECT_EQ(keys_of(list({.prefix = "x"})), Strings{});
}

TEST_F(Listing, rolls_keys_up_at_the_delimiter) {
  add_all({"a.txt", "photos/1", "photos/2", "photos/x/3", "z/", "zz"});
  auto page = list({.delimiter = "/"});
  EXPECT_EQ(keys_of(page), (Strings{"a.txt", "zz"}));
  EXPECT_EQ(page.common_prefixes, (Strings{"photos/", "z/"}));
  page = list({.prefix = "photos/", .delimiter = "/"});
  EXPECT_EQ(keys_of(page), (Strings{"photos/1", "photos/2"}));
  EXPECT_EQ(page.common_prefixes, Strings{"photos/x/"});
}

TEST_F(Listing, takes_delimiters_of_several_bytes_and_any_value) {
  add_all({"a--b--c", "a-b", "a\xff\xff", "\xff\xff\x01", "\xff\xff\x02"});
  EXPECT_EQ(list({.delimiter = "--"}).common_prefixes, Strings{"a--"});
  const auto page = list({.delimiter = "\xff\xff"});
  EXPECT_EQ(page.common_prefixes, (Strings{"a\xff\xff", "\xff\xff"}));
  EXPECT_EQ(keys_of(page), (Strings{"a--b--c", "a-b"}));
}

TEST_F(Listing, counts_keys_and_common_prefixes_together) {
  add_all({"a", "b/1", "b/2", "c"});
  auto page = list({.delimiter = "/", .max = 2});
  EXPECT_EQ(keys_of(page), Strings{"a"});
  EXPECT_EQ(page.common_prefixes, Strings{"b/"});
  EXPECT_TRUE(page.truncated);
  EXPECT_EQ(page.next_after, "b/");
  page = list({.delimiter = "/", .after = page.next_after, .max = 2});
  EXPECT_EQ(keys_of(page), Strings{"c"});
  EXPECT_TRUE(page.common_prefixes.empty());
  EXPECT_FALSE(page.truncated);
}

TEST_F(Listing, is_not_truncated_when_the_page_is_just_full) {
  add_all({"a", "b"});
  EXPECT_FALSE(list({.max = 2}).truncated);
  EXPECT_TRUE(list({.max = 1}).truncated);
}

TEST_F(Listing, of_no_keys_is_empty_and_not_truncated) {
  add("a");
  const auto page = list({.max = 0});
  EXPECT_TRUE(page.objects.empty());
  EXPECT_FALSE(page.truncated);
}

TEST_F(Listing, refuses_pages_over_a_thousand) {
  EXPECT_TRUE(list_objects(index_, {.bucket = kBucket, .max = 1000}).has_value());
  const auto page = list_objects(index_, {.bucket = kBucket, .max = 1001});
  ASSERT_FALSE(page.has_value());
  EXPECT_EQ(page.error().code, Errc::kLimit);
}

TEST_F(Listing, begins_behind_a_key_that_need_not_exist) {
  add_all({"a", "b", "b\x01", "c"});
  EXPECT_EQ(keys_of(list({.after = "b"})), (Strings{"b\x01", "c"}));
  EXPECT_EQ(keys_of(list({.after = "aa"})), (Strings{"b", "b\x01", "c"}));
  EXPECT_EQ(keys_of(list({.after = "d"})), Strings{});
  EXPECT_EQ(keys_of(list({.prefix = "b", .after = "a"})), (Strings{"b", "b\x01"}));
  EXPECT_EQ(keys_of(list({.prefix = "a", .after = "b"})), Strings{});
}

TEST_F(Listing, that_begins_inside_a_common_prefix_does_not_show_it) {
  add_all({"a/1", "a/2", "b/1"});
  EXPECT_EQ(list({.delimiter = "/", .after = "a/1"}).common_prefixes, Strings{"b/"});
  EXPECT_EQ(list({.delimiter = "/", .after = "a/"}).common_prefixes, Strings{"b/"});
  EXPECT_EQ(list({.delimiter = "/", .after = "a"}).common_prefixes, (Strings{"a/", "b/"}));
  EXPECT_EQ(keys_of(list({.prefix = "a/", .delimiter = "/", .after = "a/1"})), Strings{"a/2"});
}

TEST_F(Listing, fails_where_an_object_cannot_be_read) {
  ASSERT_TRUE(index_.apply({{Table::kObjects, object_key(kBucket, "a"), "junk"}}, 1));
  const auto page = list_objects(index_, {.bucket = kBucket});
  ASSERT_FALSE(page.has_value());
  EXPECT_EQ(page.error().code, Errc::kCorrupt);
}

// Counts what a listing asks of the index.
class CountingIndex final : public storage::Index {
 public:
  explicit CountingIndex(const storage::Index& inner) : inner_(inner) {}
  Result<std::optional<Bytes>> get(Table table, ByteView key, storage::Patience p) const override {
    return inner_.get(table, key, p);
  }
  std::unique_ptr<storage::Cursor> cursor(Table table) const override {
    return std::make_unique<CountingCursor>(inner_.cursor(table), steps);
  }
  std::vector<std::unique_ptr<storage::Cursor>> cursors(std::span<const Table> tables) const override {
    auto all = inner_.cursors(tables);
    for (auto& one : all) one = std::make_unique<CountingCursor>(std::move(one), steps);
    return all;
  }
  Status apply(const std::vector<storage::IndexChange>&, storage::Lsn) override { return {}; }
  Status flush() override { return {}; }
  storage::Lsn applied() const override { return 0; }
  storage::Lsn durable() const override { return 0; }
  mutable int steps = 0;

 private:
  class CountingCursor final : public storage::Cursor {
   public:
    CountingCursor(std::unique_ptr<storage::Cursor> inner, int& steps)
        : inner_(std::move(inner)), steps_(steps) {}
    Status seek(ByteView key) override { return ++steps_, inner_->seek(key); }
    Status next() override { return ++steps_, inner_->next(); }
    bool valid() const override { return inner_->valid(); }
    ByteView key() const override { return inner_->key(); }
    ByteView value() const override { return inner_->value(); }

   private:
    std::unique_ptr<storage::Cursor> inner_;
    int& steps_;
  };
  const storage::Index& inner_;
};

TEST_F(Listing, costs_one_step_an_entry_however_much_hides_behind_a_prefix) {
  for (int folder = 0; folder < 5; ++folder) {
    for (int i = 0; i < 500; ++i) add("folder-" + std::to_string(folder) + "/" + std::to_string(i));
  }
  const CountingIndex counting(index_);
  const auto page = list_objects(counting, {.bucket = kBucket, .delimiter = "/"});
  EXPECT_EQ(page->common_prefixes.size(), 5U);
  EXPECT_LE(counting.steps, 6);
  counting.steps = 0;
  static_cast<void>(list_objects(counting, {.bucket = kBucket, .max = 10}));
  EXPECT_LE(counting.steps, 11);
}

// The definition, over all keys at once.
struct Naive {
  Strings keys, prefixes;
};
Naive naive(const std::set<std::string>& all, const ListRequest& request) {
  Naive out;
  for (const auto& key : all) {
    if (!key.starts_with(request.prefix)) continue;
    std::string shown = key;
    const auto at = request.delimiter.empty() ? key.npos : key.find(request.delimiter, request.prefix.size());
    if (at != key.npos) shown = key.substr(0, at + request.delimiter.size());
    const bool rolled = at != key.npos;
    if (!request.after.empty() && (shown <= request.after || (rolled && request.after.starts_with(shown)))) {
      continue;
    }
    if (!rolled) out.keys.push_back(key);
    if (rolled && (out.prefixes.empty() || out.prefixes.back() != shown)) out.prefixes.push_back(shown);
  }
  return out;
}

TEST_F(Listing, agrees_with_its_definition_page_by_page) {
  std::mt19937_64 random(3);
  const std::string letters = std::string("ab/\xff") + '\0';
  const auto text = [&](std::size_t max) {
    std::string s;
    for (std::size_t n = random() % (max + 1); n > 0; --n) s += letters[random() % letters.size()];
    return s;
  };
  std::set<std::string> all;
  while (all.size() < 300) all.insert('a' + text(6));
  for (int i = 0; i < 100; ++i) all.insert("\xff" + text(4));
  add_all({all.begin(), all.end()});
  for (int round = 0; round < 3000; ++round) {
    ListRequest request{
        .bucket = kBucket, .prefix = text(2), .delimiter = text(2), .after = text(4), .max = 1};
    request.max = 1 + random() % 20;
    if (random() % 2 == 0) request.prefix = 'a' + request.prefix;
    const Naive expected = naive(all, request);
    Naive got;
    ListPage page;
    do {
      page = list(request);
      ASSERT_LE(page.objects.size() + page.common_prefixes.size(), request.max);
      for (auto& key : keys_of(page)) got.keys.push_back(key);
      for (auto& prefix : page.common_prefixes) got.prefixes.push_back(prefix);
      request.after = page.next_after;
    } while (page.truncated);
    ASSERT_EQ(got.keys, expected.keys) << round;
    ASSERT_EQ(got.prefixes, expected.prefixes) << round;
  }
}

class UploadListing : public Listing {
 protected:
  void begin(std::string_view key, std::uint64_t id, BucketId bucket = kBucket) {
    const Bytes value = encode(Upload{.id = UploadId{id}});
    ASSERT_TRUE(index_.apply({{Table::kUploads, upload_key(bucket, key, UploadId{id}), value}},
                             index_.applied() + 1));
  }
  // Every page of `max`, joined: "key id", and prefixes alone.
  Strings all(ListUploadsRequest request) {
    request.bucket = kBucket;
    Strings shown;
    UploadPage page;
    do {
      page = *list_uploads(index_, request);
      for (const auto& [key, upload] : page.uploads) {
        shown.push_back(key + " " + std::to_string(static_cast<std::uint64_t>(upload.id)));
      }
      shown.insert(shown.end(), page.common_prefixes.begin(), page.common_prefixes.end());
      request.after = page.next_after;
      request.after_upload = page.next_after_upload;
    } while (page.truncated);
    return shown;
  }
};

TEST_F(UploadListing, goes_by_key_and_then_by_age) {
  begin("b", 3);
  begin("a", 7);
  begin("a", 2);
  begin("a!", 1);
  begin("x", 9, BucketId{8});
  for (std::size_t max = 1; max <= 5; ++max) {
    EXPECT_EQ(all({.max = max}), (Strings{"a 2", "a 7", "a! 1", "b 3"})) << max;
  }
}

TEST_F(UploadListing, takes_prefix_delimiter_and_markers) {
  for (const std::uint64_t id : {1U, 2U}) begin("d/one", id);
  begin("d/two", 3);
  begin("e", 4);
  for (std::size_t max = 1; max <= 3; ++max) {
    const Strings both = all({.delimiter = "/", .max = max});
    EXPECT_EQ(std::set(both.begin(), both.end()), (std::set<std::string>{"d/", "e 4"}));
    EXPECT_EQ(all({.prefix = "d/", .max = max}), (Strings{"d/one 1", "d/one 2", "d/two 3"}));
  }
  EXPECT_EQ(all({.after = "d/one"}), (Strings{"d/two 3", "e 4"}));
  EXPECT_EQ(all({.after = "d/one", .after_upload = UploadId{1}}), (Strings{"d/one 2", "d/two 3", "e 4"}));
  EXPECT_EQ(all({.prefix = std::string("d/one\0", 6)}), Strings{});
}

TEST_F(UploadListing, shows_parts_by_number) {
  for (const std::uint32_t number : {10'000U, 1U, 300U}) {
    ASSERT_TRUE(index_.apply({{Table::kParts, part_key(UploadId{1}, number), encode(Part{.bytes = number})},
                              {Table::kParts, part_key(UploadId{2}, number), encode(Part{})}},
                             index_.applied() + 1));
  }
  const auto page = *list_parts(index_, UploadId{1}, 0, 2);
  ASSERT_EQ(page.parts.size(), 2U);
  EXPECT_EQ(page.parts[1].number, 300U);
  EXPECT_EQ(page.parts[1].part.bytes, 300U);
  EXPECT_TRUE(page.truncated);
  EXPECT_EQ(list_parts(index_, UploadId{1}, 300, 2)->parts.size(), 1U);
  EXPECT_TRUE(list_parts(index_, UploadId{1}, 10'000, 2)->parts.empty());
}

TEST_F(Listing, tells_empty_buckets) {
  EXPECT_TRUE(*bucket_is_empty(index_, kBucket));
  add("a", BucketId{8});
  EXPECT_TRUE(*bucket_is_empty(index_, kBucket));
  add("a");
  EXPECT_FALSE(*bucket_is_empty(index_, kBucket));
}

}  // namespace
}  // namespace hr::object
