#include "object/coding.h"

#include "object/engine.h"
#include "object/records.h"

#include <gtest/gtest.h>

#include <random>

namespace hr::object {
namespace {

using storage::Table;

Object full_object() {
  return {.bytes = 123456789012,
          .etag = "d41d8cd98f00b204e9800998ecf8427e",
          .modified = from_ms(1'700'000'000'123),
          .content_type = "text/plain",
          .headers = {{"cache-control", "no-cache"}, {"expires", "never"}},
          .metadata = {{"a", ""}, {"b", std::string("\xff\0x", 3)}},
          .tags = {{"team", "blue"}, {"x", ""}},
          .checksum = Checksum{"CRC32", "AAAAAA=="},
          .blob = storage::BlobName{7, 8},
          .sequencer = 0xffffffffffffffff};
}

Object object_of_parts() {
  return {.bytes = 5, .etag = "e-3", .checksum = Checksum{"SHA1", "x-3"}, .parts = 3, .upload = UploadId{9}};
}

Manifest full_manifest() {
  return {{.bytes = 5 << 20, .blob = storage::BlobName{7, 8}, .checksum = "AAAAAA=="}, {}};
}

Upload full_upload() {
  return {.id = UploadId{7},
          .initiated = from_ms(1'700'000'000'123),
          .initiator = "HR",
          .checksum_algorithm = "CRC32",
          .checksum_composite = true,
          .object = object_of_parts()};
}

Part full_part() {
  return {.bytes = 9,
          .etag = "e",
          .modified = from_ms(1'700'000'000'123),
          .checksum = Checksum{"CRC32", "AAAAAA=="},
          .blob = storage::BlobName{7, 8}};
}

Bucket full_bucket() {
  return {.id = BucketId{42},
          .name = "my-bucket",
          .account = "000000000000",
          .region = "eu-central-1",
          .created = from_ms(1'700'000'000'000),
          .notifications = {{.id = "one",
                             .queue_arn = "arn:aws:sqs:eu-central-1:000000000000:q",
                             .events = {"s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"},
                             .prefix = "in/",
                             .suffix = ".pdf"},
                            {.id = "two", .queue_arn = "arn", .events = {}, .prefix = "", .suffix = ""}},
          .versioning = Versioning::kSuspended,
          .settings = {{Setting::kTagging, "<Tagging/>"}, {Setting::kCors, ""}}};
}

// Every cut of the value, and the value with one byte more.
template <class Decode>
void expect_refused_when_cut_or_extended(const Bytes& value, Decode decode) {
  for (std::size_t n = 0; n < value.size(); ++n) {
    const auto cut = decode(ByteView(value).substr(0, n));
    ASSERT_FALSE(cut.has_value()) << n;
    EXPECT_EQ(cut.error().code, Errc::kCorrupt);
  }
  EXPECT_FALSE(decode(value + '\0').has_value());
}

TEST(ObjectCoding, gives_back_objects) {
  EXPECT_EQ(*decode_object(encode(full_object())), full_object());
  EXPECT_EQ(*decode_object(encode(Object{})), Object{});
  EXPECT_EQ(*decode_object(encode(object_of_parts())), object_of_parts());
}

void expect_outline(const Object& object) {
  const auto outline = decode_outline(encode(object));
  ASSERT_TRUE(outline) << outline.error().message;
  EXPECT_EQ(outline->modified, object.modified);
  EXPECT_EQ(outline->bytes, object.bytes);
  EXPECT_EQ(outline->etag, object.etag);
  EXPECT_EQ(outline->checksum_algorithm, object.checksum ? object.checksum->algorithm : "");
  EXPECT_EQ(outline->checksum_composite, object.checksum && object.checksum->composite());
}

TEST(ObjectCoding, an_outline_is_the_object_as_far_as_it_goes) {
  expect_outline(full_object());
  expect_outline(object_of_parts());
  expect_outline(Object{});
  Object plain = full_object();
  plain.checksum.reset();
  expect_outline(plain);
}

TEST(ObjectCoding, an_outline_that_is_cut_or_of_another_version_is_refused) {
  Object plain = full_object();
  plain.checksum.reset();
  const std::size_t needed = 1 + 1 + 8 + 8 + 6 + 1 + plain.etag.size();  // to the ETag's end
  const Bytes value = encode(plain);
  for (std::size_t bytes = 0; bytes < needed; ++bytes) {
    EXPECT_FALSE(decode_outline(value.substr(0, bytes))) << bytes;
  }
  EXPECT_TRUE(decode_outline(value.substr(0, needed)));
  Bytes other = value;
  other[0] = 9;
  EXPECT_EQ(decode_outline(other).error().code, Errc::kCorrupt);
  const Bytes whole = encode(full_object());
  const std::size_t checksum_ends = whole.size() - 16 - 14;  // the blob's name and the tags follow it
  EXPECT_FALSE(decode_outline(whole.substr(0, checksum_ends - 1)));
  EXPECT_TRUE(decode_outline(whole.substr(0, checksum_ends)));
}

TEST(ObjectCoding, reads_objects_of_version_1_which_had_no_parts) {
  Object untagged = full_object();
  untagged.tags.clear();
  Bytes old = encode(untagged);
  old[0] = 1;
  EXPECT_EQ(*decode_object(old), untagged);
  Bytes impossible = encode(object_of_parts());
  impossible[0] = 1;
  EXPECT_EQ(decode_object(impossible).error().code, Errc::kCorrupt);
}

TEST(ObjectCoding, reads_objects_of_version_2_which_had_no_tags) {
  Bytes old = encode(object_of_parts());
  old[0] = 2;
  EXPECT_EQ(*decode_object(old), object_of_parts());
  Bytes impossible = encode(full_object());
  impossible[0] = 2;
  EXPECT_EQ(decode_object(impossible).error().code, Errc::kCorrupt);
}

TEST(ObjectCoding, reads_buckets_of_version_1_which_had_no_settings) {
  Bucket plain = full_bucket();
  plain.versioning = Versioning::kNever;
  plain.settings.clear();
  Bytes old = encode(plain);
  old[0] = 1;
  old.resize(old.size() - 2);  // without the versioning and the count of settings
  EXPECT_EQ(*decode_bucket(old), plain);
}

TEST(ObjectCoding, gives_back_uploads_parts_and_manifests) {
  EXPECT_EQ(*decode_upload(encode(full_upload())), full_upload());
  EXPECT_EQ(*decode_upload(encode(Upload{})), Upload{});
  EXPECT_EQ(*decode_part(encode(full_part())), full_part());
  EXPECT_EQ(*decode_part(encode(Part{})), Part{});
  EXPECT_EQ(*decode_manifest(encode(full_manifest())), full_manifest());
}

TEST(ObjectCoding, orders_uploads_by_key_and_then_by_age_and_parts_by_number) {
  const BucketId bucket{1};
  EXPECT_LT(upload_key(bucket, "a", UploadId{9}), upload_key(bucket, "a!", UploadId{1}));
  EXPECT_LT(upload_key(bucket, "a", UploadId{255}), upload_key(bucket, "a", UploadId{256}));
  const auto name = *decode_upload_key(upload_key(bucket, "a/b", UploadId{9}));
  EXPECT_EQ(name.bucket, bucket);
  EXPECT_EQ(name.key, "a/b");
  EXPECT_EQ(name.upload, UploadId{9});
  EXPECT_FALSE(decode_upload_key("short"));
  EXPECT_LT(part_key(UploadId{1}, 255), part_key(UploadId{1}, 256));
  EXPECT_EQ(*part_number(part_key(UploadId{1}, kPartNumberMax)), kPartNumberMax);
  EXPECT_FALSE(part_number("short"));
}

TEST(ObjectCoding, gives_back_buckets) {
  EXPECT_EQ(*decode_bucket(encode(full_bucket())), full_bucket());
  EXPECT_EQ(*decode_bucket(encode(Bucket{})), Bucket{});
}

TEST(ObjectCoding, tells_buckets_from_the_counter) {
  EXPECT_EQ(std::get<Bucket>(*decode_bucket_row(encode(full_bucket()))), full_bucket());
  EXPECT_EQ(std::get<Counter>(*decode_bucket_row(encode(Counter{99}))), Counter{99});
  EXPECT_FALSE(decode_bucket_row("").has_value());
  EXPECT_FALSE(decode_bucket(encode(Counter{99})).has_value());
}

TEST(ObjectCoding, refuses_values_that_are_cut_or_longer) {
  expect_refused_when_cut_or_extended(encode(full_object()), decode_object);
  expect_refused_when_cut_or_extended(encode(object_of_parts()), decode_object);
  expect_refused_when_cut_or_extended(encode(full_upload()), decode_upload);
  expect_refused_when_cut_or_extended(encode(full_part()), decode_part);
  expect_refused_when_cut_or_extended(encode(full_manifest()), decode_manifest);
  expect_refused_when_cut_or_extended(encode(full_bucket()), decode_bucket);
  expect_refused_when_cut_or_extended(encode(Counter{5}), decode_bucket_row);
}

TEST(ObjectCoding, refuses_versions_and_flags_it_does_not_know) {
  Bytes object = encode(full_object());
  object[0] = 4;
  EXPECT_EQ(decode_object(object).error().code, Errc::kCorrupt);
  Bytes flags = encode(Object{});
  flags[1] = 64;
  EXPECT_FALSE(decode_object(flags).has_value());
  Bytes bucket = encode(full_bucket());
  bucket[0] = 3;
  EXPECT_FALSE(decode_bucket(bucket).has_value());
  Bytes versioning = encode(Bucket{});
  versioning[versioning.size() - 2] = 3;
  EXPECT_FALSE(decode_bucket(versioning).has_value());
}

TEST(ObjectCoding, reads_damaged_values_without_harm) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    Bytes value = i % 2 == 0 ? encode(full_object()) : encode(full_bucket());
    value[random() % value.size()] = static_cast<char>(random());
    static_cast<void>(decode_object(value));
    static_cast<void>(decode_bucket_row(value));
  }
}

TEST(ObjectCoding, orders_keys_by_bucket_and_then_by_bytes) {
  EXPECT_LT(object_key(BucketId{1}, "\xff"), object_key(BucketId{2}, ""));
  EXPECT_LT(object_key(BucketId{255}, "z"), object_key(BucketId{256}, "a"));
  EXPECT_EQ(key_in_bucket(object_key(BucketId{1}, "a/b")), "a/b");
  EXPECT_EQ(key_in_bucket(object_key(BucketId{1}, "")), "");
}

TEST(ObjectCoding, finds_the_key_behind_a_prefix) {
  EXPECT_EQ(key_after_prefix("ab"), "ac");
  EXPECT_EQ(key_after_prefix("a\xff\xff"), "b");
  EXPECT_EQ(key_after_prefix("\xff\xff"), "");
  EXPECT_EQ(key_after_prefix(""), "");
}

TEST(ObjectRecords, put_an_inline_body_beside_its_object) {
  const Bytes value = encode(full_object());
  const auto record = record_of(ObjectPut{BucketId{3}, "k", value, "body"});
  const auto application = application_of(record.kind, record.payload);
  ASSERT_TRUE(application.has_value());
  const Bytes key = object_key(BucketId{3}, "k");
  ASSERT_EQ(application->changes.size(), 2U);
  EXPECT_EQ(application->changes[0].table, Table::kObjects);
  EXPECT_EQ(application->changes[0].key, key);
  EXPECT_EQ(application->changes[0].value, value);
  EXPECT_EQ(application->changes[1].table, Table::kBodies);
  EXPECT_EQ(application->changes[1].key, key);
  EXPECT_EQ(application->changes[1].value, "body");
  EXPECT_EQ(application->replaced, std::vector{key});
}

TEST(ObjectRecords, erase_the_inline_body_that_a_blob_replaces) {
  const Bytes value = encode(full_object());
  const auto record = record_of(ObjectPut{BucketId{3}, "k", value, std::nullopt});
  const auto application = application_of(record.kind, record.payload);
  ASSERT_EQ(application->changes.size(), 2U);
  EXPECT_EQ(application->changes[1].table, Table::kBodies);
  EXPECT_EQ(application->changes[1].value, std::nullopt);
}

TEST(ObjectRecords, remove_object_and_body) {
  const auto record = record_of(ObjectRemoved{BucketId{3}, 9, "k"});
  const auto application = application_of(record.kind, record.payload);
  ASSERT_EQ(application->changes.size(), 2U);
  EXPECT_EQ(application->changes[0].value, std::nullopt);
  EXPECT_EQ(application->changes[1].value, std::nullopt);
  EXPECT_EQ(application->replaced, std::vector{object_key(BucketId{3}, "k")});
}

TEST(ObjectRecords, set_what_is_known_of_an_object_and_leave_its_body) {
  const Bytes value = encode(full_object());
  const auto record = record_of(ObjectSet{BucketId{3}, "k", 0, value});
  const auto application = application_of(record.kind, record.payload);
  ASSERT_TRUE(application->version);
  EXPECT_EQ(application->version->what, VersionChange::What::kSet);
  EXPECT_EQ(application->version->object, value);
  EXPECT_EQ(application->version->body, std::nullopt);
  EXPECT_TRUE(application->changes.empty());
  EXPECT_TRUE(application->replaced.empty());
}

TEST(ObjectRecords, keep_buckets_under_their_names) {
  const auto set = record_of(full_bucket());
  const auto created = application_of(set.kind, set.payload);
  ASSERT_EQ(created->changes.size(), 1U);
  EXPECT_EQ(created->changes[0].table, Table::kBuckets);
  EXPECT_EQ(created->changes[0].key, "my-bucket");
  EXPECT_EQ(*decode_bucket(*created->changes[0].value), full_bucket());
  const auto gone = record_of(BucketDeleted{BucketId{42}, "my-bucket"});
  const auto deleted = application_of(gone.kind, gone.payload);
  ASSERT_EQ(deleted->changes.size(), 1U);
  EXPECT_EQ(deleted->changes[0].key, "my-bucket");
  EXPECT_EQ(deleted->changes[0].value, std::nullopt);
}

TEST(ObjectRecords, refuse_part_numbers_that_cannot_be) {
  for (const std::uint32_t number : {0U, 10'001U}) {
    const auto put = record_of(PartPut{UploadId{4}, number, "part"});
    EXPECT_EQ(decode_record(put.kind, put.payload).error().code, Errc::kCorrupt);
    const auto closed = record_of(UploadClosed{BucketId{3}, UploadId{4}, "k", {number}});
    EXPECT_EQ(decode_record(closed.kind, closed.payload).error().code, Errc::kCorrupt);
  }
}

TEST(ObjectRecords, are_the_kinds_64_to_127) {
  EXPECT_FALSE(is_object_record(63));
  EXPECT_TRUE(is_object_record(64));
  EXPECT_TRUE(is_object_record(127));
  EXPECT_FALSE(is_object_record(128));
}

TEST(ObjectRecords, refuse_unknown_kinds_versions_cuts_and_additions) {
  const Bytes value = encode(full_object());
  const storage::Record records[] = {record_of(full_bucket()),
                                     record_of(BucketDeleted{BucketId{1}, "b"}),
                                     record_of(Counter{5}),
                                     record_of(ObjectPut{BucketId{3}, "k", value, "body"}),
                                     record_of(ObjectRemoved{BucketId{3}, 9, "k"}),
                                     record_of(UploadSet{BucketId{3}, UploadId{4}, "k", value}),
                                     record_of(ObjectSet{BucketId{3}, "k", 0, value}),
                                     record_of(PartPut{UploadId{4}, 300, "part"}),
                                     record_of(UploadClosed{BucketId{3}, UploadId{4}, "k", {1, 10'000}})};
  for (const auto& record : records) {
    expect_refused_when_cut_or_extended(
        record.payload, [&](ByteView payload) { return decode_record(record.kind, payload); });
    Bytes newer = record.payload;
    newer[0] = 2;
    EXPECT_EQ(application_of(record.kind, newer).error().code, Errc::kCorrupt);
  }
  EXPECT_EQ(application_of(127, records[0].payload).error().code, Errc::kCorrupt);
}

}  // namespace
}  // namespace hr::object
