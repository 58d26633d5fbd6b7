#include "codec/sigv2.h"

#include "codec/base64.h"
#include "codec/digest.h"
#include "codec/sigv4_parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

namespace hr::codec {
namespace {

using detail::only;
using detail::refuse;

// The query parameters that are part of the resource (Amazon S3, "Signing and authenticating REST requests",
// and those botocore adds). Sorted.
constexpr std::array kSubResources = std::to_array<std::string_view>({
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
});
static_assert(std::ranges::is_sorted(kSubResources));

ByteView trimmed(ByteView text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

bool is_amz(ByteView lower_case_name) { return lower_case_name.starts_with("x-amz-"); }

// The header's value, or else that of the parameter of the same name.
ByteView header_or_parameter(const V2Request& request, const Pairs& query, ByteView name) {
  if (const ByteView* value = find_header(request.headers, name)) return trimmed(*value);
  for (const auto& [parameter, value] : query) {
    if (same_name(parameter, name)) return value;
  }
  return {};
}

void append_amz_headers(Bytes& out, const V2Request& request, const Pairs& query) {
  std::map<Bytes, Bytes> values;
  const auto add = [&values](ByteView name, ByteView value) {
    const Bytes lower = lower_case(name);
    if (!is_amz(lower)) return;
    const auto [at, fresh] = values.try_emplace(lower, value);
    if (!fresh) at->second.append(",").append(value);
  };
  for (const HeaderField& field : request.headers) add(field.name, trimmed(field.value));
  for (const auto& [name, value] : query) add(name, trimmed(value));
  for (const auto& [name, value] : values) out.append(name).append(":").append(value).append("\n");
}

// "uploads" and "uploads=" differ here, so the pieces are looked at before they are made into pairs.
Status append_resource(Bytes& out, const V2Request& request) {
  if (!request.host_bucket.empty()) out.append("/").append(request.host_bucket);
  out.append(request.path);
  std::vector<std::pair<Bytes, Bytes>> kept;  // name, and the piece as it is signed
  for (ByteView rest = request.query; !rest.empty();) {
    const ByteView piece = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), piece.size() + 1));
    const std::size_t equals = piece.find('=');
    HR_ASSIGN(Bytes name, percent_decode(piece.substr(0, equals)));
    if (!std::ranges::binary_search(kSubResources, std::string_view(name))) continue;
    Bytes text = name;
    if (equals != ByteView::npos) {
      HR_ASSIGN(const Bytes value, percent_decode(piece.substr(equals + 1)));
      text.append("=").append(value);
    }
    kept.emplace_back(std::move(name), std::move(text));
  }
  std::ranges::sort(kept);
  char before = '?';
  for (const auto& [name, text] : kept) {
    out.push_back(before);
    out.append(text);
    before = '&';
  }
  return {};
}

constexpr ByteView kNoMatch =
    "The request signature we calculated does not match the signature you provided. Check your key and "
    "signing "
    "method.";

std::expected<Time, AuthError> read_expires(ByteView text) {
  std::uint64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  constexpr std::uint64_t kLatest = 253'402'300'799;  // the end of the year 9999
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || seconds > kLatest) {
    return refuse(AuthErrc::kMalformed, "Expires must be a time in seconds since 1970.");
  }
  return Time(std::chrono::seconds(seconds));
}

struct V2Claim {
  Bytes access_key;
  Bytes signature;
  Bytes expires_text;
  Time expires{};
};

std::expected<V2Claim, AuthError> read_claim(const Pairs& query) {
  HR_ASSIGN(const Bytes* access_key, only(query, "AWSAccessKeyId"));
  HR_ASSIGN(const Bytes* signature, only(query, "Signature"));
  HR_ASSIGN(const Bytes* expires, only(query, "Expires"));
  if (access_key == nullptr || signature == nullptr || expires == nullptr) {
    return refuse(
        AuthErrc::kMalformed,
        "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters");
  }
  HR_ASSIGN(const Time time, read_expires(*expires));
  return V2Claim{
      .access_key = *access_key, .signature = *signature, .expires_text = *expires, .expires = time};
}

std::expected<void, AuthError> check_kind(const V2Request& request) {
  switch (auth_kind(request.query, request.headers)) {
    case AuthKind::kV2Query:
      return {};
    case AuthKind::kNone:
      return refuse(AuthErrc::kMissing, "The request carries no signature.");
    case AuthKind::kSeveral:
      return refuse(AuthErrc::kAmbiguous, "Only one auth mechanism allowed.");
    default:
      return refuse(AuthErrc::kUnsupported, "This is not a version 2 presigned request.");
  }
}

std::expected<void, AuthError> check_token(const Credentials& credentials, const V2Request& request,
                                           const Pairs& query) {
  const ByteView token = header_or_parameter(request, query, "x-amz-security-token");
  if (token.empty() && !credentials.session_token.empty()) {
    return refuse(AuthErrc::kTokenMissing, "This access key needs its security token.");
  }
  if (!constant_time_equal(token, credentials.session_token)) {
    return refuse(AuthErrc::kTokenInvalid, "The provided token is malformed or otherwise invalid.");
  }
  return {};
}

}  // namespace

Result<Bytes> v2_string_to_sign(const V2Request& request, ByteView expires) {
  HR_ASSIGN(const Pairs query, parse_query(request.query));
  Bytes out;
  out.append(request.method).append("\n");
  out.append(header_or_parameter(request, query, "content-md5")).append("\n");
  out.append(header_or_parameter(request, query, "content-type")).append("\n");
  out.append(expires).append("\n");
  append_amz_headers(out, request, query);
  HR_TRY(append_resource(out, request));
  return out;
}

std::expected<V2Verified, AuthError> verify_v2_presigned(const V2Request& request, const KeyLookup& lookup,
                                                         Time now, Duration expires_max) {
  HR_TRY(check_kind(request));
  const auto query = parse_query(request.query);
  if (!query) return refuse(AuthErrc::kMalformed, query.error().message);
  HR_ASSIGN(const V2Claim claim, read_claim(*query));
  if (now > claim.expires) return refuse(AuthErrc::kExpired, "Request has expired.");
  if (claim.expires - now > expires_max) return refuse(AuthErrc::kExpiryTooLong, "Expires is too far ahead.");
  const auto text = v2_string_to_sign(request, claim.expires_text);
  if (!text) return refuse(AuthErrc::kMalformed, text.error().message);

  const Credentials* known = lookup(claim.access_key);
  const ByteView secret = known != nullptr ? ByteView(known->secret) : ByteView("a secret of no key");
  const bool equal = constant_time_equal(base64_encode(hmac_sha1(secret, *text)), claim.signature);
  if (known == nullptr) return refuse(AuthErrc::kUnknownKey, Bytes(kNoMatch));
  if (!equal) return refuse(AuthErrc::kBadSignature, Bytes(kNoMatch));
  HR_TRY(check_token(*known, request, *query));
  return V2Verified{.access_key = claim.access_key, .expires = claim.expires};
}

Result<Bytes> presign_v2(const V2Request& request, const Credentials& credentials, Time expires) {
  const Bytes expires_text =
      fmt::format("{}", std::chrono::floor<std::chrono::seconds>(expires.time_since_epoch()).count());
  Pairs parameters{{"AWSAccessKeyId", credentials.access_key}, {"Expires", expires_text}};
  if (!credentials.session_token.empty()) {
    parameters.emplace_back("x-amz-security-token", credentials.session_token);
  }
  Bytes whole(request.query);
  if (!whole.empty()) whole.push_back('&');
  whole += write_pairs(parameters);
  V2Request complete = request;
  complete.query = whole;
  HR_ASSIGN(const Bytes text, v2_string_to_sign(complete, expires_text));
  const Pairs signature{{"Signature", base64_encode(hmac_sha1(credentials.secret, text))}};
  return whole + "&" + write_pairs(signature);
}

}  // namespace hr::codec
