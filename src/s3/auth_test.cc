#include "s3/auth.h"

#include <gtest/gtest.h>

namespace hr::s3 {
namespace {

using codec::AuthErrc;
using wire::S3Code;

S3Code code(AuthErrc errc, bool presigned = false) {
  return error_of(codec::AuthError{errc, "why"}, presigned, "us-east-1", from_ms(0)).code;
}

TEST(S3AuthErrors, an_unknown_key_and_a_wrong_secret_are_told_apart_as_aws_does) {
  EXPECT_EQ(code(AuthErrc::kUnknownKey), S3Code::kInvalidAccessKeyId);
  EXPECT_EQ(code(AuthErrc::kBadSignature), S3Code::kSignatureDoesNotMatch);
}

TEST(S3AuthErrors, each_way_to_fail_has_the_name_of_aws) {
  EXPECT_EQ(code(AuthErrc::kMissing), S3Code::kAccessDenied);
  EXPECT_EQ(code(AuthErrc::kExpired, true), S3Code::kAccessDenied);
  EXPECT_EQ(code(AuthErrc::kHeadersNotSigned), S3Code::kAccessDenied);
  EXPECT_EQ(code(AuthErrc::kAmbiguous), S3Code::kInvalidArgument);
  EXPECT_EQ(code(AuthErrc::kMalformed), S3Code::kAuthorizationHeaderMalformed);
  EXPECT_EQ(code(AuthErrc::kMalformed, true), S3Code::kAuthorizationQueryParametersError);
  EXPECT_EQ(code(AuthErrc::kExpiryTooLong, true), S3Code::kAuthorizationQueryParametersError);
  EXPECT_EQ(code(AuthErrc::kUnsupported), S3Code::kInvalidRequest);
}

TEST(S3AuthErrors, a_skewed_clock_is_told_the_time) {
  const auto error = error_of({AuthErrc::kSkewed, "why"}, false, "us-east-1", from_ms(1'000));
  EXPECT_EQ(error.code, S3Code::kRequestTimeTooSkewed);
  EXPECT_EQ(error.fields[0], (std::pair<std::string, std::string>("ServerTime", "1970-01-01T00:00:01.000Z")));
}

TEST(S3AuthErrors, a_wrong_region_is_told_the_right_one) {
  const auto error = error_of({AuthErrc::kWrongScope, "why"}, false, "eu-west-1", from_ms(0));
  EXPECT_EQ(error.code, S3Code::kAuthorizationHeaderMalformed);
  EXPECT_EQ(error.fields[0], (std::pair<std::string, std::string>("Region", "eu-west-1")));
}

}  // namespace
}  // namespace hr::s3
