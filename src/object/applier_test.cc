#include "object/applier.h"

#include "object/coding.h"
#include "object/records.h"
#include "sim/sim_disk.h"
#include "storage/index/memory_index.h"

#include <gtest/gtest.h>

namespace hr::object {
namespace {

using storage::BlobName;
using storage::Lsn;
using storage::Patience;
using storage::Table;

constexpr BucketId kBucket{7};
constexpr UploadId kUpload{9};
constexpr Time kNow = from_ms(1'700'000'000'000);

class TheApplier : public testing::Test {
 protected:
  TheApplier()
      : blobs_(*storage::open_blobs(disk_, 1)), applier_(std::make_unique<Applier>(index_, *blobs_)) {}

  BlobName upload(storage::BlobStore& blobs) {
    const auto writer = *blobs.create();
    EXPECT_TRUE(writer->append("content"));
    return *writer->commit();
  }
  BlobName upload() { return upload(*blobs_); }
  bool exists(const BlobName& name) { return blobs_->open(name).has_value(); }

  static AppliedRecord put(Lsn lsn, std::string_view key, std::optional<BlobName> blob, ByteView body = "") {
    const Bytes value = encode(Object{.etag = "e" + std::to_string(lsn), .blob = blob, .sequencer = lsn});
    auto record =
        record_of(ObjectPut{kBucket, key, value, blob ? std::nullopt : std::optional<ByteView>(body)});
    return {lsn, record.kind, std::move(record.payload)};
  }
  static AppliedRecord removal(Lsn lsn, std::string_view key) {
    auto record = record_of(ObjectRemoved{kBucket, lsn, key});
    return {lsn, record.kind, std::move(record.payload)};
  }
  static AppliedRecord part(Lsn lsn, std::uint32_t number, BlobName blob) {
    const Bytes value = encode(Part{.bytes = 7, .etag = "p", .blob = blob});
    auto record = record_of(PartPut{kUpload, number, value});
    return {lsn, record.kind, std::move(record.payload)};
  }
  static AppliedRecord put_parts(Lsn lsn, std::string_view key, const std::vector<BlobName>& blobs) {
    Manifest manifest;
    for (const BlobName& blob : blobs) manifest.push_back({.bytes = 7, .blob = blob});
    if (blobs.empty()) manifest.emplace_back();
    const Object object{
        .etag = "e-1", .parts = static_cast<std::uint32_t>(manifest.size()), .sequencer = lsn};
    const Bytes value = encode(object);
    const Bytes body = encode(manifest);
    auto record = record_of(ObjectPut{kBucket, key, value, body});
    return {lsn, record.kind, std::move(record.payload)};
  }
  static AppliedRecord close(Lsn lsn, std::vector<std::uint32_t> kept) {
    auto record = record_of(UploadClosed{kBucket, kUpload, "k", std::move(kept)});
    return {lsn, record.kind, std::move(record.payload)};
  }
  void apply(const std::vector<AppliedRecord>& records, Lsn expected) {
    const auto upto = applier_->apply(records);
    ASSERT_TRUE(upto.has_value()) << upto.error().message;
    EXPECT_EQ(*upto, expected);
  }
  std::optional<Object> object(std::string_view key) {
    const auto value = *index_.get(Table::kObjects, object_key(kBucket, key), Patience::kAny);
    if (!value) return std::nullopt;
    return *decode_object(*value);
  }
  std::optional<Bytes> body(std::string_view key) {
    return *index_.get(Table::kBodies, object_key(kBucket, key), Patience::kAny);
  }

  sim::SimDisk disk_;
  std::unique_ptr<storage::BlobStore> blobs_;
  storage::MemoryIndex index_;
  std::unique_ptr<Applier> applier_;
};

TEST_F(TheApplier, leaves_body_and_blob_when_tags_are_set) {
  const BlobName blob = upload();
  const Object tagged{.etag = "e1", .tags = {{"a", "b"}}, .blob = blob, .sequencer = 2};
  const Bytes value = encode(tagged);
  auto set = record_of(ObjectSet{kBucket, "k", 0, value});
  const std::vector<AppliedRecord> records = {
      put(1, "k", blob), {2, set.kind, std::move(set.payload)}, put(3, "inline", std::nullopt, "body")};
  ASSERT_TRUE(applier_->apply(records));
  EXPECT_TRUE(exists(blob));
  EXPECT_EQ(**index_.get(Table::kObjects, object_key(kBucket, "k"), Patience::kAny), value);
  // Its blob is still known to be replaced.
  ASSERT_TRUE(applier_->apply(std::vector{removal(4, "k")}));
  EXPECT_FALSE(exists(blob));
}

TEST_F(TheApplier, brings_objects_and_bodies_into_the_index) {
  apply({put(1, "a", {}, "body"), put(2, "b", upload())}, 2);
  EXPECT_EQ(object("a")->etag, "e1");
  EXPECT_EQ(body("a"), "body");
  EXPECT_TRUE(object("b")->blob.has_value());
  EXPECT_EQ(body("b"), std::nullopt);
  EXPECT_EQ(index_.applied(), 2U);
}

TEST_F(TheApplier, removes_both_with_the_object) {
  apply({put(1, "a", {}, "body")}, 1);
  apply({removal(2, "a")}, 2);
  EXPECT_FALSE(object("a").has_value());
  EXPECT_EQ(body("a"), std::nullopt);
}

TEST_F(TheApplier, removes_the_file_of_a_body_that_was_replaced) {
  const BlobName first = upload();
  const BlobName second = upload();
  apply({put(1, "a", first)}, 1);
  EXPECT_TRUE(exists(first));
  apply({put(2, "a", second)}, 2);
  EXPECT_FALSE(exists(first));
  EXPECT_TRUE(exists(second));
  apply({put(3, "a", {}, "inline")}, 3);
  EXPECT_FALSE(exists(second));
}

TEST_F(TheApplier, removes_files_replaced_within_one_batch) {
  const BlobName first = upload();
  const BlobName second = upload();
  const BlobName third = upload();
  apply({put(1, "a", first), put(2, "a", second), put(3, "b", third), removal(4, "b")}, 4);
  EXPECT_FALSE(exists(first));
  EXPECT_TRUE(exists(second));
  EXPECT_FALSE(exists(third));
}

// --- parts ---

TEST_F(TheApplier, removes_the_file_of_a_part_that_was_sent_again) {
  const BlobName first = upload();
  const BlobName second = upload();
  apply({part(1, 1, first), part(2, 1, second)}, 2);
  EXPECT_FALSE(exists(first));
  EXPECT_TRUE(exists(second));
}

TEST_F(TheApplier, gives_the_parts_of_a_completed_upload_to_the_object_and_removes_the_others) {
  const BlobName taken = upload();
  const BlobName left = upload();
  apply({part(1, 1, taken), part(2, 7, left)}, 2);
  apply({put_parts(3, "k", {taken}), close(3, {1})}, 3);
  EXPECT_TRUE(exists(taken));
  EXPECT_FALSE(exists(left));
  EXPECT_EQ(*index_.get(Table::kParts, part_key(kUpload, 1), Patience::kAny), std::nullopt);
  EXPECT_EQ(*index_.get(Table::kParts, part_key(kUpload, 7), Patience::kAny), std::nullopt);
  EXPECT_EQ(object("k")->parts, 1U);
  apply({removal(4, "k")}, 4);
  EXPECT_FALSE(exists(taken));
}

TEST_F(TheApplier, sees_the_parts_of_its_own_batch_when_an_upload_closes) {
  const BlobName first = upload();
  const BlobName second = upload();
  apply({part(1, 1, first), part(2, 2, second), put_parts(3, "k", {second}), close(3, {2})}, 3);
  EXPECT_FALSE(exists(first));
  EXPECT_TRUE(exists(second));
  EXPECT_FALSE(index_.cursor(Table::kParts)->valid());
  apply({put_parts(4, "k", {}), removal(5, "k")}, 5);
  EXPECT_FALSE(exists(second));
}

TEST_F(TheApplier, removes_all_parts_of_an_aborted_upload) {
  const BlobName first = upload();
  apply({part(1, 1, first)}, 1);
  apply({close(2, {})}, 2);
  EXPECT_FALSE(exists(first));
}

TEST_F(TheApplier, sweeps_around_parts_and_the_objects_made_of_them) {
  const BlobName part_blob = upload();
  const BlobName object_blob = upload();
  const BlobName orphan = upload();
  apply({part(1, 1, part_blob), put_parts(2, "k", {object_blob})}, 2);
  const auto swept = sweep_orphans(*blobs_, index_, 2);
  ASSERT_TRUE(swept.has_value()) << swept.error().message;
  EXPECT_EQ(swept->removed, 1U);
  EXPECT_TRUE(exists(part_blob));
  EXPECT_TRUE(exists(object_blob));
  EXPECT_FALSE(exists(orphan));
}

TEST_F(TheApplier, removes_no_file_before_the_change_that_drops_it) {
  const BlobName first = upload();
  apply({put(1, "a", first)}, 1);
  const auto removes = disk_.ops("blob.remove");
  apply({put(2, "b", upload())}, 2);
  EXPECT_EQ(disk_.ops("blob.remove"), removes);
  EXPECT_TRUE(exists(first));
}

TEST_F(TheApplier, keeps_the_file_that_old_and_new_both_name) {
  const BlobName blob = upload();
  apply({put(1, "a", blob)}, 1);
  apply({put(2, "a", blob)}, 2);
  EXPECT_TRUE(exists(blob));
}

TEST_F(TheApplier, skips_what_the_index_has) {
  const BlobName first = upload();
  const std::vector records{put(1, "a", first), put(2, "a", {}, "now")};
  apply(records, 2);
  apply(records, 2);
  EXPECT_EQ(body("a"), "now");
}

TEST_F(TheApplier, arrives_at_the_same_state_again_after_a_crash) {
  const BlobName first = upload();
  const BlobName second = upload();
  const std::vector records{put(1, "a", first), put(2, "a", second), put(3, "b", {}, "b"), removal(4, "b")};
  apply({records.begin(), records.begin() + 1}, 1);
  ASSERT_TRUE(applier_->flush());
  apply({records.begin() + 1, records.end()}, 4);
  index_.crash();
  applier_ = std::make_unique<Applier>(index_, *blobs_);
  EXPECT_EQ(index_.applied(), 1U);
  apply(records, 4);
  EXPECT_EQ(object("a")->blob, second);
  EXPECT_TRUE(exists(second));
  EXPECT_FALSE(exists(first));
  EXPECT_FALSE(object("b").has_value());
}

TEST_F(TheApplier, applies_a_large_batch_in_parts_cut_between_groups) {
  applier_ = std::make_unique<Applier>(index_, *blobs_, ApplierLimits{.batch_bytes_max = 1});
  apply({put(1, "a", {}, "1"), put(1, "b", {}, "1"), put(2, "a", {}, "2"), put(3, "c", {}, "3")}, 3);
  EXPECT_EQ(body("a"), "2");
  EXPECT_EQ(body("b"), "1");
  EXPECT_EQ(body("c"), "3");
}

TEST_F(TheApplier, stops_at_a_record_it_cannot_read) {
  const std::vector records{put(1, "a", {}, "1"), AppliedRecord{2, 67, "\x01junk"}};
  const auto upto = applier_->apply(records);
  ASSERT_FALSE(upto.has_value());
  EXPECT_EQ(upto.error().code, Errc::kCorrupt);
}

TEST_F(TheApplier, reports_a_file_that_cannot_be_removed) {
  const BlobName first = upload();
  apply({put(1, "a", first)}, 1);
  disk_.fail("blob.remove", sim::Fault::kIo);
  const std::vector records{removal(2, "a")};
  EXPECT_EQ(applier_->apply(records).error().code, Errc::kIo);
}

TEST_F(TheApplier, flushes_after_a_minute) {
  ASSERT_TRUE(applier_->maybe_flush(kNow));
  apply({put(1, "a", {}, "1")}, 1);
  ASSERT_TRUE(applier_->maybe_flush(kNow + 1s));
  ASSERT_TRUE(applier_->maybe_flush(kNow + 60s));
  EXPECT_EQ(index_.durable(), 0U);
  ASSERT_TRUE(applier_->maybe_flush(kNow + 61s));
  EXPECT_EQ(index_.durable(), 1U);
  apply({put(2, "a", {}, "2")}, 2);
  ASSERT_TRUE(applier_->maybe_flush(kNow + 70s));
  ASSERT_TRUE(applier_->maybe_flush(kNow + 129s));
  EXPECT_EQ(index_.durable(), 1U);
  ASSERT_TRUE(applier_->maybe_flush(kNow + 130s));
  EXPECT_EQ(index_.durable(), 2U);
}

TEST_F(TheApplier, flushes_when_it_holds_back_much) {
  const auto record = put(1, "a", {}, "1");
  const auto bytes = record.payload.size();
  applier_ = std::make_unique<Applier>(index_, *blobs_, ApplierLimits{.held_bytes_max = 2 * bytes});
  apply({record}, 1);
  ASSERT_TRUE(applier_->maybe_flush(kNow));
  EXPECT_EQ(index_.durable(), 0U);
  apply({put(2, "a", {}, "1")}, 2);
  ASSERT_TRUE(applier_->maybe_flush(kNow));
  EXPECT_EQ(index_.durable(), 2U);
}

TEST_F(TheApplier, moves_the_position_past_records_that_are_not_objects) {
  const auto upto = applier_->apply({}, 50);
  ASSERT_TRUE(upto.has_value());
  EXPECT_EQ(*upto, 50U);
  ASSERT_TRUE(applier_->maybe_flush(kNow));
  ASSERT_TRUE(applier_->maybe_flush(kNow + 60s));
  EXPECT_EQ(index_.durable(), 50U);
}

TEST_F(TheApplier, sweeps_what_earlier_runs_left_and_nothing_else) {
  const BlobName kept = upload();
  const BlobName orphan = upload();
  apply({put(1, "a", kept), put(2, "inline", {}, "x")}, 2);
  blobs_ = *storage::open_blobs(disk_, 2);
  const BlobName uploading = upload();
  const auto report = sweep_orphans(*blobs_, index_, 2);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->blobs, 2U);
  EXPECT_EQ(report->removed, 1U);
  EXPECT_TRUE(exists(kept));
  EXPECT_FALSE(exists(orphan));
  EXPECT_TRUE(exists(uploading));
}

TEST_F(TheApplier, sweeps_many_files_a_few_at_a_time) {
  std::vector<BlobName> names;
  for (Lsn lsn = 1; lsn <= 700; ++lsn) {
    names.push_back(upload());
    if (lsn % 3 == 0) apply({put(lsn, std::to_string(lsn), names.back())}, lsn);
  }
  const auto report = sweep_orphans(*blobs_, index_, 2, 10);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->blobs, 700U);
  EXPECT_EQ(report->removed, 700U - 233U);
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(exists(names[i]), (i + 1) % 3 == 0);
}

}  // namespace
}  // namespace hr::object
