#include "codec/digest.h"
#include "codec/sigv4.h"
#include "codec/sigv4_parse.h"
#include "codec/time_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr::codec {
namespace {

using detail::only;
using detail::refuse;

template <class T>
using Outcome = std::expected<T, AuthError>;

// Unknown keys are put through the same work with this in place of a secret.
const Credentials& nobody() {
  static const Credentials none{
      .access_key = "", .secret = "a secret of no key: nothing is accepted with it", .session_token = ""};
  return none;
}

constexpr ByteView kNoMatch =
    "The request signature we calculated does not match the signature you provided. Check your key and "
    "signing "
    "method.";

Outcome<SignatureClaim> read_claim(const SignedRequest& request, const Pairs& query) {
  switch (auth_kind(request.query, request.headers)) {
    case AuthKind::kV4Header:
      return detail::claim_of_header(*find_header(request.headers, "authorization"));
    case AuthKind::kV4Query:
      return detail::claim_of_query(query);
    case AuthKind::kNone:
      return refuse(AuthErrc::kMissing, "The request carries no signature.");
    case AuthKind::kSeveral:
      return refuse(
          AuthErrc::kAmbiguous,
          "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query "
          "string parameter or the Authorization header should be specified.");
    case AuthKind::kV2Header:
    case AuthKind::kV2Query:
    case AuthKind::kOther:
      break;
  }
  return refuse(
      AuthErrc::kUnsupported,
      "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.");
}

// When the request says it was signed: x-amz-date, or in its absence Date.
Outcome<Time> request_time(const SignatureClaim& claim, HeaderFields headers) {
  if (claim.presigned) return claim.date;
  HR_ASSIGN(const ByteView* amz, only(headers, "x-amz-date"));
  if (amz != nullptr) {
    if (const auto time = parse_amz_date(*amz)) return *time;
    return refuse(AuthErrc::kMalformed, "x-amz-date must be YYYYMMDDTHHMMSSZ.");
  }
  HR_ASSIGN(const ByteView* date, only(headers, "date"));
  if (date != nullptr) {
    if (const auto time = parse_http_date(*date)) return *time;
    if (const auto time = parse_amz_date(*date)) return *time;
  }
  return refuse(AuthErrc::kMalformed, "AWS authentication requires a valid Date or x-amz-date header.");
}

Outcome<void> check_scope(const SignatureClaim& claim, Time time, const VerifyLimits& limits) {
  if (claim.scope.date != date_stamp(time)) {
    return refuse(AuthErrc::kWrongScope, "The date of the credential scope is not the date of the request.");
  }
  if (!limits.service.empty() && claim.scope.service != limits.service) {
    return refuse(AuthErrc::kWrongScope,
                  fmt::format("The credential scope must name the service {}.", limits.service));
  }
  if (!limits.region.empty() && claim.scope.region != limits.region) {
    return refuse(AuthErrc::kWrongScope,
                  fmt::format("The credential scope must name the region {}.", limits.region));
  }
  return {};
}

Outcome<void> check_time(const SignatureClaim& claim, Time time, Time now, const VerifyLimits& limits) {
  if (!claim.presigned) {
    if (std::max(time - now, now - time) <= limits.skew_max) return {};
    return refuse(AuthErrc::kSkewed,
                  "The difference between the request time and the current time is too large.");
  }
  if (claim.expires > limits.expires_max) {
    return refuse(AuthErrc::kExpiryTooLong,
                  fmt::format("X-Amz-Expires must be at most {} seconds.",
                              std::chrono::floor<std::chrono::seconds>(limits.expires_max).count()));
  }
  if (time - now > limits.skew_max) return refuse(AuthErrc::kNotYetValid, "Request is not valid yet.");
  if (now - time > claim.expires) return refuse(AuthErrc::kExpired, "Request has expired.");
  return {};
}

bool is_amz_header(ByteView name) { return name.size() > 6 && same_name(name.substr(0, 6), "x-amz-"); }

Outcome<void> check_signed_headers(const SignatureClaim& claim, HeaderFields headers, std::size_t max) {
  if (claim.signed_headers.size() > max) {
    return refuse(AuthErrc::kMalformed, fmt::format("SignedHeaders names more than {} headers.", max));
  }
  const auto is_signed = [&](ByteView name) {
    return std::ranges::any_of(claim.signed_headers, [&](const Bytes& one) { return same_name(one, name); });
  };
  if (!is_signed("host")) return refuse(AuthErrc::kHeadersNotSigned, "SignedHeaders must name host.");
  for (const HeaderField& field : headers) {
    if (is_amz_header(field.name) && !is_signed(field.name)) {
      return refuse(AuthErrc::kHeadersNotSigned,
                    "There were headers present in the request which were not signed.");
    }
  }
  return {};
}

struct Payload {
  PayloadMode mode = PayloadMode::kUnsigned;
  Bytes hash;  // as it stands in the canonical request
};

Outcome<PayloadMode> s3_mode(ByteView hash) {
  if (detail::is_sha256_hex(hash)) return PayloadMode::kSha256;
  if (hash == kUnsignedPayload) return PayloadMode::kUnsigned;
  if (hash == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD") return PayloadMode::kStreamingSigned;
  if (hash == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") return PayloadMode::kStreamingSignedTrailer;
  if (hash == "STREAMING-UNSIGNED-PAYLOAD-TRAILER") return PayloadMode::kStreamingUnsignedTrailer;
  if (hash.starts_with("STREAMING-")) {
    return refuse(AuthErrc::kUnsupported, "This form of x-amz-content-sha256 is not supported.");
  }
  return refuse(AuthErrc::kPayloadHash,
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING form, or a valid sha256 value.");
}

Outcome<Payload> s3_payload(const SignatureClaim& claim, HeaderFields headers, const Pairs& query) {
  HR_ASSIGN(const ByteView* header, only(headers, "x-amz-content-sha256"));
  HR_ASSIGN(const Bytes* parameter, only(query, "X-Amz-Content-Sha256"));
  Bytes hash(kUnsignedPayload);
  if (header != nullptr) {
    hash = *header;
  } else if (!claim.presigned) {
    return refuse(AuthErrc::kPayloadHash, "Missing required header for this request: x-amz-content-sha256");
  } else if (parameter != nullptr) {
    hash = *parameter;
  }
  HR_ASSIGN(const PayloadMode mode, s3_mode(hash));
  return Payload{.mode = mode, .hash = std::move(hash)};
}

// The caller has read the whole body of such a request, so its hash is compared at once.
Outcome<Payload> other_payload(HeaderFields headers, ByteView body_sha256) {
  HR_ASSIGN(const ByteView* header, only(headers, "x-amz-content-sha256"));
  if (!detail::is_sha256_hex(body_sha256) || (header != nullptr && *header != body_sha256)) {
    return refuse(AuthErrc::kPayloadHash,
                  "The provided x-amz-content-sha256 header does not match what was computed.");
  }
  return Payload{.mode = PayloadMode::kSha256, .hash = Bytes(body_sha256)};
}

Outcome<void> check_token(const Credentials& credentials, HeaderFields headers, const Pairs& query) {
  HR_ASSIGN(const ByteView* header, only(headers, "x-amz-security-token"));
  HR_ASSIGN(const Bytes* parameter, only(query, "X-Amz-Security-Token"));
  if (header != nullptr && parameter != nullptr) {
    return refuse(AuthErrc::kAmbiguous, "The security token is there twice.");
  }
  const bool given = header != nullptr || parameter != nullptr;
  const ByteView token = header != nullptr      ? *header
                         : parameter != nullptr ? ByteView(*parameter)
                                                : ByteView();
  if (!given && !credentials.session_token.empty()) {
    return refuse(AuthErrc::kTokenMissing, "This access key needs its security token.");
  }
  if (given && !constant_time_equal(token, credentials.session_token)) {
    return refuse(AuthErrc::kTokenInvalid, "The provided token is malformed or otherwise invalid.");
  }
  return {};
}

}  // namespace

std::expected<Verified, AuthError> verify(const SignedRequest& request, const KeyLookup& lookup, Time now,
                                          SigningKeyCache& cache, const VerifyLimits& limits) {
  const auto query = parse_query(request.query);
  if (!query) return refuse(AuthErrc::kMalformed, query.error().message);
  HR_ASSIGN(const SignatureClaim claim, read_claim(request, *query));
  HR_ASSIGN(const Time time, request_time(claim, request.headers));
  HR_TRY(check_scope(claim, time, limits));
  HR_TRY(check_time(claim, time, now, limits));
  HR_TRY(check_signed_headers(claim, request.headers, limits.signed_headers_max));
  const PathRule rule = path_rule(claim.scope.service);
  HR_ASSIGN(Payload payload, rule == PathRule::kS3Single
                                 ? s3_payload(claim, request.headers, *query)
                                 : other_payload(request.headers, request.body_sha256));
  const auto canonical = canonical_request(request.method, request.path, request.query, request.headers,
                                           claim.signed_headers, payload.hash, rule);
  if (!canonical) return refuse(AuthErrc::kMalformed, canonical.error().message);

  const Credentials* known = lookup(claim.access_key);
  const SigningKey key = cache.get(known != nullptr ? *known : nobody(), claim.scope);
  const Bytes text = amz_date(time);
  const bool equal =
      constant_time_equal(signature(key, string_to_sign(text, claim.scope, *canonical)), claim.signature);
  if (known == nullptr) return refuse(AuthErrc::kUnknownKey, Bytes(kNoMatch));
  if (!equal) return refuse(AuthErrc::kBadSignature, Bytes(kNoMatch));
  HR_TRY(check_token(*known, request.headers, *query));

  Verified out{.access_key = claim.access_key,
               .scope = claim.scope,
               .amz_date = text,
               .presigned = claim.presigned,
               .payload = payload.mode,
               .body_sha256 = {},
               .seed_signature = claim.signature,
               .key = key};
  if (payload.mode == PayloadMode::kSha256) out.body_sha256 = std::move(payload.hash);
  return out;
}

}  // namespace hr::codec
