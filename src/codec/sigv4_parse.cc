#include "codec/sigv4_parse.h"

#include "codec/time_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace hr::codec {
namespace detail {
namespace {

constexpr ByteView kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::size_t kNameMax = 128;  // access key, region, service

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }
bool is_visible(char c) { return c > ' ' && c < '\x7f'; }

// RFC 9110's token characters, without capitals.
bool is_header_name(ByteView name) {
  static constexpr ByteView kOthers = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || kOthers.find(c) != ByteView::npos;
  });
}

bool is_scope_name(ByteView name) {
  return !name.empty() && name.size() <= kNameMax && std::ranges::all_of(name, is_visible);
}

std::vector<ByteView> split(ByteView text, char separator) {
  std::vector<ByteView> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == ByteView::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::expected<void, AuthError> read_credential(SignatureClaim& claim, ByteView text) {
  const auto parts = split(text, '/');
  if (parts.size() != 5) {
    return refuse(AuthErrc::kMalformed, "Credential must be ACCESSKEY/YYYYMMDD/REGION/SERVICE/aws4_request.");
  }
  if (parts[4] != "aws4_request") {
    return refuse(AuthErrc::kWrongScope, "The credential scope must end in aws4_request.");
  }
  if (parts[1].size() != 8 || !std::ranges::all_of(parts[1], is_digit)) {
    return refuse(AuthErrc::kMalformed, "The credential scope's date must be YYYYMMDD.");
  }
  for (const std::size_t i : {0u, 2u, 3u}) {
    if (!is_scope_name(parts[i])) {
      return refuse(AuthErrc::kMalformed, "Credential has an empty, overlong or unreadable part.");
    }
  }
  claim.access_key = parts[0];
  claim.scope = {.date = Bytes(parts[1]), .region = Bytes(parts[2]), .service = Bytes(parts[3])};
  return {};
}

std::expected<void, AuthError> read_signed_headers(SignatureClaim& claim, ByteView text) {
  for (const ByteView name : split(text, ';')) {
    if (!is_header_name(name)) {
      return refuse(AuthErrc::kMalformed, "SignedHeaders must be lower-case header names with ';' between.");
    }
    if (!claim.signed_headers.empty() && claim.signed_headers.back() >= name) {
      return refuse(AuthErrc::kMalformed, "SignedHeaders must be sorted, and name no header twice.");
    }
    claim.signed_headers.emplace_back(name);
  }
  return {};
}

std::expected<void, AuthError> read_signature(SignatureClaim& claim, ByteView text) {
  if (!is_sha256_hex(text)) {
    return refuse(AuthErrc::kMalformed, "Signature must be 64 lower-case hexadecimal digits.");
  }
  claim.signature = text;
  return {};
}

ByteView trimmed(ByteView text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

bool is_sha256_hex(ByteView text) { return text.size() == 64 && std::ranges::all_of(text, is_lower_hex); }

std::expected<const Bytes*, AuthError> only(const Pairs& pairs, ByteView name) {
  const Bytes* found = nullptr;
  for (const auto& pair : pairs) {
    if (pair.first != name) continue;
    if (found != nullptr) return refuse(AuthErrc::kMalformed, fmt::format("{} is there twice.", name));
    found = &pair.second;
  }
  return found;
}

std::expected<const ByteView*, AuthError> only(HeaderFields headers, ByteView name) {
  const ByteView* found = nullptr;
  for (const HeaderField& field : headers) {
    if (!same_name(field.name, name)) continue;
    if (found != nullptr) return refuse(AuthErrc::kMalformed, fmt::format("{} is there twice.", name));
    found = &field.value;
  }
  return found;
}

std::expected<SignatureClaim, AuthError> claim_of_header(ByteView header_value) {
  const ByteView value = trimmed(header_value);
  const ByteView scheme = value.substr(0, value.find(' '));
  if (scheme != kAlgorithm) {
    return refuse(AuthErrc::kUnsupported, "The Authorization header must use AWS4-HMAC-SHA256.");
  }
  Pairs parts;
  for (const ByteView piece : split(value.substr(scheme.size()), ',')) {
    const ByteView part = trimmed(piece);
    const std::size_t equals = std::min(part.find('='), part.size());
    parts.emplace_back(part.substr(0, equals), part.substr(std::min(part.size(), equals + 1)));
  }
  HR_ASSIGN(const Bytes* credential, only(parts, "Credential"));
  HR_ASSIGN(const Bytes* signed_headers, only(parts, "SignedHeaders"));
  HR_ASSIGN(const Bytes* signature, only(parts, "Signature"));
  if (parts.size() != 3 || credential == nullptr || signed_headers == nullptr || signature == nullptr) {
    return refuse(AuthErrc::kMalformed,
                  "The Authorization header must hold Credential, SignedHeaders and Signature, and no more.");
  }
  SignatureClaim claim;
  HR_TRY(read_credential(claim, *credential));
  HR_TRY(read_signed_headers(claim, *signed_headers));
  HR_TRY(read_signature(claim, *signature));
  return claim;
}

namespace {

std::expected<const Bytes*, AuthError> required(const Pairs& query, ByteView name) {
  HR_ASSIGN(const Bytes* value, only(query, name));
  if (value != nullptr) return value;
  return refuse(AuthErrc::kMalformed, fmt::format("The query must hold {}.", name));
}

std::expected<Duration, AuthError> read_expires(ByteView text) {
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return refuse(AuthErrc::kMalformed, "X-Amz-Expires must be a number of seconds.");
  }
  return Duration(std::chrono::seconds(seconds));
}

}  // namespace

std::expected<SignatureClaim, AuthError> claim_of_query(const Pairs& query) {
  HR_ASSIGN(const Bytes* algorithm, required(query, "X-Amz-Algorithm"));
  if (*algorithm != kAlgorithm) {
    return refuse(AuthErrc::kUnsupported, "X-Amz-Algorithm must be AWS4-HMAC-SHA256.");
  }
  HR_ASSIGN(const Bytes* credential, required(query, "X-Amz-Credential"));
  HR_ASSIGN(const Bytes* date, required(query, "X-Amz-Date"));
  HR_ASSIGN(const Bytes* expires, required(query, "X-Amz-Expires"));
  HR_ASSIGN(const Bytes* signed_headers, required(query, "X-Amz-SignedHeaders"));
  HR_ASSIGN(const Bytes* signature, required(query, "X-Amz-Signature"));
  const auto time = parse_amz_date(*date);
  if (!time) return refuse(AuthErrc::kMalformed, "X-Amz-Date must be YYYYMMDDTHHMMSSZ.");
  SignatureClaim claim;
  claim.presigned = true;
  claim.date = *time;
  HR_ASSIGN(claim.expires, read_expires(*expires));
  HR_TRY(read_credential(claim, *credential));
  HR_TRY(read_signed_headers(claim, *signed_headers));
  HR_TRY(read_signature(claim, *signature));
  return claim;
}

}  // namespace detail

namespace {

Result<SignatureClaim> with_plain_error(std::expected<SignatureClaim, AuthError> claim) {
  if (claim) return std::move(*claim);
  const bool unsupported = claim.error().code == AuthErrc::kUnsupported;
  return fail(unsupported ? Errc::kUnsupported : Errc::kInvalid, std::move(claim.error().message));
}

// The names of the query, decoded; what cannot be decoded is left for others to refuse.
bool query_names(ByteView query, std::initializer_list<ByteView> wanted) {
  while (!query.empty()) {
    const ByteView piece = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), piece.size() + 1));
    const auto name = percent_decode(piece.substr(0, piece.find('=')));
    if (name && std::ranges::find(wanted, ByteView(*name)) != wanted.end()) return true;
  }
  return false;
}

AuthKind kind_of_scheme(ByteView value) {
  while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
  if (value.starts_with("AWS4-HMAC-SHA256 ")) return AuthKind::kV4Header;
  if (value.starts_with("AWS ")) return AuthKind::kV2Header;
  return AuthKind::kOther;
}

}  // namespace

Result<SignatureClaim> parse_authorization(ByteView header_value) {
  return with_plain_error(detail::claim_of_header(header_value));
}

Result<SignatureClaim> parse_presigned(const Pairs& query) {
  return with_plain_error(detail::claim_of_query(query));
}

AuthKind auth_kind(ByteView query, HeaderFields headers) {
  int found = 0;
  AuthKind kind = AuthKind::kNone;
  const auto note = [&](AuthKind one) {
    ++found;
    kind = one;
  };
  for (const HeaderField& field : headers) {
    if (same_name(field.name, "authorization")) note(kind_of_scheme(field.value));
  }
  if (query_names(query, {"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"}))
    note(AuthKind::kV4Query);
  if (query_names(query, {"AWSAccessKeyId"})) note(AuthKind::kV2Query);
  return found > 1 ? AuthKind::kSeveral : kind;
}

std::string_view to_string(AuthErrc code) {
  switch (code) {
    case AuthErrc::kMissing:
      return "missing";
    case AuthErrc::kAmbiguous:
      return "ambiguous";
    case AuthErrc::kMalformed:
      return "malformed";
    case AuthErrc::kUnsupported:
      return "unsupported";
    case AuthErrc::kUnknownKey:
      return "unknown-key";
    case AuthErrc::kBadSignature:
      return "bad-signature";
    case AuthErrc::kSkewed:
      return "skewed";
    case AuthErrc::kExpired:
      return "expired";
    case AuthErrc::kNotYetValid:
      return "not-yet-valid";
    case AuthErrc::kExpiryTooLong:
      return "expiry-too-long";
    case AuthErrc::kWrongScope:
      return "wrong-scope";
    case AuthErrc::kHeadersNotSigned:
      return "headers-not-signed";
    case AuthErrc::kTokenMissing:
      return "token-missing";
    case AuthErrc::kTokenInvalid:
      return "token-invalid";
    case AuthErrc::kPayloadHash:
      return "payload-hash";
  }
  return "unknown";
}

}  // namespace hr::codec
