#include "object/body_walk.h"

#include "codec/digest.h"
#include "object/coding.h"
#include "sim/sim_disk.h"
#include "storage/index/memory_index.h"

#include <gtest/gtest.h>

#include <map>

namespace hr::object {
namespace {

using storage::BlobName;
using storage::Table;

constexpr BucketId kBucket{7};
constexpr std::uint64_t kAll = 1ULL << 40;

class TheBodyWalk : public testing::Test {
 protected:
  TheBodyWalk() : blobs_(*storage::open_blobs(disk_, 1)), walk_(index_, *blobs_) {
    set(Table::kBuckets, "inbox", encode(Bucket{.id = kBucket, .name = "inbox"}));
  }

  void set(Table table, Bytes key, Bytes value) {
    ASSERT_TRUE(index_.apply({{table, std::move(key), std::move(value)}}, ++lsn_));
  }
  BlobName file(ByteView content) {
    const auto writer = *blobs_->create();
    EXPECT_TRUE(writer->append(content));
    return *writer->commit();
  }
  void flip(const BlobName& name, std::uint64_t at) {
    const auto file = *disk_.open(name.path(), os::OpenMode::kReadWrite, "t");
    char byte = 0;
    ASSERT_TRUE(file->read_at(at, std::span(&byte, 1), "t"));
    byte = static_cast<char>(byte ^ 1);
    ASSERT_TRUE(file->write_at(at, ByteView(&byte, 1), "t"));
  }
  BlobName put_file(const std::string& key, const std::string& content) {
    const BlobName blob = file(content);
    set(Table::kObjects, object_key(kBucket, key),
        encode(Object{.bytes = content.size(), .etag = codec::md5_hex(content), .blob = blob}));
    return blob;
  }
  void put_inline(const std::string& key, const std::string& content, const std::string& stored) {
    set(Table::kObjects, object_key(kBucket, key),
        encode(Object{.bytes = content.size(), .etag = codec::md5_hex(content)}));
    set(Table::kBodies, object_key(kBucket, key), stored);
  }
  std::vector<BlobName> put_parts(const std::string& key, const std::vector<std::string>& contents) {
    Manifest manifest;
    std::vector<BlobName> blobs;
    Bytes md5s;
    for (const std::string& content : contents) {
      blobs.push_back(file(content));
      manifest.push_back({.bytes = content.size(), .blob = blobs.back()});
      codec::Md5 md5;
      md5.update(content);
      md5s += md5.finish();
    }
    const std::string etag = codec::md5_hex(md5s) + "-" + std::to_string(contents.size());
    const auto parts = static_cast<std::uint32_t>(contents.size());
    set(Table::kObjects, object_key(kBucket, key), encode(Object{.etag = etag, .parts = parts}));
    set(Table::kBodies, object_key(kBucket, key), encode(manifest));
    return blobs;
  }
  // All of it in one stretch: reasons by key.
  std::map<std::string, std::string> damage(std::uint64_t budget = kAll) {
    std::map<std::string, std::string> out;
    walk_.start({});
    for (bool ended = false; !ended;) {
      const auto stretch = walk_.go(budget);
      EXPECT_TRUE(stretch.has_value());
      if (!stretch) break;
      bodies_ += stretch->bodies;
      for (const Damage& one : stretch->damaged) out[one.key] = one.reason;
      ended = stretch->ended;
    }
    return out;
  }

  sim::SimDisk disk_;
  std::unique_ptr<storage::BlobStore> blobs_;
  storage::MemoryIndex index_;
  BodyWalk walk_;
  storage::Lsn lsn_ = 0;
  std::uint64_t bodies_ = 0;
};

TEST_F(TheBodyWalk, finds_nothing_wrong_with_what_is_whole) {
  put_file("file", std::string(600'000, 'f'));
  put_inline("inline", "abc", "abc");
  put_inline("empty", "", "");
  put_parts("parts", {std::string(70'000, 'p'), "q"});
  set(Table::kVersions, version_key(kBucket, "old", 3), encode(Object{.version = 3, .delete_marker = true}));
  EXPECT_TRUE(damage().empty());
  EXPECT_EQ(bodies_, 4U);
}

TEST_F(TheBodyWalk, names_a_file_of_which_one_bit_is_another) {
  flip(put_file("a", std::string(300'000, 'x')), 299'999);
  put_file("b", "whole");
  walk_.start({});
  const auto stretch = *walk_.go(kAll);
  ASSERT_EQ(stretch.damaged.size(), 1U);
  EXPECT_EQ(name_of(stretch.damaged[0]), "object \"a\" of bucket inbox");
  EXPECT_EQ(stretch.damaged[0].files.size(), 1U);
  EXPECT_EQ(stretch.damaged[0].reason, "its MD5 is not that of what was stored");
}

TEST_F(TheBodyWalk, names_a_file_that_is_shorter_or_missing) {
  const BlobName shorter = put_file("short", "0123456789");
  const BlobName missing = put_file("missing", "0123456789");
  ASSERT_TRUE((*disk_.open(shorter.path(), os::OpenMode::kReadWrite, "t"))->truncate(9, "t"));
  ASSERT_TRUE(blobs_->remove(missing));
  const auto found = damage();
  EXPECT_EQ(found.at("short"), shorter.path() + " is 9 bytes long instead of 10");
  EXPECT_EQ(found.at("missing"), missing.path() + " is missing");
}

TEST_F(TheBodyWalk, names_a_file_that_the_disk_cannot_read) {
  put_file("a", std::string(400'000, 'x'));
  disk_.fail("scrub.read", sim::Fault::kIo);
  EXPECT_TRUE(damage().at("a").contains("cannot be read at byte 0"));
}

TEST_F(TheBodyWalk, compares_a_body_of_the_index_too) {
  put_inline("other", "abc", "abd");
  put_inline("longer", "abc", "abcd");
  EXPECT_EQ(damage(),
            (std::map<std::string, std::string>{{"other", "its MD5 is not that of what was stored"},
                                                {"longer", "its body is 4 bytes long instead of 3"}}));
}

TEST_F(TheBodyWalk, names_all_files_of_an_object_of_parts_if_their_md5s_differ) {
  flip(put_parts("parts", {"one", "two"})[1], 0);
  walk_.start({});
  const auto stretch = *walk_.go(kAll);
  ASSERT_EQ(stretch.damaged.size(), 1U);
  EXPECT_EQ(stretch.damaged[0].files.size(), 2U);
  EXPECT_EQ(stretch.damaged[0].reason, "the MD5s of its parts are not those of its ETag");
}

TEST_F(TheBodyWalk, looks_at_parts_of_uploads_and_at_old_versions) {
  const BlobName part = file("part"), old = file("old");
  set(Table::kParts, part_key(UploadId{9}, 3),
      encode(Part{.bytes = 4, .etag = codec::md5_hex("part"), .blob = part}));
  set(Table::kVersions, version_key(kBucket, "k", 2),
      encode(Object{.bytes = 3, .etag = codec::md5_hex("old"), .blob = old, .version = 2, .numbered = true}));
  EXPECT_TRUE(damage().empty());
  flip(part, 0);
  flip(old, 0);
  const auto found = damage();
  EXPECT_TRUE(found.contains("part 3 of an upload"));
  EXPECT_TRUE(found.contains("k"));
}

TEST_F(TheBodyWalk, goes_on_in_the_middle_of_a_body_and_behind_a_row) {
  put_file("a", std::string(1'000'000, 'a'));
  flip(put_file("b", std::string(1'000'000, 'b')), 999'999);
  put_file("c", "c");
  EXPECT_EQ(damage(10'000).size(), 1U);
  EXPECT_EQ(bodies_, 3U);

  walk_.start({.table = Table::kObjects, .after = object_key(kBucket, "b")});
  const auto stretch = *walk_.go(kAll);
  EXPECT_EQ(stretch.bodies, 1U);
  EXPECT_TRUE(stretch.damaged.empty());
}

TEST_F(TheBodyWalk, an_object_that_is_replaced_meanwhile_is_not_damaged) {
  put_file("a", std::string(1'000'000, 'a'));
  walk_.start({});
  ASSERT_FALSE(walk_.go(10'000)->ended);
  put_inline("a", "new", "new");
  disk_.fail("scrub.read", sim::Fault::kIo);
  const auto stretch = *walk_.go(kAll);
  EXPECT_TRUE(stretch.ended);
  EXPECT_TRUE(stretch.damaged.empty());
}

TEST_F(TheBodyWalk, a_body_costs_something_however_small) {
  for (int i = 0; i < 10; ++i) put_inline("k" + std::to_string(i), "", "");
  walk_.start({});
  EXPECT_EQ(walk_.go(5 * BodyWalk::kBodyCost)->bodies, 5U);
}

}  // namespace
}  // namespace hr::object
