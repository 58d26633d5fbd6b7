// Who sends a POST form: the signature of its policy, among its fields.
#include "codec/base64.h"
#include "codec/digest.h"
#include "codec/sigv4.h"
#include "codec/time_text.h"
#include "s3/auth.h"

#include <fmt/format.h>

namespace hr::s3 {
namespace {

using wire::S3Code;
using wire::S3FormFields;
using wire::S3Result;

constexpr std::string_view kV4Fields[] = {"x-amz-algorithm", "x-amz-credential", "x-amz-date",
                                          "x-amz-signature"};
constexpr std::string_view kV2Fields[] = {"awsaccesskeyid", "signature"};

std::string text_of(const S3FormFields& fields, std::string_view name) {
  const auto found = fields.find(std::string(name));
  return found == fields.end() ? std::string() : found->second;
}

bool any_of(const S3FormFields& fields, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    if (fields.contains(std::string(name))) return true;
  }
  return false;
}

S3Result<void> all_of(const S3FormFields& fields, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    if (!text_of(fields, name).empty()) continue;
    return wire::s3_bad_argument(
        name, {},
        fmt::format(
            "Bucket POST must contain a field named '{}'.  If it is specified, please check the order "
            "of the fields.",
            name));
  }
  return {};
}

}  // namespace

S3Result<void> Authorizer::accept_form(Request& request, const wire::AccessKey* key, bool good) const {
  if (!key) return wire::s3_fail(S3Code::kInvalidAccessKeyId);
  if (!good) return wire::s3_fail(S3Code::kSignatureDoesNotMatch);
  request.identity = wire::identity_of(*key);
  request.is_signed = true;
  return {};
}

S3Result<void> Authorizer::by_v4_form(Request& request, const S3FormFields& fields, Time wall) const {
  HR_TRY(all_of(fields, kV4Fields));
  const std::string credential = text_of(fields, "x-amz-credential");
  const std::string date = text_of(fields, "x-amz-date");
  // The credential is what it is in a header.
  const auto claim = codec::parse_authorization(
      fmt::format("{} Credential={}, SignedHeaders=host, Signature={}", text_of(fields, "x-amz-algorithm"),
                  credential, text_of(fields, "x-amz-signature")));
  const auto signed_at = codec::parse_amz_date(date);
  const bool shaped = claim && signed_at && credential.find_first_of(", ") == std::string::npos;
  if (!shaped || claim->scope.service != "s3" || claim->scope.date != date.substr(0, 8)) {
    return wire::s3_bad_argument("x-amz-credential", credential,
                                 "The form's signature fields are malformed.");
  }
  if (claim->scope.region != region_) {
    return wire::s3_fail(
        S3Code::kAuthorizationHeaderMalformed,
        fmt::format("The region '{}' is wrong; expecting '{}'", claim->scope.region, region_),
        {{"Region", region_}});
  }
  if (*signed_at > wall + std::chrono::minutes(15)) return wire::s3_fail(S3Code::kRequestTimeTooSkewed);
  const wire::AccessKey* key = keys_.find(claim->access_key);
  const Bytes expected = codec::signature(codec::signing_key(key ? ByteView(key->secret) : "", claim->scope),
                                          text_of(fields, "policy"));
  return accept_form(request, key, codec::constant_time_equal(expected, claim->signature));
}

S3Result<void> Authorizer::by_v2_form(Request& request, const S3FormFields& fields) const {
  HR_TRY(all_of(fields, kV2Fields));
  const wire::AccessKey* key = keys_.find(text_of(fields, "awsaccesskeyid"));
  const Bytes expected =
      codec::base64_encode(codec::hmac_sha1(key ? ByteView(key->secret) : "", text_of(fields, "policy")));
  return accept_form(request, key, codec::constant_time_equal(expected, text_of(fields, "signature")));
}

// A form that says who sends it has a policy: the signature is over that.
S3Result<void> Authorizer::authorize_form(Request& request, const S3FormFields& fields, Time wall) const {
  HR_TRY(check_payload_form(request));
  const bool v4 = any_of(fields, kV4Fields), v2 = any_of(fields, kV2Fields);
  if (v4 && v2) return wire::s3_fail(S3Code::kInvalidRequest, "A form is signed in one way only.");
  if (fields.contains("x-amz-security-token")) return wire::s3_fail(S3Code::kInvalidToken);
  if (!v4 && !v2) return fields.contains("policy") ? all_of(fields, kV4Fields) : S3Result<void>();
  const std::string_view policy[] = {"policy"};
  HR_TRY(all_of(fields, policy));
  return v4 ? by_v4_form(request, fields, wall) : by_v2_form(request, fields);
}

}  // namespace hr::s3
