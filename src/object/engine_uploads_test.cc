#include "object/coding.h"
#include "object/engine.h"
#include "object/records.h"

#include <gtest/gtest.h>

namespace hr::object {
namespace {

constexpr Time kNow = from_ms(1'700'000'000'000);
const std::string kAccount = "000000000000";

// An engine with the bucket "b" and an upload of the key "k" in it.
class Uploads : public testing::Test {
 protected:
  Uploads() {
    EXPECT_TRUE(engine_->create_bucket("b", kAccount, "us-east-1", kNow, step_));
    upload_ = create("k").value();
    append();
    apply();
  }
  Outcome<UploadId> create(const std::string& key) {
    return engine_->create_upload("b", key, {}, kNow, step_);
  }
  Outcome<void> put_part(std::uint32_t number, std::optional<UploadId> upload = {}) {
    return engine_->put_part({.bucket = "b",
                              .key = "k",
                              .upload = upload.value_or(upload_),
                              .number = number,
                              .part = {.bytes = 1, .etag = "p"}},
                             kNow, step_);
  }
  Outcome<WriteDone> complete(const Watch& parts, std::vector<std::uint32_t> kept,
                              WriteCondition condition = {}) {
    const auto count = static_cast<std::uint32_t>(kept.size());
    CompleteUpload request{.upload = upload_, .kept = std::move(kept)};
    request.put = {.bucket = "b",
                   .key = "k",
                   .object = {.bytes = 1, .etag = "e-1", .parts = count},
                   .inline_body = encode(Manifest(count)),
                   .condition = std::move(condition),
                   .event_name = "ObjectCreated:CompleteMultipartUpload"};
    return engine_->complete_upload(std::move(request), parts, engine_->watch_key(id(), "k"), {}, kNow,
                                    step_);
  }
  BucketId id() const { return engine_->bucket("b")->id; }
  void append() {
    engine_->appended(step_.records, ++lsn_);
    for (const auto& record : step_.records) log_.push_back({lsn_, record});
    step_ = {};
  }
  void apply() { engine_->applied(lsn_); }
  void restart() {
    engine_ = std::make_unique<Engine>(Limits{});
    for (const auto& [lsn, record] : log_) {
      ASSERT_TRUE(engine_->restore({.lsn = lsn, .kind = record.kind, .payload = record.payload, .at = {}}));
    }
  }

  std::unique_ptr<Engine> engine_ = std::make_unique<Engine>(Limits{.pending_max = 4, .uploads_max = 2});
  Effects step_;
  UploadId upload_{};
  storage::Lsn lsn_ = 0;
  std::vector<std::pair<storage::Lsn, storage::Record>> log_;
};

template <class T>
testing::AssertionResult faults(const Outcome<T>& outcome, Fault fault) {
  if (outcome) return testing::AssertionFailure() << "was accepted";
  if (outcome.error() == fault) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "fault " << static_cast<int>(outcome.error());
}

TEST_F(Uploads, take_parts_and_become_an_object_with_one_event) {
  ASSERT_TRUE(engine_->set_notifications(
      "b", {{.id = "r", .queue_arn = "q", .events = {"s3:ObjectCreated:*"}}}, "id", kNow, step_));
  ASSERT_TRUE(put_part(1));
  append();
  apply();
  const auto done = complete(engine_->watch_parts(upload_), {1});
  ASSERT_TRUE(done);
  EXPECT_GT(done->sequencer, 0U);
  ASSERT_EQ(step_.events.size(), 1U);
  EXPECT_NE(step_.events[0].body.find("ObjectCreated:CompleteMultipartUpload"), std::string::npos);
  EXPECT_EQ(engine_->upload(upload_), nullptr);
  EXPECT_TRUE(faults(put_part(2), Fault::kNoSuchUpload));
}

TEST_F(Uploads, are_known_by_bucket_key_and_id_together) {
  const auto part_of = [&](const std::string& bucket, const std::string& key, UploadId upload) {
    return engine_->put_part({.bucket = bucket, .key = key, .upload = upload, .number = 1}, kNow, step_);
  };
  EXPECT_TRUE(faults(part_of("x", "k", upload_), Fault::kNoSuchBucket));
  EXPECT_TRUE(faults(part_of("b", "other", upload_), Fault::kNoSuchUpload));
  EXPECT_TRUE(faults(part_of("b", "k", UploadId{99}), Fault::kNoSuchUpload));
  EXPECT_TRUE(faults(engine_->abort_upload("b", "other", upload_, step_), Fault::kNoSuchUpload));
  EXPECT_TRUE(step_.records.empty());
}

TEST_F(Uploads, are_not_completed_while_a_part_is_on_its_way) {
  ASSERT_TRUE(put_part(1));
  append();
  const Watch watch = engine_->watch_parts(upload_);
  EXPECT_TRUE(faults(complete(watch, {1}), Fault::kStale));
  apply();
  EXPECT_TRUE(faults(complete(watch, {1}), Fault::kStale)) << "the index was read before the part was there";
  EXPECT_TRUE(complete(engine_->watch_parts(upload_), {1}));
}

TEST_F(Uploads, are_not_completed_from_parts_that_were_read_before_one_was_replaced) {
  const Watch before = engine_->watch_parts(upload_);
  ASSERT_TRUE(put_part(1));
  append();
  apply();
  EXPECT_TRUE(faults(complete(before, {1}), Fault::kStale));
}

TEST_F(Uploads, are_completed_under_a_condition) {
  ASSERT_TRUE(engine_->put({.bucket = "b", .key = "k", .object = {.etag = "e1"}, .event_name = "x"},
                           engine_->watch_key(id(), "k"), {}, kNow, step_));
  EXPECT_TRUE(faults(complete(engine_->watch_parts(upload_), {1}, {.if_none_match_any = true}),
                     Fault::kPreconditionFailed));
  EXPECT_NE(engine_->upload(upload_), nullptr) << "the upload goes on";
  EXPECT_TRUE(complete(engine_->watch_parts(upload_), {1}, {.if_match = "e1"}));
}

TEST_F(Uploads, are_gone_once_aborted) {
  ASSERT_TRUE(engine_->abort_upload("b", "k", upload_, step_));
  EXPECT_TRUE(faults(put_part(1), Fault::kNoSuchUpload));
  EXPECT_TRUE(faults(complete({}, {1}), Fault::kNoSuchUpload));
  EXPECT_TRUE(faults(engine_->abort_upload("b", "k", upload_, step_), Fault::kNoSuchUpload));
}

TEST_F(Uploads, have_a_maximum) {
  ASSERT_TRUE(create("k"));
  EXPECT_TRUE(faults(create("k"), Fault::kTooManyUploads));
  ASSERT_TRUE(engine_->abort_upload("b", "k", upload_, step_));
  EXPECT_TRUE(create("k"));
}

TEST_F(Uploads, count_their_parts_among_what_is_pending) {
  for (std::uint32_t number = 1; number <= 4; ++number) ASSERT_TRUE(put_part(number));
  EXPECT_TRUE(faults(put_part(5), Fault::kSlowDown));
  append();
  apply();
  EXPECT_EQ(engine_->pending(), 0U);
  EXPECT_TRUE(put_part(5));
}

TEST_F(Uploads, do_not_keep_a_bucket_and_end_with_it) {
  EXPECT_EQ(engine_->uploads(id()), 1U);
  ASSERT_TRUE(engine_->delete_bucket("b", engine_->watch_bucket(id()), true, step_));
  EXPECT_EQ(engine_->upload(upload_), nullptr);
  ASSERT_EQ(step_.records.size(), 2U);
  EXPECT_EQ(Kind{step_.records[0].kind}, Kind::kUploadClosed);
}

TEST_F(Uploads, are_closed_when_they_are_older_than_the_limit) {
  EXPECT_EQ(engine_->close_abandoned(kNow + std::chrono::hours(7 * 24), 10, step_), 0U);
  EXPECT_EQ(engine_->close_abandoned(kNow + std::chrono::hours(7 * 24) + 1ms, 10, step_), 1U);
  EXPECT_EQ(engine_->upload(upload_), nullptr);
}

TEST_F(Uploads, go_on_after_a_restart) {
  append();
  restart();
  ASSERT_NE(engine_->upload(upload_), nullptr);
  EXPECT_EQ(engine_->upload(upload_)->key, "k");
  EXPECT_TRUE(put_part(1));
  append();
  ASSERT_TRUE(engine_->abort_upload("b", "k", upload_, step_));
  append();
  restart();
  EXPECT_EQ(engine_->upload(upload_), nullptr);
}

}  // namespace
}  // namespace hr::object
