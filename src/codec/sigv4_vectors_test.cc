// Our signatures against botocore's, over the requests that testdata/make_sigv4_vectors.py made.
#include "codec/sigv2.h"
#include "codec/sigv4.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hr::codec {
namespace {

enum class Kind : std::uint8_t { kHeader, kQuery, kV2Query };

struct Vector {
  Kind kind;
  std::string service;
  std::string region;
  std::string token;
  std::int64_t now_ms;
  std::string method;
  std::string path;
  std::string query;       // as sent
  std::string base_query;  // before signing
  Pairs headers;           // as sent
  Pairs base_headers;      // before signing, without those botocore never signs
  std::string body_sha256;
  std::string payload_hash;
  std::string canonical;
  std::string string_to_sign;
  std::string signature;
  int expires_s;
};

const std::vector<Vector>& vectors() {
  static const std::vector<Vector> all{
#include "codec/testdata/sigv4_vectors.inc"
  };
  return all;
}

std::vector<HeaderField> views(const Pairs& pairs) {
  std::vector<HeaderField> out;
  for (const auto& [name, value] : pairs) out.push_back({name, value});
  return out;
}

Credentials credentials_of(const Vector& v) {
  return {.access_key = "AKIDEXAMPLE",
          .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
          .session_token = v.token};
}

TEST(Sigv4Vectors, there_are_enough_of_every_kind) {
  int of_kind[3] = {};
  for (const Vector& v : vectors()) ++of_kind[static_cast<int>(v.kind)];
  EXPECT_EQ(of_kind[0], 110);
  EXPECT_EQ(of_kind[1], 70);
  EXPECT_EQ(of_kind[2], 40);
}

TEST(Sigv4Vectors, what_botocore_signed_is_verified) {
  SigningKeyCache cache;
  for (const Vector& v : vectors()) {
    if (v.kind == Kind::kV2Query) continue;
    const auto headers = views(v.headers);
    const SignedRequest request{.method = v.method,
                                .path = v.path,
                                .query = v.query,
                                .headers = headers,
                                .body_sha256 = v.body_sha256};
    const Credentials credentials = credentials_of(v);
    const auto lookup = [&](ByteView key) { return key == credentials.access_key ? &credentials : nullptr; };
    const auto verified =
        verify(request, lookup, from_ms(v.now_ms), cache, {.service = v.service, .region = v.region});
    ASSERT_TRUE(verified) << v.path << "?" << v.query << ": " << verified.error().message;
    EXPECT_EQ(verified->seed_signature, v.signature);
    EXPECT_EQ(verified->presigned, v.kind == Kind::kQuery);
    if (verified->payload == PayloadMode::kSha256) EXPECT_EQ(verified->body_sha256, v.payload_hash);
  }
}

TEST(Sigv4Vectors, our_canonical_request_is_botocores) {
  for (const Vector& v : vectors()) {
    if (v.kind == Kind::kV2Query) continue;
    const auto headers = views(v.headers);
    const auto claim = v.kind == Kind::kHeader ? parse_authorization(*find_header(headers, "authorization"))
                                               : parse_presigned(*parse_query(v.query));
    ASSERT_TRUE(claim) << claim.error().message;
    const auto canonical = canonical_request(v.method, v.path, v.query, headers, claim->signed_headers,
                                             v.payload_hash, path_rule(v.service));
    ASSERT_TRUE(canonical);
    EXPECT_EQ(*canonical, v.canonical);
  }
}

TEST(Sigv4Vectors, our_signatures_are_botocores) {
  for (const Vector& v : vectors()) {
    const auto headers = views(v.base_headers);
    const SignOptions options{
        .service = v.service, .region = v.region, .now = from_ms(v.now_ms), .payload_hash = v.payload_hash};
    if (v.kind == Kind::kHeader) {
      const auto ours = sign(v.method, v.path, v.base_query, headers, credentials_of(v), options);
      ASSERT_TRUE(ours) << ours.error().message;
      EXPECT_EQ(ours->seed_signature, v.signature) << v.path << "?" << v.base_query;
    } else if (v.kind == Kind::kQuery) {
      const auto ours = presign(v.method, v.path, v.base_query, headers, credentials_of(v), options,
                                std::chrono::seconds(v.expires_s));
      ASSERT_TRUE(ours);
      EXPECT_TRUE(ours->ends_with("&X-Amz-Signature=" + v.signature)) << v.path << "?" << v.base_query;
    }
  }
}

TEST(Sigv2Vectors, what_botocore_presigned_is_verified) {
  for (const Vector& v : vectors()) {
    if (v.kind != Kind::kV2Query) continue;
    const auto headers = views(v.headers);
    const V2Request request{.method = v.method, .path = v.path, .query = v.query, .headers = headers};
    const Credentials credentials = credentials_of(v);
    const auto lookup = [&](ByteView key) { return key == credentials.access_key ? &credentials : nullptr; };
    const auto verified = verify_v2_presigned(request, lookup, from_ms(v.now_ms));
    ASSERT_TRUE(verified) << v.path << "?" << v.query << ": " << verified.error().message;
    EXPECT_EQ(verified->expires, from_ms(v.now_ms) + std::chrono::seconds(v.expires_s));
    EXPECT_EQ(v2_string_to_sign(request, *find(*parse_query(v.query), "Expires")), v.string_to_sign);
  }
}

TEST(Sigv2Vectors, what_we_presign_is_verified) {
  for (const Vector& v : vectors()) {
    if (v.kind != Kind::kV2Query) continue;
    const auto headers = views(v.base_headers);
    V2Request request{.method = v.method, .path = v.path, .query = v.base_query, .headers = headers};
    const Credentials credentials = credentials_of(v);
    const auto query = presign_v2(request, credentials, from_ms(v.now_ms) + 60s);
    ASSERT_TRUE(query);
    request.query = *query;
    EXPECT_TRUE(verify_v2_presigned(request, [&](ByteView) { return &credentials; }, from_ms(v.now_ms)));
  }
}

}  // namespace
}  // namespace hr::codec
