// AWS Signature Version 4, both sides, as pure functions: the caller brings the request, the keys and the
// time. Verification takes nothing from the request on trust, and its errors never carry a secret, a token or
// the signature that was expected. Where the body's own hash is compared is said at `PayloadMode`.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "codec/header_field.h"
#include "codec/uri.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <list>
#include <optional>
#include <string_view>
#include <vector>

namespace hr::codec {

inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
inline constexpr std::string_view kEmptySha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct Credentials {
  Bytes access_key;
  Bytes secret;
  Bytes session_token;  // empty: a long-lived key

  bool operator==(const Credentials&) const = default;
};

// date/region/service/aws4_request
struct Scope {
  Bytes date;  // "20260102"
  Bytes region;
  Bytes service;

  Bytes text() const;
  bool operator==(const Scope&) const = default;
};

// What a request claims about its own signature; nothing is verified yet.
struct SignatureClaim {
  Bytes access_key;
  Scope scope;
  std::vector<Bytes> signed_headers;  // lower case, sorted, no name twice
  Bytes signature;                    // 64 lower-case hexadecimal digits
  Time date{};                        // presigned only: X-Amz-Date
  Duration expires{};                 // presigned only: X-Amz-Expires
  bool presigned = false;

  bool operator==(const SignatureClaim&) const = default;
};

// kInvalid says which part is missing or malformed; kUnsupported: another scheme than AWS4-HMAC-SHA256.
Result<SignatureClaim> parse_authorization(ByteView header_value);
Result<SignatureClaim> parse_presigned(const Pairs& query);

// S3 encodes the decoded path once and leaves it alone; all other services remove dot segments and encode the
// path as it was sent a second time.
enum class PathRule : std::uint8_t { kS3Single, kOtherDouble };
PathRule path_rule(ByteView service);

// `path` and `query` as sent, still encoded. X-Amz-Signature is left out of the query. kInvalid: a bad
// escape, a signed header that is not there.
Result<Bytes> canonical_request(ByteView method, ByteView path, ByteView query, HeaderFields headers,
                                std::span<const Bytes> signed_headers, ByteView payload_hash, PathRule rule);

struct SigningKey {
  std::array<char, 32> bytes{};
  ByteView view() const { return {bytes.data(), bytes.size()}; }
  bool operator==(const SigningKey&) const = default;
};
SigningKey signing_key(ByteView secret, const Scope& scope);
Bytes string_to_sign(ByteView amz_date, const Scope& scope, ByteView canonical_request);
Bytes signature(const SigningKey& key, ByteView text);  // hexadecimal; also signs S3's POST policies

// Derived keys, least recently used out first. Not thread-safe: one per reactor.
class SigningKeyCache {
 public:
  explicit SigningKeyCache(std::size_t capacity = 256);
  // Derives again when the secret is not the one the entry was made from.
  SigningKey get(const Credentials& credentials, const Scope& scope);
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Bytes access_key;
    Bytes secret;
    Scope scope;
    SigningKey key;
  };
  std::size_t capacity_;
  std::list<Entry> entries_;  // most recent first; a handful, so searched in order
};

// ---- Server side

struct SignedRequest {
  ByteView method;
  ByteView path;   // as sent, still encoded, without the query
  ByteView query;  // as sent, still encoded, without the '?'
  HeaderFields headers;
  // Services other than S3 sign the body's hash without sending it: lower-case hexadecimal, of the whole
  // body.
  ByteView body_sha256 = {};
};

// How the body is covered by the signature.
enum class PayloadMode : std::uint8_t {
  kSha256,                   // S3: the caller compares Verified::body_sha256 with the body it reads.
                             // Other services: already compared
  kUnsigned,                 // UNSIGNED-PAYLOAD (S3 only)
  kStreamingSigned,          // STREAMING-AWS4-HMAC-SHA256-PAYLOAD
  kStreamingSignedTrailer,   // STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
  kStreamingUnsignedTrailer  // STREAMING-UNSIGNED-PAYLOAD-TRAILER
};

enum class AuthErrc : std::uint8_t {
  kMissing,           // the request carries no signature at all
  kAmbiguous,         // more than one: two Authorization headers, or a header and a query
  kMalformed,         // a part is missing or not as it must be; also a bad escape in the target
  kUnsupported,       // another scheme or payload form
  kUnknownKey,        // these two have the same text, and cost the same work
  kBadSignature,      //
  kSkewed,            // the request's time is too far from now
  kExpired,           // presigned: its time is over
  kNotYetValid,       // presigned: its time begins in the future
  kExpiryTooLong,     // presigned: X-Amz-Expires beyond the maximum
  kWrongScope,        // terminator, date, service or region of the credential scope
  kHeadersNotSigned,  // host, or an x-amz-* header that is there, is not among SignedHeaders
  kTokenMissing,      // the key needs a session token
  kTokenInvalid,      // the session token is not the key's
  kPayloadHash,       // x-amz-content-sha256 is missing, or is not the body's
};
std::string_view to_string(AuthErrc code);  // "headers-not-signed": for logs and metrics

struct AuthError {
  AuthErrc code = AuthErrc::kMalformed;
  Bytes message;  // one sentence for the client

  bool operator==(const AuthError&) const = default;
};

struct Verified {
  Bytes access_key;
  Scope scope;
  Bytes amz_date;  // "20260102T030405Z"
  bool presigned = false;
  PayloadMode payload = PayloadMode::kUnsigned;
  Bytes body_sha256;     // kSha256 only: lower-case hexadecimal
  Bytes seed_signature;  // the chain of the streaming modes begins here
  SigningKey key;

  bool operator==(const Verified&) const = default;
};

struct VerifyLimits {
  Duration skew_max = 15min;
  Duration expires_max = std::chrono::seconds(604'800);
  std::size_t signed_headers_max = 128;
  ByteView service = {};  // when not empty, the scope must name it
  ByteView region = {};   // when not empty, the scope must name it
};

// Null: no such key. The pointer is used before verify() returns only.
using KeyLookup = std::function<const Credentials*(ByteView access_key)>;

// What kind of credentials a request carries, without judging them: routing looks at it first.
enum class AuthKind : std::uint8_t { kNone, kV4Header, kV4Query, kV2Header, kV2Query, kSeveral, kOther };
AuthKind auth_kind(ByteView query, HeaderFields headers);

std::expected<Verified, AuthError> verify(const SignedRequest& request, const KeyLookup& lookup, Time now,
                                          SigningKeyCache& cache, const VerifyLimits& limits = {});

// ---- Client side

struct SignOptions {
  ByteView service;
  ByteView region;
  Time now{};
  // Hexadecimal SHA-256 of the body, kUnsignedPayload, or one of the STREAMING names. With service "s3" it is
  // also sent as x-amz-content-sha256.
  ByteView payload_hash = kEmptySha256;
};

struct SignedHeaders {
  Pairs add;  // to be sent besides `headers`: x-amz-date, authorization, ... lower-case names
  Bytes seed_signature;
  Bytes amz_date;
  Scope scope;
  SigningKey key;
};

// Signs every given header, which must hold `host` and none of those it adds. kInvalid: a bad escape, no
// host.
Result<SignedHeaders> sign(ByteView method, ByteView path, ByteView query, HeaderFields headers,
                           const Credentials& credentials, const SignOptions& options);

// The whole query, with the given one in front. For S3 the payload is unsigned whatever options says.
Result<Bytes> presign(ByteView method, ByteView path, ByteView query, HeaderFields headers,
                      const Credentials& credentials, const SignOptions& options,
                      std::chrono::seconds expires);

}  // namespace hr::codec
