#include "codec/sigv4.h"
#include "codec/time_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr::codec {
namespace {

std::vector<Bytes> names_of(HeaderFields headers) {
  std::vector<Bytes> names;
  for (const HeaderField& field : headers) names.push_back(lower_case(field.name));
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  return names;
}

Status check_headers(HeaderFields headers) {
  if (find_header(headers, "host") == nullptr)
    return fail(Errc::kInvalid, "a request to sign needs its host header");
  for (const ByteView added :
       {"authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}) {
    if (find_header(headers, added) != nullptr) {
      return fail(Errc::kInvalid, fmt::format("the header {} is added by signing", added));
    }
  }
  return {};
}

Scope scope_of(const SignOptions& options) {
  return {
      .date = date_stamp(options.now), .region = Bytes(options.region), .service = Bytes(options.service)};
}

Bytes joined(const std::vector<Bytes>& names) { return fmt::format("{}", fmt::join(names, ";")); }

}  // namespace

Result<SignedHeaders> sign(ByteView method, ByteView path, ByteView query, HeaderFields headers,
                           const Credentials& credentials, const SignOptions& options) {
  HR_TRY(check_headers(headers));
  SignedHeaders out{.add = {},
                    .seed_signature = {},
                    .amz_date = amz_date(options.now),
                    .scope = scope_of(options),
                    .key = {}};
  out.add.emplace_back("x-amz-date", out.amz_date);
  if (options.service == "s3") out.add.emplace_back("x-amz-content-sha256", options.payload_hash);
  if (!credentials.session_token.empty())
    out.add.emplace_back("x-amz-security-token", credentials.session_token);

  std::vector<HeaderField> all(headers.begin(), headers.end());
  for (const auto& [name, value] : out.add) all.push_back({name, value});
  const std::vector<Bytes> names = names_of(all);
  HR_ASSIGN(const Bytes canonical, canonical_request(method, path, query, all, names, options.payload_hash,
                                                     path_rule(options.service)));
  out.key = signing_key(credentials.secret, out.scope);
  out.seed_signature = signature(out.key, string_to_sign(out.amz_date, out.scope, canonical));
  out.add.emplace_back(
      "authorization",
      fmt::format("AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}", credentials.access_key,
                  out.scope.text(), joined(names), out.seed_signature));
  return out;
}

Result<Bytes> presign(ByteView method, ByteView path, ByteView query, HeaderFields headers,
                      const Credentials& credentials, const SignOptions& options,
                      std::chrono::seconds expires) {
  HR_TRY(check_headers(headers));
  const Scope scope = scope_of(options);
  const std::vector<Bytes> names = names_of(headers);
  const Bytes date = amz_date(options.now);
  Pairs parameters{{"X-Amz-Algorithm", "AWS4-HMAC-SHA256"},
                   {"X-Amz-Credential", fmt::format("{}/{}", credentials.access_key, scope.text())},
                   {"X-Amz-Date", date},
                   {"X-Amz-Expires", fmt::format("{}", expires.count())},
                   {"X-Amz-SignedHeaders", joined(names)}};
  if (!credentials.session_token.empty()) {
    parameters.emplace_back("X-Amz-Security-Token", credentials.session_token);
  }
  Bytes whole(query);
  if (!whole.empty()) whole.push_back('&');
  whole += write_pairs(parameters);
  const ByteView payload_hash = options.service == "s3" ? kUnsignedPayload : options.payload_hash;
  HR_ASSIGN(const Bytes canonical,
            canonical_request(method, path, whole, headers, names, payload_hash, path_rule(options.service)));
  const SigningKey key = signing_key(credentials.secret, scope);
  whole += "&X-Amz-Signature=" + signature(key, string_to_sign(date, scope, canonical));
  return whole;
}

}  // namespace hr::codec
