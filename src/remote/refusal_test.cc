// What a refusal says about keys and clocks.
#include "remote/refusal.h"

#include "codec/time_text.h"

#include <gtest/gtest.h>

namespace hr::remote {
namespace {

codec::Response refusal(int status, Bytes body, Bytes date) {
  codec::Response out;
  out.status = status;
  out.body = std::move(body);
  out.headers = {{"date", std::move(date)}};
  return out;
}

const Time kLocal = *codec::parse_iso8601("2026-01-02T03:04:05Z");

TEST(Refusal, has_a_code_in_both_forms) {
  EXPECT_EQ(error_code("sqs",
                       refusal(400, R"({"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"x"})", "")),
            "QueueDoesNotExist");
  EXPECT_EQ(error_code("sqs", refusal(400, R"({"__type":"OverLimit"})", "")), "OverLimit");
  EXPECT_EQ(error_code("sqs", refusal(400, "<html>", "")), "");
  EXPECT_EQ(error_code("s3", refusal(403, "<Error><Code>RequestTimeTooSkewed</Code></Error>", "")),
            "RequestTimeTooSkewed");
  EXPECT_EQ(error_code("s3", refusal(403, "", "")), "");
  EXPECT_EQ(error_code("s3", refusal(403, "</Code><Code>", "")), "");
}

TEST(Refusal, teaches_the_time_when_that_is_what_it_is_about) {
  const auto skew = [](int status, ByteView code, const Bytes& date) {
    return skew_of(refusal(status, "", date), code, kLocal, kLocal);
  };
  const Bytes later = "Fri, 02 Jan 2026 04:04:05 GMT";
  EXPECT_EQ(skew(403, "RequestTimeTooSkewed", later), Duration(1h));
  EXPECT_EQ(skew(400, "InvalidSignatureException", "Fri, 02 Jan 2026 02:04:05 GMT"), Duration(-1h));
  EXPECT_EQ(skew(403, "AccessDenied", later), std::nullopt);
  EXPECT_EQ(skew(403, "", later), Duration(1h)) << "of a HEAD";
  EXPECT_EQ(skew(404, "", later), std::nullopt);
  EXPECT_EQ(skew(500, "RequestTimeTooSkewed", later), std::nullopt);
  EXPECT_EQ(skew(403, "SignatureDoesNotMatch", "Fri, 02 Jan 2026 03:08:04 GMT"), std::nullopt)
      << "a wrong secret";
  EXPECT_EQ(skew(403, "SignatureDoesNotMatch", "Fri, 02 Jan 2026 03:08:05 GMT"), Duration(4min));
  EXPECT_EQ(skew(403, "SignatureDoesNotMatch", "yesterday"), std::nullopt);
}

TEST(Refusal, is_judged_by_the_time_that_was_signed_and_corrects_the_local_one) {
  const auto answer = refusal(403, "", "Fri, 02 Jan 2026 04:04:05 GMT");
  EXPECT_EQ(skew_of(answer, "RequestExpired", kLocal + 1h, kLocal), std::nullopt) << "it was right already";
  EXPECT_EQ(skew_of(answer, "RequestExpired", kLocal - 2h, kLocal), Duration(1h));
}

TEST(Refusal, of_keys_is_told_from_one_of_rights) {
  for (const char* code :
       {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "InvalidAccessKeyId"}) {
    EXPECT_TRUE(is_expired_key(code)) << code;
  }
  EXPECT_FALSE(is_expired_key("AccessDenied"));
  EXPECT_FALSE(is_expired_key(""));
}

}  // namespace
}  // namespace hr::remote
