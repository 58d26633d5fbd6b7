#include "headrace/routes.h"

#include <gtest/gtest.h>

namespace hr {
namespace {

Service of(std::string method, std::string target, std::vector<net::Header> headers = {}) {
  net::RequestHead head;
  head.method = std::move(method);
  head.target = std::move(target);
  for (auto& header : headers) head.headers.add(header.name, header.value);
  return service_of(head);
}

TEST(Routes, a_json_target_is_sqs) {
  EXPECT_EQ(of("POST", "/", {{"X-Amz-Target", "AmazonSQS.SendMessage"}}), Service::kSqs);
}

TEST(Routes, the_credential_scope_decides_in_header_and_query) {
  EXPECT_EQ(
      of("GET", "/a", {{"Authorization", "AWS4-HMAC-SHA256 Credential=AK/20260101/r/sqs/aws4_request, x"}}),
      Service::kSqs);
  EXPECT_EQ(of("POST", "/a",
               {{"Authorization", "AWS4-HMAC-SHA256 Credential=AK/20260101/r/s3/aws4_request, x"},
                {"Content-Type", "application/x-www-form-urlencoded"}}),
            Service::kS3);
  EXPECT_EQ(of("GET", "/1/q?X-Amz-Credential=AK%2F20260101%2Fr%2Fsqs%2Faws4_request&X-Amz-Date=x"),
            Service::kSqs);
  EXPECT_EQ(of("GET", "/b/k?X-Amz-Credential=AK%2f20260101%2fr%2fs3%2faws4_request&Action=a&Version=b"),
            Service::kS3);
}

TEST(Routes, unsigned_forms_and_queries_with_an_action_are_sqs) {
  EXPECT_EQ(of("POST", "/", {{"content-type", "application/x-www-form-urlencoded; charset=utf-8"}}),
            Service::kSqs);
  EXPECT_EQ(of("GET", "/?Action=ListQueues&Version=2012-11-05"), Service::kSqs);
  EXPECT_EQ(of("GET", "/bucket?MyAction=ListQueues&Version=2012-11-05"), Service::kS3);
}

TEST(Routes, everything_else_is_s3_and_our_own_paths_are_ours) {
  EXPECT_EQ(of("PUT", "/bucket/key"), Service::kS3);
  EXPECT_EQ(of("POST", "/bucket", {{"content-type", "multipart/form-data; boundary=x"}}), Service::kS3);
  EXPECT_EQ(of("GET", "/_headrace/health"), Service::kOwn);
}

}  // namespace
}  // namespace hr
