#include "wire/s3_operation.h"

#include <gtest/gtest.h>

#include <set>

namespace hr::wire {
namespace {

enum class At { kService, kBucket, kObject };

S3Result<S3Op> routed(std::string_view method, At at, std::string_view query = "", bool copy = false) {
  const auto pairs = codec::parse_query(query);
  EXPECT_TRUE(pairs);
  return route({.method = method,
                .has_bucket = at != At::kService,
                .has_key = at == At::kObject,
                .query = *pairs,
                .has_copy_source = copy});
}

TEST(S3Route, the_plain_operations_are_found) {
  EXPECT_EQ(routed("GET", At::kService), S3Op::kListBuckets);
  EXPECT_EQ(routed("PUT", At::kBucket), S3Op::kCreateBucket);
  EXPECT_EQ(routed("HEAD", At::kBucket), S3Op::kHeadBucket);
  EXPECT_EQ(routed("DELETE", At::kBucket), S3Op::kDeleteBucket);
  EXPECT_EQ(routed("GET", At::kBucket, "prefix=a"), S3Op::kListObjects);
  EXPECT_EQ(routed("GET", At::kBucket, "list-type=2"), S3Op::kListObjectsV2);
  EXPECT_EQ(routed("GET", At::kBucket, "versions"), S3Op::kListObjectVersions);
  EXPECT_EQ(routed("POST", At::kBucket, "delete="), S3Op::kDeleteObjects);
  EXPECT_EQ(routed("PUT", At::kObject, "x-id=PutObject"), S3Op::kPutObject);
  EXPECT_EQ(routed("GET", At::kObject), S3Op::kGetObject);
  EXPECT_EQ(routed("HEAD", At::kObject), S3Op::kHeadObject);
  EXPECT_EQ(routed("DELETE", At::kObject), S3Op::kDeleteObject);
}

TEST(S3Route, a_sub_resource_is_never_taken_for_the_plain_operation) {
  EXPECT_EQ(routed("PUT", At::kBucket, "versioning"), S3Op::kPutBucketVersioning);
  EXPECT_EQ(routed("PUT", At::kBucket, "versioning="), S3Op::kPutBucketVersioning);
  EXPECT_EQ(routed("DELETE", At::kBucket, "policy"), S3Op::kDeleteBucketPolicy);
  EXPECT_EQ(routed("PUT", At::kObject, "tagging"), S3Op::kPutObjectTagging);
  EXPECT_EQ(routed("PUT", At::kObject, "partNumber=1&uploadId=x"), S3Op::kUploadPart);
  EXPECT_EQ(routed("DELETE", At::kObject, "uploadId=x"), S3Op::kAbortMultipartUpload);
  EXPECT_EQ(routed("POST", At::kObject, "uploads"), S3Op::kCreateMultipartUpload);
}

TEST(S3Route, a_copy_source_makes_a_put_a_copy) {
  EXPECT_EQ(routed("PUT", At::kObject, "", true), S3Op::kCopyObject);
  EXPECT_EQ(routed("PUT", At::kObject, "partNumber=1&uploadId=x", true), S3Op::kUploadPartCopy);
}

TEST(S3Route, configurations_come_by_id_or_as_a_list) {
  EXPECT_EQ(routed("GET", At::kBucket, "metrics&id=a"), S3Op::kGetBucketMetricsConfiguration);
  EXPECT_EQ(routed("GET", At::kBucket, "metrics"), S3Op::kListBucketMetricsConfigurations);
}

TEST(S3Route, an_unknown_sub_resource_is_not_implemented) {
  EXPECT_EQ(routed("PUT", At::kBucket, "future").error().code, S3Code::kNotImplemented);
  EXPECT_EQ(routed("GET", At::kObject, "future").error().code, S3Code::kNotImplemented);
  EXPECT_EQ(routed("PUT", At::kObject, "future=1").error().code, S3Code::kNotImplemented);
}

TEST(S3Route, readers_may_carry_parameters_of_their_own) {
  EXPECT_EQ(routed("GET", At::kObject, "cache=1"), S3Op::kGetObject);
  EXPECT_EQ(routed("PUT", At::kObject, "x-note=1"), S3Op::kPutObject);
}

TEST(S3Route, two_sub_resources_at_once_are_refused) {
  EXPECT_EQ(routed("GET", At::kBucket, "acl&policy").error().code, S3Code::kInvalidArgument);
}

TEST(S3Route, a_method_that_a_resource_does_not_know_is_refused) {
  EXPECT_EQ(routed("POST", At::kObject).error().code, S3Code::kMethodNotAllowed);
  EXPECT_EQ(routed("PATCH", At::kBucket).error().code, S3Code::kMethodNotAllowed);
  EXPECT_EQ(routed("DELETE", At::kBucket, "acl").error().code, S3Code::kMethodNotAllowed);
  EXPECT_EQ(routed("PUT", At::kService).error().code, S3Code::kMethodNotAllowed);
}

TEST(S3Route, a_version_id_is_taken_only_where_versions_are_read_or_deleted) {
  EXPECT_EQ(routed("GET", At::kObject, "versionId=null"), S3Op::kGetObject);
  EXPECT_EQ(routed("PUT", At::kObject, "versionId=null").error().code, S3Code::kInvalidArgument);
}

TEST(S3Route, only_list_type_2_is_another_listing) {
  EXPECT_EQ(routed("GET", At::kBucket, "list-type=1").error().code, S3Code::kInvalidArgument);
}

TEST(S3Operation, names_are_distinct_and_most_are_known_but_not_supported) {
  std::set<std::string_view> names;
  std::size_t supported = 0;
  for (std::size_t i = 0; i < kS3Ops; ++i) {
    names.insert(to_string(static_cast<S3Op>(i)));
    if (is_supported(static_cast<S3Op>(i))) ++supported;
  }
  EXPECT_EQ(names.size(), kS3Ops);
  EXPECT_EQ(supported, 51U);
}

}  // namespace
}  // namespace hr::wire
