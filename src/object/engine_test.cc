#include "object/engine.h"

#include "object/coding.h"
#include "object/records.h"

#include <gtest/gtest.h>

#include <set>

namespace hr::object {
namespace {

constexpr Time kNow = from_ms(1'700'000'000'000);
const std::string kAccount = "000000000000";

// An engine with one bucket "b", and an index that a test moves as it likes.
class ObjectEngine : public testing::Test {
 protected:
  ObjectEngine() : engine_(std::make_unique<Engine>(Limits{.buckets_max = 3, .pending_max = 4})) {
    EXPECT_TRUE(engine_->create_bucket("b", kAccount, "us-east-1", kNow, step_));
    append();
  }
  BucketId id() const { return engine_->bucket("b")->id; }

  // The watch of somebody who has just read the index.
  Watch watch(const std::string& key = "k") { return engine_->watch_key(id(), key); }

  Outcome<WriteDone> put(const Watch& watch, WriteCondition condition = {},
                         std::optional<Object> known = std::nullopt, const std::string& etag = "e1",
                         const std::string& key = "k") {
    return engine_->put({.bucket = "b",
                         .key = key,
                         .object = {.bytes = 4, .etag = etag},
                         .inline_body = "body",
                         .condition = std::move(condition),
                         .event_name = "ObjectCreated:Put"},
                        watch, known, kNow, step_);
  }
  Outcome<WriteDone> remove(const Watch& watch, const std::optional<Object>& known = std::nullopt,
                            std::optional<std::string> if_match = {}, const std::string& key = "k") {
    return engine_->remove({.bucket = "b", .key = key, .if_match = std::move(if_match)}, watch, known, kNow,
                           step_);
  }
  // The step's records become a group of the log.
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

  std::unique_ptr<Engine> engine_;
  Effects step_;
  storage::Lsn lsn_ = 0;
  std::vector<std::pair<storage::Lsn, storage::Record>> log_;
};

Object object_with(std::string etag) { return {.etag = std::move(etag)}; }
const WriteCondition kIfNone{.if_none_match_any = true};
WriteCondition if_match(std::string etag) { return {.if_match = std::move(etag)}; }

template <class T>
testing::AssertionResult faults(const Outcome<T>& outcome, Fault fault) {
  if (outcome) return testing::AssertionFailure() << "was accepted";
  if (outcome.error() == fault) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "fault " << static_cast<int>(outcome.error());
}

// --- buckets ---

TEST_F(ObjectEngine, keeps_buckets_by_name) {
  ASSERT_TRUE(engine_->create_bucket("a", kAccount, "us-east-1", kNow, step_));
  ASSERT_TRUE(engine_->create_bucket("c", "111111111111", "us-east-1", kNow, step_));
  EXPECT_EQ(engine_->bucket("b")->created, kNow);
  EXPECT_EQ(engine_->bucket("x"), nullptr);
  const auto mine = engine_->buckets(kAccount);
  ASSERT_EQ(mine.size(), 2U);
  EXPECT_EQ(mine[0]->name, "a");
  EXPECT_EQ(mine[1]->name, "b");
}

TEST_F(ObjectEngine, refuses_a_bucket_name_that_is_taken) {
  EXPECT_TRUE(faults(engine_->create_bucket("b", kAccount, "r", kNow, step_), Fault::kBucketOwned));
  EXPECT_TRUE(faults(engine_->create_bucket("b", "111111111111", "r", kNow, step_), Fault::kBucketExists));
  EXPECT_TRUE(step_.records.empty());
}

TEST_F(ObjectEngine, refuses_buckets_past_its_limit) {
  ASSERT_TRUE(engine_->create_bucket("b2", kAccount, "r", kNow, step_));
  ASSERT_TRUE(engine_->create_bucket("b3", kAccount, "r", kNow, step_));
  EXPECT_TRUE(faults(engine_->create_bucket("b4", kAccount, "r", kNow, step_), Fault::kTooManyBuckets));
}

TEST_F(ObjectEngine, gives_a_bucket_made_again_another_id) {
  const BucketId before = id();
  ASSERT_TRUE(engine_->delete_bucket("b", engine_->watch_bucket(before), true, step_));
  EXPECT_EQ(engine_->bucket("b"), nullptr);
  ASSERT_TRUE(engine_->create_bucket("b", kAccount, "r", kNow, step_));
  EXPECT_NE(id(), before);
}

TEST_F(ObjectEngine, deletes_only_empty_buckets) {
  EXPECT_TRUE(faults(engine_->delete_bucket("x", {}, true, step_), Fault::kNoSuchBucket));
  EXPECT_TRUE(
      faults(engine_->delete_bucket("b", engine_->watch_bucket(id()), false, step_), Fault::kBucketNotEmpty));
  ASSERT_TRUE(put(watch()));
  EXPECT_TRUE(
      faults(engine_->delete_bucket("b", engine_->watch_bucket(id()), true, step_), Fault::kBucketNotEmpty));
}

TEST_F(ObjectEngine, does_not_delete_a_bucket_that_was_written_since_it_was_seen_empty) {
  const Watch before = engine_->watch_bucket(id());
  ASSERT_TRUE(put(watch()));
  append();
  apply();
  EXPECT_TRUE(faults(engine_->delete_bucket("b", before, true, step_), Fault::kStale));
}

TEST_F(ObjectEngine, does_not_delete_a_bucket_seen_empty_before_a_pending_put_was_applied) {
  ASSERT_TRUE(put(watch()));
  append();
  const Watch while_pending = engine_->watch_bucket(id());
  apply();
  EXPECT_TRUE(faults(engine_->delete_bucket("b", while_pending, true, step_), Fault::kStale));
}

TEST_F(ObjectEngine, deletes_a_bucket_whose_last_object_was_removed) {
  ASSERT_TRUE(put(watch()));
  ASSERT_TRUE(remove(watch()));
  append();
  EXPECT_TRUE(engine_->delete_bucket("b", engine_->watch_bucket(id()), true, step_));
}

TEST_F(ObjectEngine, refuses_objects_in_buckets_that_are_not_there) {
  Effects out;
  EXPECT_TRUE(faults(engine_->put({.bucket = "x", .key = "k"}, {}, {}, kNow, out), Fault::kNoSuchBucket));
  EXPECT_TRUE(faults(engine_->remove({.bucket = "x", .key = "k"}, {}, {}, kNow, out), Fault::kNoSuchBucket));
  EXPECT_TRUE(faults(engine_->set_notifications("x", {}, "", kNow, out), Fault::kNoSuchBucket));
  EXPECT_TRUE(out.records.empty());
}

// --- conditions ---

TEST_F(ObjectEngine, puts_without_a_condition_ask_for_no_watch) {
  const auto done = put({});
  ASSERT_TRUE(done);
  ASSERT_EQ(step_.records.size(), 1U);
  const auto record = decode_record(step_.records[0].kind, step_.records[0].payload);
  const auto& written = std::get<ObjectPut>(*record);
  EXPECT_EQ(written.key, "k");
  EXPECT_EQ(written.body, "body");
  const auto object = decode_object(written.object);
  EXPECT_EQ(object->sequencer, done->sequencer);
  EXPECT_EQ(object->modified, kNow);
}

TEST_F(ObjectEngine, judges_if_none_match_by_what_was_read) {
  EXPECT_TRUE(faults(put(watch(), kIfNone, object_with("old")), Fault::kPreconditionFailed));
  EXPECT_TRUE(put(watch(), kIfNone));
}

TEST_F(ObjectEngine, judges_if_match_by_what_was_read) {
  EXPECT_TRUE(faults(put(watch(), if_match("a")), Fault::kNoSuchKey));
  EXPECT_TRUE(faults(put(watch(), if_match("*")), Fault::kNoSuchKey));
  EXPECT_TRUE(faults(put(watch(), if_match("a"), object_with("b")), Fault::kPreconditionFailed));
  EXPECT_TRUE(step_.records.empty());
  EXPECT_TRUE(put(watch(), if_match("b"), object_with("b")));
}

TEST_F(ObjectEngine, lets_if_match_any_replace_what_is_there) {
  EXPECT_TRUE(put(watch(), if_match("*"), object_with("b")));
}

TEST_F(ObjectEngine, judges_by_the_pending_change_before_what_was_read) {
  ASSERT_TRUE(put(watch(), {}, {}, "new"));
  EXPECT_TRUE(faults(put(watch(), kIfNone), Fault::kPreconditionFailed));
  EXPECT_TRUE(faults(put(watch(), if_match("old"), object_with("old")), Fault::kPreconditionFailed));
  EXPECT_TRUE(put(watch(), if_match("new"), object_with("old"), "newer"));
  EXPECT_TRUE(put(watch(), if_match("newer"), object_with("old")));
}

TEST_F(ObjectEngine, judges_by_a_pending_removal) {
  ASSERT_TRUE(remove(watch(), object_with("old")));
  EXPECT_TRUE(faults(put(watch(), if_match("old"), object_with("old")), Fault::kNoSuchKey));
  EXPECT_TRUE(put(watch(), kIfNone, object_with("old")));
}

TEST_F(ObjectEngine, finds_what_was_read_stale_when_the_key_changed_since) {
  const Watch before = watch();
  ASSERT_TRUE(put({}));
  append();
  apply();
  EXPECT_TRUE(before.moved());
  EXPECT_TRUE(faults(put(before, kIfNone), Fault::kStale));
  EXPECT_TRUE(faults(put(watch(), kIfNone, object_with("e1")), Fault::kPreconditionFailed));
}

TEST_F(ObjectEngine, finds_what_was_read_stale_when_a_pending_change_was_applied_since) {
  ASSERT_TRUE(put({}));
  append();
  const Watch while_pending = watch();  // the index does not show the put yet
  apply();
  EXPECT_TRUE(faults(put(while_pending, kIfNone), Fault::kStale));
}

TEST_F(ObjectEngine, does_not_mind_changes_of_other_keys) {
  const Watch before = watch();
  ASSERT_TRUE(put({}, {}, {}, "e", "other"));
  append();
  apply();
  EXPECT_TRUE(put(before, kIfNone));
}

TEST_F(ObjectEngine, finds_a_condition_stale_when_no_watch_was_taken) {
  EXPECT_TRUE(faults(put({}, kIfNone), Fault::kStale));
  EXPECT_TRUE(faults(remove({}), Fault::kStale));
}

TEST_F(ObjectEngine, shares_a_watch_among_all_who_watch_a_key) {
  Watch one = watch();
  Watch two = watch();
  Watch three = std::move(two);
  one = Watch();
  EXPECT_FALSE(three.moved());
  ASSERT_TRUE(put({}));
  EXPECT_TRUE(three.moved());
  EXPECT_FALSE(watch().moved());
}

// --- removals ---

TEST_F(ObjectEngine, removes_what_is_there) {
  const auto done = remove(watch(), object_with("e"));
  ASSERT_TRUE(done);
  EXPECT_TRUE(done->existed);
  EXPECT_GT(done->sequencer, 0U);
  EXPECT_EQ(step_.records.size(), 1U);
}

TEST_F(ObjectEngine, logs_nothing_for_a_removal_of_what_is_not_there) {
  const auto done = remove(watch());
  ASSERT_TRUE(done);
  EXPECT_FALSE(done->existed);
  EXPECT_TRUE(step_.records.empty());
}

TEST_F(ObjectEngine, removes_a_pending_object_and_not_twice) {
  ASSERT_TRUE(put({}));
  EXPECT_TRUE(remove(watch())->existed);
  EXPECT_FALSE(remove(watch(), object_with("old"))->existed);
}

TEST_F(ObjectEngine, judges_if_match_of_a_removal) {
  EXPECT_TRUE(faults(remove(watch(), object_with("a"), "b"), Fault::kPreconditionFailed));
  EXPECT_TRUE(faults(remove(watch(), {}, "b"), Fault::kNoSuchKey));
  EXPECT_TRUE(remove(watch(), object_with("a"), "a"));
}

// --- the pending table ---

TEST_F(ObjectEngine, asks_to_slow_down_when_too_much_is_pending) {
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(put({})) << i;
  EXPECT_EQ(engine_->pending(), 4U);
  EXPECT_TRUE(faults(put({}), Fault::kSlowDown));
  EXPECT_TRUE(faults(remove(watch()), Fault::kSlowDown));
  EXPECT_TRUE(faults(put(watch(), kIfNone), Fault::kPreconditionFailed)) << "what is false stays false";
  append();
  EXPECT_TRUE(faults(put({}), Fault::kSlowDown)) << "appended is not applied";
  apply();
  EXPECT_EQ(engine_->pending(), 0U);
  EXPECT_TRUE(put({}));
}

TEST_F(ObjectEngine, keeps_a_key_pending_until_its_newest_change_is_applied) {
  ASSERT_TRUE(put({}, {}, {}, "one"));
  append();
  ASSERT_TRUE(put({}, {}, {}, "two"));
  append();
  engine_->applied(lsn_ - 1);
  EXPECT_EQ(engine_->pending(), 1U);
  EXPECT_TRUE(put(watch(), if_match("two"), object_with("one")));
}

TEST_F(ObjectEngine, does_not_take_undecided_positions_for_applied_changes) {
  ASSERT_TRUE(put({}));
  engine_->applied(1'000);
  EXPECT_EQ(engine_->pending(), 1U);
  lsn_ = 1'000;
  append();
  apply();
  EXPECT_EQ(engine_->pending(), 0U);
}

// --- numbers and restarts ---

TEST_F(ObjectEngine, numbers_every_change_higher_than_the_last) {
  std::uint64_t last = 0;
  for (int i = 0; i < 200'000; ++i) {
    const auto done = put({});
    ASSERT_TRUE(done);
    ASSERT_GT(done->sequencer, last);
    last = done->sequencer;
    append();
    apply();
    if (i % 50'000 == 7) restart();
  }
}

TEST_F(ObjectEngine, numbers_on_after_a_restart_from_the_index_alone) {
  const auto before = put({})->sequencer;
  append();
  engine_ = std::make_unique<Engine>(Limits{});
  for (const auto& [lsn, record] : log_) {
    for (const auto& change : application_of(record.kind, record.payload)->changes) {
      if (change.table == storage::Table::kBuckets) {
        ASSERT_TRUE(engine_->load_bucket(*change.value));
      }
    }
  }
  EXPECT_GT(put({})->sequencer, before);
}

TEST_F(ObjectEngine, comes_back_from_its_log_and_from_part_of_it_twice) {
  ASSERT_TRUE(engine_->create_bucket("gone", kAccount, "r", kNow, step_));
  ASSERT_TRUE(engine_->set_notifications(
      "b", {{.id = "r", .queue_arn = "q", .events = {"s3:ObjectCreated:*"}}}, "", kNow, step_));
  append();
  ASSERT_TRUE(
      engine_->delete_bucket("gone", engine_->watch_bucket(engine_->bucket("gone")->id), true, step_));
  append();
  const Bucket bucket = *engine_->bucket("b");
  restart();
  EXPECT_EQ(*engine_->bucket("b"), bucket);
  EXPECT_EQ(engine_->bucket("gone"), nullptr);
  EXPECT_EQ(engine_->pending(), 0U);
  for (const auto& [lsn, record] : log_) {
    ASSERT_TRUE(engine_->restore({.lsn = lsn, .kind = record.kind, .payload = record.payload, .at = {}}));
  }
  EXPECT_EQ(*engine_->bucket("b"), bucket);
  EXPECT_EQ(engine_->buckets(kAccount).size(), 1U);
}

TEST_F(ObjectEngine, refuses_to_restore_what_it_cannot_read) {
  EXPECT_EQ(engine_->restore({.lsn = 1, .kind = 64, .payload = "\x01junk", .at = {}}).error().code,
            Errc::kCorrupt);
  EXPECT_EQ(engine_->restore({.lsn = 1, .kind = 100, .payload = "\x01", .at = {}}).error().code,
            Errc::kCorrupt);
  EXPECT_EQ(engine_->load_bucket("junk").error().code, Errc::kCorrupt);
}

// --- tags and settings ---

TEST_F(ObjectEngine, changes_the_tags_of_what_was_read_and_nothing_else) {
  const auto read = watch();
  const Object known{.bytes = 4, .etag = "e1", .metadata = {{"a", "b"}}, .tags = {{"old", ""}}};
  ASSERT_TRUE(
      engine_->set_tags({.bucket = "b", .key = "k", .tags = {{"new", "x"}}}, read, known, kNow, step_));
  const auto set = std::get<ObjectSet>(*decode_record(step_.records[0].kind, step_.records[0].payload));
  Object expected = known;
  expected.tags = {{"new", "x"}};
  expected.sequencer = decode_object(set.object)->sequencer;
  EXPECT_EQ(*decode_object(set.object), expected);
  EXPECT_GT(expected.sequencer, 0U);
}

TEST_F(ObjectEngine, does_not_tag_a_key_that_is_not_there_or_has_moved) {
  EXPECT_EQ(engine_->set_tags({.bucket = "b", .key = "k"}, watch(), {}, kNow, step_).error(),
            Fault::kNoSuchKey);
  EXPECT_EQ(engine_->set_tags({.bucket = "no", .key = "k"}, watch(), {}, kNow, step_).error(),
            Fault::kNoSuchBucket);
  const auto before = watch();
  ASSERT_TRUE(put({}));
  EXPECT_EQ(engine_->set_tags({.bucket = "b", .key = "k"}, before, Object{}, kNow, step_).error(),
            Fault::kStale);
  // Nor while the put is pending: what the index shows is older.
  EXPECT_EQ(engine_->set_tags({.bucket = "b", .key = "k"}, watch(), Object{}, kNow, step_).error(),
            Fault::kStale);
  append();
  apply();
  EXPECT_TRUE(engine_->set_tags({.bucket = "b", .key = "k"}, watch(), Object{}, kNow, step_));
}

TEST_F(ObjectEngine, keeps_a_buckets_settings_until_they_are_removed) {
  ASSERT_TRUE(engine_->set("b", Setting::kCors, "<CORSConfiguration/>", step_));
  append();
  restart();
  EXPECT_EQ(engine_->bucket("b")->settings.at(Setting::kCors), "<CORSConfiguration/>");
  ASSERT_TRUE(engine_->set("b", Setting::kCors, std::nullopt, step_));
  EXPECT_EQ(step_.records.size(), 1U);
  append();
  EXPECT_TRUE(engine_->bucket("b")->settings.empty());
  ASSERT_TRUE(engine_->set("b", Setting::kCors, std::nullopt, step_));
  EXPECT_TRUE(step_.records.empty());
  EXPECT_EQ(engine_->set("no", Setting::kCors, "", step_).error(), Fault::kNoSuchBucket);
}

// --- events ---

TEST_F(ObjectEngine, sends_one_event_for_each_rule_that_matches) {
  ASSERT_TRUE(engine_->set_notifications(
      "b",
      {{.id = "1", .queue_arn = "q1", .events = {"s3:ObjectCreated:*"}},
       {.id = "2", .queue_arn = "q2", .events = {"s3:ObjectRemoved:*"}},
       {.id = "3", .queue_arn = "q3", .events = {"s3:ObjectCreated:Put"}, .prefix = "other/"}},
      "id", kNow, step_));
  append();
  ASSERT_TRUE(put({}));
  ASSERT_EQ(step_.events.size(), 1U);
  EXPECT_EQ(step_.events[0].queue_arn, "q1");
  EXPECT_NE(step_.events[0].body.find(R"("eventName":"ObjectCreated:Put")"), std::string::npos);
  append();
  ASSERT_TRUE(remove(watch()));
  ASSERT_EQ(step_.events.size(), 1U);
  EXPECT_EQ(step_.events[0].queue_arn, "q2");
  EXPECT_NE(step_.events[0].body.find(R"("eventName":"ObjectRemoved:Delete")"), std::string::npos);
}

TEST_F(ObjectEngine, sends_no_event_for_a_write_it_refuses_or_a_removal_of_nothing) {
  ASSERT_TRUE(engine_->set_notifications(
      "b", {{.id = "1", .queue_arn = "q", .events = {"s3:ObjectCreated:*", "s3:ObjectRemoved:*"}}}, "id",
      kNow, step_));
  append();
  ASSERT_FALSE(put(watch(), if_match("x")));
  ASSERT_TRUE(remove(watch()));
  EXPECT_TRUE(step_.events.empty());
}

TEST_F(ObjectEngine, sends_the_test_event_once_to_each_queue_of_a_new_rule) {
  const NotificationRule one{.id = "1", .queue_arn = "q1", .events = {"s3:ObjectCreated:*"}, .prefix = "a"};
  const NotificationRule same_queue{
      .id = "2", .queue_arn = "q1", .events = {"s3:ObjectCreated:*"}, .prefix = "b"};
  const NotificationRule other{.id = "3", .queue_arn = "q2", .events = {"s3:ObjectRemoved:*"}};
  ASSERT_TRUE(engine_->set_notifications("b", {one, same_queue}, "id", kNow, step_));
  ASSERT_EQ(step_.events.size(), 1U);
  EXPECT_EQ(step_.events[0].queue_arn, "q1");
  EXPECT_NE(step_.events[0].body.find("s3:TestEvent"), std::string::npos);
  append();
  ASSERT_TRUE(engine_->set_notifications("b", {one, other}, "id", kNow, step_));
  ASSERT_EQ(step_.events.size(), 1U);
  EXPECT_EQ(step_.events[0].queue_arn, "q2");
  append();
  ASSERT_TRUE(engine_->set_notifications("b", {}, "id", kNow, step_));
  EXPECT_TRUE(step_.events.empty());
  EXPECT_TRUE(engine_->bucket("b")->notifications.empty());
}

}  // namespace
}  // namespace hr::object
