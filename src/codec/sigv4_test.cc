#include "codec/sigv4.h"

#include "codec/digest.h"
#include "codec/sigv2.h"
#include "codec/time_text.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>

namespace hr::codec {
namespace {

constexpr Time kNow = from_ms(1'767'323'045'000);  // 2026-01-02T03:04:05Z
const Credentials kKey{.access_key = "AKIDEXAMPLE", .secret = "secret", .session_token = ""};
const Credentials kSession{.access_key = "ASIASESSION", .secret = "other", .session_token = "the-token"};

const Credentials* lookup(ByteView access_key) {
  for (const Credentials* one : {&kKey, &kSession}) {
    if (one->access_key == access_key) return one;
  }
  return nullptr;
}

// A request as a client would build it: signed properly, then bent by the test.
struct Request {
  Bytes method = "PUT";
  Bytes path = "/bucket/key";
  Bytes query;
  Pairs headers{{"Host", "store:9324"}};
  Bytes body = "hello";
  Bytes service = "s3";
  Bytes payload_hash = sha256_hex("hello");

  std::vector<HeaderField> fields() const {
    std::vector<HeaderField> out;
    for (const auto& [name, value] : headers) out.push_back({name, value});
    return out;
  }
  SignOptions options(Time now) const {
    return {.service = service, .region = "local", .now = now, .payload_hash = payload_hash};
  }
  Request signed_by(const Credentials& key = kKey, Time now = kNow) const {
    Request out = *this;
    const auto made = sign(method, path, query, fields(), key, options(now));
    out.headers.insert(out.headers.end(), made->add.begin(), made->add.end());
    return out;
  }
  Request presigned_by(std::chrono::seconds expires, const Credentials& key = kKey, Time now = kNow) const {
    Request out = *this;
    out.query = *presign(method, path, query, fields(), key, options(now), expires);
    return out;
  }
  Bytes& header(ByteView name) {
    for (auto& [one, value] : headers) {
      if (same_name(one, name)) return value;
    }
    return headers.emplace_back(name, "").second;
  }
  void remove(ByteView name) {
    std::erase_if(headers, [&](const auto& one) { return same_name(one.first, name); });
  }
};

void replace(Bytes& text, ByteView from, ByteView to) {
  const std::size_t at = text.find(from);
  ASSERT_NE(at, Bytes::npos) << from;
  text.replace(at, from.size(), to);
}

std::expected<Verified, AuthError> verified(const Request& r, Time now = kNow,
                                            const VerifyLimits& limits = {}) {
  SigningKeyCache cache;
  const auto fields = r.fields();
  const Bytes hash = sha256_hex(r.body);
  const SignedRequest request{
      .method = r.method, .path = r.path, .query = r.query, .headers = fields, .body_sha256 = hash};
  return verify(request, lookup, now, cache, limits);
}

// The error, or nullopt when the request was accepted.
std::optional<AuthErrc> refusal(const Request& r, Time now = kNow, const VerifyLimits& limits = {}) {
  const auto outcome = verified(r, now, limits);
  return outcome ? std::nullopt : std::optional(outcome.error().code);
}

TEST(Sigv4, awss_published_signing_key_example) {
  const Scope scope{.date = "20150830", .region = "us-east-1", .service = "iam"};
  EXPECT_EQ(to_hex(signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", scope).view()),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
}

TEST(Sigv4, a_signed_request_is_accepted_and_described) {
  const auto outcome = verified(Request{}.signed_by());
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->access_key, "AKIDEXAMPLE");
  EXPECT_EQ(outcome->scope.text(), "20260102/local/s3/aws4_request");
  EXPECT_EQ(outcome->amz_date, "20260102T030405Z");
  EXPECT_EQ(outcome->payload, PayloadMode::kSha256);
  EXPECT_EQ(outcome->body_sha256, sha256_hex("hello"));
  EXPECT_EQ(outcome->key, signing_key("secret", outcome->scope));
  EXPECT_FALSE(outcome->presigned);
}

TEST(Sigv4, every_signed_part_counts) {
  const std::vector<std::pair<const char*, std::function<void(Request&)>>> changes{
      {"method", [](Request& r) { r.method = "GET"; }},
      {"path", [](Request& r) { r.path = "/bucket/other"; }},
      {"query", [](Request& r) { r.query = "acl"; }},
      {"host", [](Request& r) { r.header("host") = "elsewhere"; }},
      {"header", [](Request& r) { r.header("x-amz-meta-a") = "2"; }},
      {"payload", [](Request& r) { r.header("x-amz-content-sha256") = sha256_hex("bye"); }},
      {"payload mode", [](Request& r) { r.header("x-amz-content-sha256") = kUnsignedPayload; }},
      {"time", [](Request& r) { r.header("x-amz-date") = "20260102T030406Z"; }},
      {"region", [](Request& r) { replace(r.header("authorization"), "/local/", "/other/"); }},
      {"key", [](Request& r) { replace(r.header("authorization"), "AKIDEXAMPLE", "ASIASESSION"); }},
  };
  Request base;
  base.headers.emplace_back("X-Amz-Meta-A", "1");
  ASSERT_EQ(refusal(base.signed_by()), std::nullopt);
  for (const auto& [what, change] : changes) {
    Request bent = base.signed_by();
    change(bent);
    EXPECT_EQ(refusal(bent), AuthErrc::kBadSignature) << what;
  }
}

TEST(Sigv4, equal_texts_of_one_target_are_one_target) {
  Request request;
  request.path = "/bucket/a%20b~";
  request.query = "b=2&a=1%2F&c";
  Request sent = request.signed_by();
  sent.path = "/bucket/a%20b%7e";
  sent.query = "c=&a=1/&b=2";
  EXPECT_EQ(refusal(sent), std::nullopt);
  sent.path = "/bucket/a%20b%7";
  EXPECT_EQ(refusal(sent), AuthErrc::kMalformed);
}

TEST(Sigv4, an_unknown_key_and_a_wrong_signature_read_the_same) {
  Request unknown =
      Request{}.signed_by({.access_key = "AKIDNOBODY", .secret = "secret", .session_token = ""});
  Request wrong = Request{}.signed_by({.access_key = "AKIDEXAMPLE", .secret = "guess", .session_token = ""});
  EXPECT_EQ(verified(unknown).error().code, AuthErrc::kUnknownKey);
  EXPECT_EQ(verified(wrong).error().code, AuthErrc::kBadSignature);
  EXPECT_EQ(verified(unknown).error().message, verified(wrong).error().message);
}

TEST(Sigv4, the_key_of_no_user_opens_nothing) {
  const Credentials nobody{
      .access_key = "x", .secret = "a secret of no key: nothing is accepted with it", .session_token = ""};
  EXPECT_EQ(refusal(Request{}.signed_by(nobody)), AuthErrc::kUnknownKey);
}

TEST(Sigv4, clock_skew_holds_at_its_edge) {
  const Request request = Request{}.signed_by();
  EXPECT_EQ(refusal(request, kNow + 15min), std::nullopt);
  EXPECT_EQ(refusal(request, kNow - 15min), std::nullopt);
  EXPECT_EQ(refusal(request, kNow + 15min + 1ms), AuthErrc::kSkewed);
  EXPECT_EQ(refusal(request, kNow - 15min - 1ms), AuthErrc::kSkewed);
}

TEST(Sigv4, a_presigned_request_lives_exactly_as_long_as_it_says) {
  const Request request = Request{}.presigned_by(std::chrono::seconds(60));
  const auto outcome = verified(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->presigned);
  EXPECT_EQ(outcome->payload, PayloadMode::kUnsigned);
  EXPECT_EQ(refusal(request, kNow + 60s), std::nullopt);
  EXPECT_EQ(refusal(request, kNow + 60s + 1ms), AuthErrc::kExpired);
  EXPECT_EQ(refusal(request, kNow - 15min), std::nullopt);
  EXPECT_EQ(refusal(request, kNow - 15min - 1ms), AuthErrc::kNotYetValid);
}

TEST(Sigv4, a_presigned_request_may_ask_for_seven_days_and_no_more) {
  EXPECT_EQ(refusal(Request{}.presigned_by(std::chrono::seconds(604'800))), std::nullopt);
  EXPECT_EQ(refusal(Request{}.presigned_by(std::chrono::seconds(604'801))), AuthErrc::kExpiryTooLong);
  EXPECT_EQ(refusal(Request{}.presigned_by(std::chrono::seconds(-1))), AuthErrc::kMalformed);
}

TEST(Sigv4, a_presigned_url_is_for_one_method_and_key) {
  Request request = Request{}.presigned_by(std::chrono::seconds(60));
  request.method = "DELETE";
  EXPECT_EQ(refusal(request), AuthErrc::kBadSignature);
  request.method = "PUT";
  request.path = "/bucket/key2";
  EXPECT_EQ(refusal(request), AuthErrc::kBadSignature);
}

TEST(Sigv4, a_presigned_part_that_is_missing_or_doubled_is_refused) {
  const Request good = Request{}.presigned_by(std::chrono::seconds(60));
  for (const char* name : {"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
                           "X-Amz-SignedHeaders", "X-Amz-Signature"}) {
    Request missing = good;
    replace(missing.query, name, "x-gone");
    EXPECT_EQ(refusal(missing), AuthErrc::kMalformed) << name;
    Request doubled = good;
    doubled.query += "&" + Bytes(name) + "=" + *find(*parse_query(good.query), name);
    EXPECT_EQ(refusal(doubled), AuthErrc::kMalformed) << name;
  }
  Request bad = good;
  replace(bad.query, "X-Amz-Expires=60", "X-Amz-Expires=60s");
  EXPECT_EQ(refusal(bad), AuthErrc::kMalformed);
}

TEST(Sigv4, no_signature_and_too_many_are_told_apart) {
  EXPECT_EQ(refusal(Request{}), AuthErrc::kMissing);
  Request both = Request{}.presigned_by(std::chrono::seconds(60));
  both.headers.emplace_back("Authorization", Request{}.signed_by().header("authorization"));
  EXPECT_EQ(refusal(both), AuthErrc::kAmbiguous);
  Request twice = Request{}.signed_by();
  twice.headers.emplace_back("authorization", twice.header("authorization"));
  EXPECT_EQ(refusal(twice), AuthErrc::kAmbiguous);
  Request mixed = Request{}.presigned_by(std::chrono::seconds(60));
  mixed.query += "&AWSAccessKeyId=AKIDEXAMPLE&Signature=x&Expires=1";
  EXPECT_EQ(refusal(mixed), AuthErrc::kAmbiguous);
}

TEST(Sigv4, other_schemes_are_refused) {
  for (const char* value :
       {"Basic dXNlcg==", "Bearer x", "AWS AKIDEXAMPLE:sig", "AWS4-ECDSA-P256-SHA256 Credential=x", ""}) {
    Request request;
    request.header("authorization") = value;
    EXPECT_EQ(refusal(request), AuthErrc::kUnsupported) << value;
  }
}

TEST(Sigv4, a_malformed_authorization_header_is_refused) {
  const Bytes good = Request{}.signed_by().header("authorization");
  const std::vector<std::pair<const char*, const char*>> changes{
      {"Credential=", "Credential"},
      {"Credential=", "credential="},
      {"AKIDEXAMPLE/", ""},
      {"AKIDEXAMPLE", ""},
      {"AKIDEXAMPLE", "a/b"},
      {"20260102/", "2026010/"},
      {"20260102/", "2026-1-2/"},
      {"/local/", "//"},
      {"SignedHeaders=", "SignedHeaders=;"},
      {"host;", "Host;"},
      {"host;", "host;host;"},
      {"host;", "x-amz-zzz;host;"},
      {"Signature=", "Signature=0"},
      {"Signature=", "Signature=Z"},
      {", Signature=", ", X=1, Signature="},
      {"Signature=", "Signature=0, Signature="},
      {", Signature", ""},
  };
  for (const auto& [from, to] : changes) {
    Request bent = Request{}.signed_by();
    replace(bent.header("authorization"), from, to);
    EXPECT_EQ(refusal(bent), AuthErrc::kMalformed) << from << " -> " << to;
    EXPECT_FALSE(parse_authorization(bent.header("authorization")));
  }
  EXPECT_TRUE(parse_authorization(good));
  Bytes tight = good;
  replace(tight, ", SignedHeaders", ",SignedHeaders");
  EXPECT_TRUE(parse_authorization(tight));
}

TEST(Sigv4, the_scope_must_fit_the_request) {
  Request request = Request{}.signed_by();
  replace(request.header("authorization"), "aws4_request", "aws5_request");
  EXPECT_EQ(refusal(request), AuthErrc::kWrongScope);
  request = Request{}.signed_by();
  replace(request.header("authorization"), "/20260102/", "/20260101/");
  EXPECT_EQ(refusal(request), AuthErrc::kWrongScope);
  request = Request{}.signed_by();
  EXPECT_EQ(refusal(request, kNow, {.service = "sqs"}), AuthErrc::kWrongScope);
  EXPECT_EQ(refusal(request, kNow, {.region = "us-east-1"}), AuthErrc::kWrongScope);
  EXPECT_EQ(refusal(request, kNow, {.service = "s3", .region = "local"}), std::nullopt);
}

TEST(Sigv4, host_must_be_signed) {
  Request request = Request{}.signed_by();
  replace(request.header("authorization"), "SignedHeaders=host;", "SignedHeaders=");
  EXPECT_EQ(refusal(request), AuthErrc::kHeadersNotSigned);
}

TEST(Sigv4, an_amz_header_that_was_not_signed_is_refused) {
  Request request = Request{}.signed_by();
  request.headers.emplace_back("Content-MD5", "anything");
  request.headers.emplace_back("Content-Type", "text/plain");
  EXPECT_EQ(refusal(request), std::nullopt);
  request.headers.emplace_back("X-AMZ-Meta-Sneaked", "in");
  EXPECT_EQ(verified(request).error(),
            (AuthError{AuthErrc::kHeadersNotSigned,
                       "There were headers present in the request which were not signed."}));
  Request presigned = Request{}.presigned_by(std::chrono::seconds(60));
  presigned.headers.emplace_back("x-amz-acl", "public-read");
  EXPECT_EQ(refusal(presigned), AuthErrc::kHeadersNotSigned);
}

TEST(Sigv4, a_signed_header_must_be_there) {
  Request request;
  request.headers.emplace_back("x-amz-acl", "private");
  request = request.signed_by();
  request.remove("x-amz-acl");
  EXPECT_EQ(refusal(request), AuthErrc::kMalformed);
}

TEST(Sigv4, the_number_of_signed_headers_is_bounded) {
  const Request request = Request{}.signed_by();  // host, x-amz-content-sha256, x-amz-date
  EXPECT_EQ(refusal(request, kNow, {.signed_headers_max = 3}), std::nullopt);
  EXPECT_EQ(refusal(request, kNow, {.signed_headers_max = 2}), AuthErrc::kMalformed);
}

TEST(Sigv4, the_time_comes_from_amz_date_or_else_from_date) {
  Request request = Request{}.signed_by();
  request.header("x-amz-date") = "yesterday";
  EXPECT_EQ(refusal(request), AuthErrc::kMalformed);
  request = Request{}.signed_by();
  request.headers.emplace_back("x-amz-date", request.header("x-amz-date"));
  EXPECT_EQ(refusal(request), AuthErrc::kMalformed);

  Request with_date;
  with_date.header("x-amz-content-sha256") = with_date.payload_hash;
  with_date.header("date") = http_date(kNow);
  const std::vector<Bytes> names{"date", "host", "x-amz-content-sha256"};
  const Scope scope{.date = "20260102", .region = "local", .service = "s3"};
  const auto canonical = canonical_request(with_date.method, with_date.path, "", with_date.fields(), names,
                                           with_date.payload_hash, PathRule::kS3Single);
  const Bytes text = string_to_sign("20260102T030405Z", scope, *canonical);
  with_date.header("authorization") = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" + scope.text() +
                                      ", SignedHeaders=date;host;x-amz-content-sha256, Signature=" +
                                      signature(signing_key("secret", scope), text);
  EXPECT_EQ(refusal(with_date), std::nullopt);
  with_date.remove("date");
  EXPECT_EQ(refusal(with_date), AuthErrc::kMalformed);
}

TEST(Sigv4, session_tokens_must_be_there_and_be_the_keys) {
  const Request good = Request{}.signed_by(kSession);
  EXPECT_EQ(refusal(good), std::nullopt);
  EXPECT_EQ(refusal(Request{}.presigned_by(std::chrono::seconds(60), kSession)), std::nullopt);
  Credentials changed = kSession;
  changed.session_token = "";
  EXPECT_EQ(refusal(Request{}.signed_by(changed)), AuthErrc::kTokenMissing);
  EXPECT_EQ(refusal(Request{}.presigned_by(std::chrono::seconds(60), changed)), AuthErrc::kTokenMissing);
  changed.session_token = "another";
  EXPECT_EQ(refusal(Request{}.signed_by(changed)), AuthErrc::kTokenInvalid);
  Credentials superfluous = kKey;
  superfluous.session_token = "the-token";
  EXPECT_EQ(refusal(Request{}.signed_by(superfluous)), AuthErrc::kTokenInvalid);
}

TEST(Sigv4, every_payload_form_is_recognised_by_its_header) {
  const std::vector<std::pair<Bytes, PayloadMode>> forms{
      {Bytes(kUnsignedPayload), PayloadMode::kUnsigned},
      {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", PayloadMode::kStreamingSigned},
      {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", PayloadMode::kStreamingSignedTrailer},
      {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", PayloadMode::kStreamingUnsignedTrailer},
  };
  for (const auto& [hash, mode] : forms) {
    Request request;
    request.payload_hash = hash;
    const auto outcome = verified(request.signed_by());
    ASSERT_TRUE(outcome) << hash;
    EXPECT_EQ(outcome->payload, mode);
    EXPECT_EQ(outcome->body_sha256, "");
    Request forged = request.signed_by({.access_key = "AKIDEXAMPLE", .secret = "wrong", .session_token = ""});
    EXPECT_EQ(refusal(forged), AuthErrc::kBadSignature) << hash;
  }
  Request request;
  request.payload_hash = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD";
  EXPECT_EQ(refusal(request.signed_by()), AuthErrc::kUnsupported);
  request.payload_hash = "abc";
  EXPECT_EQ(refusal(request.signed_by()), AuthErrc::kPayloadHash);
  request = Request{}.signed_by();
  request.remove("x-amz-content-sha256");
  EXPECT_EQ(refusal(request), AuthErrc::kPayloadHash);
}

TEST(Sigv4, a_presigned_url_may_fix_the_payload_in_its_query) {
  Request request;
  request.query = "X-Amz-Content-Sha256=" + sha256_hex("hello");
  request = request.presigned_by(std::chrono::seconds(60));
  EXPECT_EQ(refusal(request), AuthErrc::kBadSignature);  // our presign always says UNSIGNED-PAYLOAD
  Request unsigned_payload;
  unsigned_payload.query = "X-Amz-Content-Sha256=UNSIGNED-PAYLOAD";
  EXPECT_EQ(refusal(unsigned_payload.presigned_by(std::chrono::seconds(60))), std::nullopt);
}

TEST(Sigv4, other_services_sign_the_body_without_naming_its_hash) {
  Request request;
  request.service = "sqs";
  request.path = "/";
  request = request.signed_by();
  EXPECT_EQ(find_header(request.fields(), "x-amz-content-sha256"), nullptr);
  EXPECT_EQ(verified(request)->payload, PayloadMode::kSha256);
  request.body = "hallo";
  EXPECT_EQ(refusal(request), AuthErrc::kBadSignature);
  Request named;
  named.service = "sqs";
  named.headers.emplace_back("x-amz-meta", "1");
  named = named.signed_by();
  named.headers.emplace_back("x-amz-content-sha256", Bytes(kUnsignedPayload));
  EXPECT_EQ(refusal(named), AuthErrc::kHeadersNotSigned);
}

TEST(Sigv4, a_path_of_another_service_is_normalised_and_encoded_again) {
  const std::vector<std::pair<Bytes, Bytes>> paths{
      {"/", "/"},
      {"", "/"},
      {"/a/../..", "/"},
      {"/a//b/", "/a/b/"},
      {"/./a/.", "/a"},
      {"/a%20b", "/a%2520b"},
      {"/a/b/../c", "/a/c"},
      {"/a b", "/a%20b"},
  };
  for (const auto& [path, expected] : paths) {
    const auto text = canonical_request("GET", path, "", {}, {}, "h", PathRule::kOtherDouble);
    EXPECT_EQ(*text, "GET\n" + expected + "\n\n\n\nh") << path;
  }
  EXPECT_EQ(canonical_request("GET", "/a/../b//c", "", {}, {}, "h", PathRule::kS3Single),
            "GET\n/a/../b//c\n\n\n\nh");
}

TEST(Sigv4, auth_kind_sees_every_place_credentials_can_stand) {
  const HeaderField v4[] = {{"authorization", "AWS4-HMAC-SHA256 x"}};
  const HeaderField v2[] = {{"Authorization", "AWS a:b"}};
  const HeaderField other[] = {{"Authorization", "Basic x"}};
  EXPECT_EQ(auth_kind("", {}), AuthKind::kNone);
  EXPECT_EQ(auth_kind("", v4), AuthKind::kV4Header);
  EXPECT_EQ(auth_kind("", v2), AuthKind::kV2Header);
  EXPECT_EQ(auth_kind("", other), AuthKind::kOther);
  EXPECT_EQ(auth_kind("%&X%2dAmz-Signature=1", {}), AuthKind::kV4Query);
  EXPECT_EQ(auth_kind("a=1&AWSAccessKeyId=x", {}), AuthKind::kV2Query);
  EXPECT_EQ(auth_kind("AWSAccessKeyId=x", v4), AuthKind::kSeveral);
}

TEST(Sigv4, the_key_cache_forgets_the_oldest_and_never_trusts_an_old_secret) {
  SigningKeyCache cache(2);
  const auto scope = [](const char* date) { return Scope{.date = date, .region = "local", .service = "s3"}; };
  for (const char* date : {"20260101", "20260102", "20260101", "20260103"}) {
    EXPECT_EQ(cache.get(kKey, scope(date)), signing_key("secret", scope(date)));
  }
  EXPECT_EQ(cache.size(), 2u);
  Credentials rotated = kKey;
  rotated.secret = "new";
  EXPECT_EQ(cache.get(rotated, scope("20260103")), signing_key("new", scope("20260103")));
  EXPECT_EQ(cache.size(), 2u);
  SigningKeyCache none(0);
  EXPECT_EQ(none.get(kKey, scope("20260101")), signing_key("secret", scope("20260101")));
  EXPECT_EQ(none.size(), 0u);
}

TEST(Sigv4, signing_refuses_headers_it_would_add) {
  Request request;
  request.headers.emplace_back("X-Amz-Date", "x");
  EXPECT_FALSE(sign("GET", "/", "", request.fields(), kKey, request.options(kNow)));
  EXPECT_FALSE(sign("GET", "/", "", {}, kKey, request.options(kNow)));
  EXPECT_FALSE(
      presign("GET", "/%", "", Request{}.fields(), kKey, request.options(kNow), std::chrono::seconds(1)));
}

V2Request v2_request(const Request& request, const std::vector<HeaderField>& fields) {
  return {.method = request.method, .path = request.path, .query = request.query, .headers = fields};
}

TEST(Sigv2, amazons_own_example_of_a_query_string) {  // "REST authentication", 2006-03-01
  const HeaderField headers[] = {{"Host", "awsexamplebucket1.us-west-1.s3.amazonaws.com"}};
  const Credentials key{.access_key = "AKIAIOSFODNN7EXAMPLE",
                        .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                        .session_token = ""};
  const V2Request request{.method = "GET",
                          .path = "/photos/puppy.jpg",
                          .query = "",
                          .headers = headers,
                          .host_bucket = "awsexamplebucket1"};
  EXPECT_EQ(v2_string_to_sign(request, "1175139620"),
            "GET\n\n\n1175139620\n/awsexamplebucket1/photos/puppy.jpg");
}

TEST(Sigv2, a_presigned_url_is_refused_when_it_is_bent_or_late) {
  Request request;
  const auto fields = request.fields();
  request.query = *presign_v2(v2_request(request, fields), kKey, kNow + 60s);
  const auto outcome = [&](Time now = kNow) -> std::optional<AuthErrc> {
    const auto result = verify_v2_presigned(v2_request(request, fields), lookup, now);
    return result ? std::nullopt : std::optional(result.error().code);
  };
  EXPECT_EQ(outcome(), std::nullopt);
  EXPECT_EQ(outcome(kNow + 60s), std::nullopt);
  EXPECT_EQ(outcome(kNow + 60s + 1ms), AuthErrc::kExpired);
  EXPECT_EQ(outcome(kNow - std::chrono::seconds(604'740)), std::nullopt);
  EXPECT_EQ(outcome(kNow - std::chrono::seconds(604'740) - 1ms), AuthErrc::kExpiryTooLong);
  request.path = "/bucket/other";
  EXPECT_EQ(outcome(), AuthErrc::kBadSignature);
  request.path = "/bucket/key";
  const Bytes good = request.query;
  request.query += "&acl";
  EXPECT_EQ(outcome(), AuthErrc::kBadSignature);
  request.query = good + "&x-amz-acl=public-read";
  EXPECT_EQ(outcome(), AuthErrc::kBadSignature);
  request.query = good + "&Expires=1";
  EXPECT_EQ(outcome(), AuthErrc::kMalformed);
  request.query = good + "&X-Amz-Signature=1";
  EXPECT_EQ(outcome(), AuthErrc::kAmbiguous);
  request.query = "AWSAccessKeyId=AKIDEXAMPLE&Signature=x";
  EXPECT_EQ(outcome(), AuthErrc::kMalformed);
  request.query = "AWSAccessKeyId=nobody&Signature=x&Expires=1767323046";
  EXPECT_EQ(outcome(), AuthErrc::kUnknownKey);
  request.query = "AWSAccessKeyId=nobody&Signature=x&Expires=99999999999999";
  EXPECT_EQ(outcome(), AuthErrc::kMalformed);
  request.query = "";
  EXPECT_EQ(outcome(), AuthErrc::kMissing);
}

TEST(Sigv2, an_unsigned_amz_header_breaks_the_signature) {
  Request request;
  request.query = *presign_v2(v2_request(request, request.fields()), kKey, kNow + 60s);
  request.headers.emplace_back("x-amz-meta-a", "1");
  const auto fields = request.fields();
  EXPECT_EQ(verify_v2_presigned(v2_request(request, fields), lookup, kNow).error().code,
            AuthErrc::kBadSignature);
}

TEST(Sigv2, session_tokens_are_checked) {
  Request request;
  const auto fields = request.fields();
  const auto code = [&](const Credentials& key) -> std::optional<AuthErrc> {
    Request signed_request = request;
    signed_request.query = *presign_v2(v2_request(request, fields), key, kNow + 60s);
    const auto result = verify_v2_presigned(v2_request(signed_request, fields), lookup, kNow);
    return result ? std::nullopt : std::optional(result.error().code);
  };
  EXPECT_EQ(code(kSession), std::nullopt);
  Credentials changed = kSession;
  changed.session_token = "";
  EXPECT_EQ(code(changed), AuthErrc::kTokenMissing);
  changed.session_token = "another";
  EXPECT_EQ(code(changed), AuthErrc::kTokenInvalid);
}

}  // namespace
}  // namespace hr::codec
