#include "s3/auth.h"

#include "codec/sigv2.h"
#include "codec/time_text.h"
#include "wire/s3_headers.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hr::s3 {
namespace {

using codec::AuthErrc;
using codec::PayloadMode;
using wire::S3Code;
using wire::S3Error;

bool in_query(codec::AuthKind kind) {
  return kind == codec::AuthKind::kV4Query || kind == codec::AuthKind::kV2Query;
}

// Bodies that no signature covers travel unprotected where TLS is not in front.
bool is_local(const net::Peer& peer) {
  return peer.unix_socket || peer.address.starts_with("127.") || peer.address == "::1";
}

bool is_sha256_hex(ByteView text) {
  return text.size() == 64 &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// What x-amz-content-sha256 says where no V4 signature covers it. A signed chain would have no beginning.
wire::S3Result<void> read_payload_form(Request& request) {
  const auto value = wire::header(request.headers, "x-amz-content-sha256");
  if (!value || *value == codec::kUnsignedPayload) return {};
  if (*value == "STREAMING-UNSIGNED-PAYLOAD-TRAILER") {
    request.payload = PayloadMode::kStreamingUnsignedTrailer;
  } else if (is_sha256_hex(*value)) {
    request.payload = PayloadMode::kSha256;
    request.body_sha256 = *value;
  } else {
    return wire::s3_bad_argument("x-amz-content-sha256", *value,
                                 "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
                                 "STREAMING-UNSIGNED-PAYLOAD-TRAILER or a valid sha256 value.");
  }
  return {};
}

}  // namespace

wire::S3Result<void> check_payload_form(const Request& request) {
  const bool streaming = request.payload == PayloadMode::kStreamingSigned ||
                         request.payload == PayloadMode::kStreamingSignedTrailer ||
                         request.payload == PayloadMode::kStreamingUnsignedTrailer;
  const bool uploads = request.op == wire::S3Op::kPutObject || request.op == wire::S3Op::kUploadPart;
  if (streaming && !uploads) {
    return wire::s3_fail(S3Code::kInvalidRequest,
                         fmt::format("{} takes no streaming payload.", wire::to_string(request.op)));
  }
  const bool uncovered =
      request.payload == PayloadMode::kUnsigned || request.payload == PayloadMode::kStreamingUnsignedTrailer;
  if (uncovered && request.body.content_length() != 0 && !is_local(request.head.peer)) {
    return wire::s3_fail(S3Code::kInvalidRequest,
                         "An unsigned payload is taken from this host, or through TLS, only.");
  }
  return {};
}

namespace {

// As AWS does, an unknown key is told apart from a wrong secret, here and by SQS. Ids are drawn at random (90
// bits): nobody finds one by asking.
S3Code code_of(AuthErrc code, bool presigned) {
  switch (code) {
    case AuthErrc::kMissing:
    case AuthErrc::kExpired:
    case AuthErrc::kNotYetValid:
    case AuthErrc::kHeadersNotSigned:
      return S3Code::kAccessDenied;
    case AuthErrc::kAmbiguous:
      return S3Code::kInvalidArgument;
    case AuthErrc::kUnknownKey:
      return S3Code::kInvalidAccessKeyId;
    case AuthErrc::kBadSignature:
      return S3Code::kSignatureDoesNotMatch;
    case AuthErrc::kSkewed:
      return S3Code::kRequestTimeTooSkewed;
    case AuthErrc::kUnsupported:
      return S3Code::kInvalidRequest;
    case AuthErrc::kPayloadHash:
      return S3Code::kInvalidArgument;
    case AuthErrc::kTokenMissing:
    case AuthErrc::kTokenInvalid:
      return S3Code::kInvalidToken;
    case AuthErrc::kMalformed:
    case AuthErrc::kExpiryTooLong:
    case AuthErrc::kWrongScope:
      break;
  }
  return presigned ? S3Code::kAuthorizationQueryParametersError : S3Code::kAuthorizationHeaderMalformed;
}

}  // namespace

S3Error error_of(const codec::AuthError& error, bool presigned, std::string_view region, Time wall) {
  S3Error out{code_of(error.code, presigned), error.message, {}};
  if (error.code == AuthErrc::kMissing || error.code == AuthErrc::kUnknownKey) out.message.clear();
  if (error.code == AuthErrc::kWrongScope) out.fields.emplace_back("Region", region);
  if (error.code == AuthErrc::kSkewed) {
    out.fields.emplace_back("ServerTime", codec::iso8601(wall));
    out.fields.emplace_back("MaxAllowedSkewMilliseconds", "900000");
  }
  if (error.code == AuthErrc::kExpired) out.fields.emplace_back("ServerTime", codec::iso8601(wall));
  return out;
}

Authorizer::Authorizer(const wire::KeyRing& keys, wire::TrustedPeers trusted, std::string region)
    : keys_(keys), region_(region), authenticator_(keys, std::move(trusted), "s3", std::move(region)) {}

std::expected<void, codec::AuthError> Authorizer::by_v2_url(Request& request,
                                                            std::span<const codec::HeaderField> sent,
                                                            Time wall) const {
  const auto verified = codec::verify_v2_presigned(
      {.method = request.head.method,
       .path = request.target.path,
       .query = request.target.raw_query,
       .headers = sent,
       .host_bucket = request.target.bucket_in_host ? ByteView(request.target.bucket) : ByteView()},
      keys_.lookup(), wall);
  if (!verified) return std::unexpected(verified.error());
  const wire::AccessKey* key = keys_.find(verified->access_key);
  if (!key) return std::unexpected(codec::AuthError{AuthErrc::kUnknownKey, {}});
  request.identity = wire::identity_of(*key);
  request.is_signed = true;
  return {};
}

std::expected<void, codec::AuthError> Authorizer::by_v4(Request& request,
                                                        std::span<const codec::HeaderField> sent, Time wall) {
  const auto uid = request.head.peer.unix_socket ? std::optional(request.head.peer.uid) : std::nullopt;
  auto who = authenticator_.authenticate({.method = request.head.method,
                                          .path = request.target.path,
                                          .query = request.target.raw_query,
                                          .headers = sent},
                                         uid, wall);
  if (!who) return std::unexpected(std::move(who).error());
  request.identity = std::move(who->identity);
  request.is_signed = who->verified.has_value();
  if (who->verified) {
    request.payload = who->verified->payload;
    request.body_sha256 = who->verified->body_sha256;
  }
  request.verified = std::move(who->verified);
  return {};
}

wire::S3Result<void> Authorizer::authorize(Request& request, std::span<const codec::HeaderField> sent,
                                           Time wall) {
  const codec::AuthKind kind = codec::auth_kind(request.target.raw_query, sent);
  const auto allowed =
      kind == codec::AuthKind::kV2Query ? by_v2_url(request, sent, wall) : by_v4(request, sent, wall);
  // Who signs nothing is nobody: what he may do, a bucket's policy says.
  const bool unsigned_request = kind == codec::AuthKind::kNone;
  if (!allowed && !(unsigned_request && allowed.error().code == AuthErrc::kMissing)) {
    return std::unexpected(error_of(allowed.error(), in_query(kind), region_, wall));
  }
  if (!request.verified) HR_TRY(read_payload_form(request));
  return check_payload_form(request);
}

}  // namespace hr::s3
