#include "wire/auth.h"

#include "codec/digest.h"
#include "codec/time_text.h"

#include <gtest/gtest.h>

#include <string>

namespace hr::wire {
namespace {

const Time kNow = from_ms(1'767'323'045'000);  // 2026-01-02T03:04:05Z

AccessKey key(Bytes id = "AKIDEXAMPLE", Bytes secret = "secret", Bytes account = "123456789012") {
  return {.id = std::move(id), .secret = std::move(secret), .account = std::move(account), .name = "test"};
}

KeyRing ring() { return KeyRing::make({key(), key("OTHERKEY", "another", "210987654321")}).value(); }

// A request signed with the key and secret, as one of `service` in `region`.
struct Signed {
  codec::Pairs headers;
  std::vector<codec::HeaderField> fields;
  Bytes digest;

  Signed(Bytes id, Bytes secret, ByteView service = "sqs", ByteView region = "us-east-1", Time at = kNow) {
    digest = codec::sha256_hex("{}");
    headers = {{"host", "localhost"}};
    const std::vector<codec::HeaderField> unsigned_fields = {{"host", "localhost"}};
    const auto made = codec::sign("POST", "/", "", unsigned_fields, {std::move(id), std::move(secret), ""},
                                  {.service = service, .region = region, .now = at, .payload_hash = digest});
    for (const auto& pair : made->add) headers.push_back(pair);
    for (const auto& [name, value] : headers) fields.push_back({name, value});
  }

  codec::SignedRequest request() const {
    return {.method = "POST", .path = "/", .query = "", .headers = fields, .body_sha256 = digest};
  }
};

codec::AuthErrc code_of(const std::expected<Authenticated, codec::AuthError>& result) {
  EXPECT_FALSE(result);
  return result ? codec::AuthErrc::kMissing : result.error().code;
}

TEST(KeyRing, finds_a_key_by_its_id_only) {
  const auto keys = ring();
  ASSERT_NE(keys.find("OTHERKEY"), nullptr);
  EXPECT_EQ(keys.find("OTHERKEY")->account, "210987654321");
  EXPECT_EQ(keys.find("OTHERKEY2"), nullptr);
  EXPECT_EQ(keys.find(""), nullptr);
  EXPECT_EQ(keys.lookup()("AKIDEXAMPLE")->secret, "secret");
  EXPECT_EQ(keys.lookup()("NOBODY"), nullptr);
}

TEST(KeyRing, refuses_keys_that_break_a_rule_without_showing_the_secret) {
  for (const auto& bad :
       {key(""), key("has space"), key(Bytes(129, 'A')), key("A", ""), key("A", "line\nbreak"),
        key("A", "s3cr3t", "12345678901"), key("A", "s3cr3t", "12345678901x")}) {
    const auto made = KeyRing::make({bad});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().message.find("s3cr3t"), std::string::npos) << made.error().message;
  }
  EXPECT_FALSE(KeyRing::make({key(), key()}));
  EXPECT_TRUE(KeyRing::make({key(Bytes(128, 'A'), Bytes(128, 's'))}));
}

TEST(Authenticator, a_good_signature_is_its_keys_account) {
  const auto keys = ring();
  Authenticator authenticator(keys, {}, "sqs", "us-east-1");
  const Signed sent("OTHERKEY", "another");
  const auto result = authenticator.authenticate(sent.request(), std::nullopt, kNow);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->identity, (Identity{"OTHERKEY", "210987654321"}));
  EXPECT_TRUE(result->verified);
}

TEST(Authenticator, refuses_what_is_not_signed_for_this_service_region_time_and_body) {
  const auto keys = ring();
  Authenticator authenticator(keys, {}, "sqs", "us-east-1");
  const auto refused = [&](const Signed& sent) {
    return code_of(authenticator.authenticate(sent.request(), std::nullopt, kNow));
  };
  EXPECT_EQ(refused(Signed("AKIDEXAMPLE", "wrong")), codec::AuthErrc::kBadSignature);
  EXPECT_EQ(refused(Signed("NOBODY", "secret")), codec::AuthErrc::kUnknownKey);
  EXPECT_EQ(refused(Signed("AKIDEXAMPLE", "secret", "s3")), codec::AuthErrc::kWrongScope);
  EXPECT_EQ(refused(Signed("AKIDEXAMPLE", "secret", "sqs", "eu-west-1")), codec::AuthErrc::kWrongScope);
  EXPECT_EQ(refused(Signed("AKIDEXAMPLE", "secret", "sqs", "us-east-1", kNow - 16min)),
            codec::AuthErrc::kSkewed);
  Signed other_body("AKIDEXAMPLE", "secret");
  other_body.digest = codec::sha256_hex("{ }");
  EXPECT_EQ(refused(other_body), codec::AuthErrc::kBadSignature);
}

TEST(Authenticator, without_a_region_takes_any) {
  const auto keys = ring();
  Authenticator authenticator(keys, {}, "sqs", "");
  const Signed sent("AKIDEXAMPLE", "secret", "sqs", "eu-west-1");
  EXPECT_TRUE(authenticator.authenticate(sent.request(), std::nullopt, kNow));
}

TEST(Authenticator, an_unsigned_request_of_a_trusted_unix_user_acts_for_the_default_account) {
  const auto keys = ring();
  Authenticator authenticator(keys, {.uids = {1000}, .account = "000000000000"}, "sqs", "us-east-1");
  const codec::SignedRequest plain{.method = "GET", .path = "/", .query = "", .headers = {}};
  const auto trusted = authenticator.authenticate(plain, 1000, kNow);
  ASSERT_TRUE(trusted);
  EXPECT_EQ(trusted->identity, (Identity{"", "000000000000"}));
  EXPECT_EQ(code_of(authenticator.authenticate(plain, 1001, kNow)), codec::AuthErrc::kMissing);
  EXPECT_EQ(code_of(authenticator.authenticate(plain, std::nullopt, kNow)), codec::AuthErrc::kMissing);
}

TEST(Authenticator, a_bad_signature_of_a_trusted_user_is_still_bad) {
  const auto keys = ring();
  Authenticator authenticator(keys, {.uids = {1000}, .account = "000000000000"}, "sqs", "us-east-1");
  const Signed sent("AKIDEXAMPLE", "wrong");
  EXPECT_EQ(code_of(authenticator.authenticate(sent.request(), 1000, kNow)), codec::AuthErrc::kBadSignature);
}

}  // namespace
}  // namespace hr::wire
