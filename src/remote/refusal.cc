#include "remote/refusal.h"

#include "codec/flat_json.h"
#include "codec/time_text.h"

#include <algorithm>

namespace hr::remote {
namespace {

constexpr ByteView kCodes[] = {
    "RequestTimeTooSkewed",      "RequestExpired",   "RequestInTheFuture", "SignatureDoesNotMatch",
    "InvalidSignatureException", "InvalidSignature", "AuthFailure"};

}  // namespace

Bytes error_code(ByteView service, const codec::Response& response) {
  if (service != "s3") {
    const auto read = codec::parse_flat_json(response.body);
    const Bytes* type = read ? codec::find(*read, "__type") : nullptr;
    return type != nullptr ? type->substr(type->find('#') + 1) : Bytes();
  }
  const ByteView body = response.body;
  const auto from = body.find("<Code>");
  const auto to = body.find("</Code>", std::min(from, body.size()));
  return to == body.npos ? Bytes() : Bytes(body.substr(from + 6, to - from - 6));
}

bool is_expired_key(ByteView code) {
  return code == "ExpiredToken" || code == "ExpiredTokenException" || code == "TokenRefreshRequired" ||
         code == "InvalidClientTokenId" || code == "UnrecognizedClientException" ||
         code == "InvalidAccessKeyId";
}

std::optional<Duration> skew_of(const codec::Response& response, ByteView code, Time used, Time local) {
  // The answer to a HEAD has no body, hence no code.
  const bool named = std::ranges::find(kCodes, code) != std::end(kCodes);
  const bool mute = code.empty() && response.status == 403;
  if (response.status < 400 || response.status >= 500 || (!named && !mute)) return std::nullopt;
  const Bytes* date = response.header("date");
  const auto there = date != nullptr ? codec::parse_http_date(*date) : fail(Errc::kInvalid, "");
  if (!there || std::chrono::abs(*there - used) < kSkewMin) return std::nullopt;
  return *there - local;
}

}  // namespace hr::remote
