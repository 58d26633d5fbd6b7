// A request made of the input's lines (method, path, query, then "name:value" headers): verifying it must not
// break, must not succeed unless the key's secret was used, and signing it ourselves must succeed.
#include "base/check.h"
#include "codec/sigv2.h"
#include "codec/sigv4.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

using namespace hr::codec;

constexpr hr::Time kNow = hr::from_ms(1'767'323'045'000);  // 2026-01-02T03:04:05Z
const Credentials kKey{
    .access_key = "AKIDEXAMPLE", .secret = "secret that no seed has used", .session_token = ""};

hr::ByteView line(hr::ByteView& text) {
  const hr::ByteView front = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), front.size() + 1));
  return front;
}

struct Input {
  hr::ByteView method;
  hr::ByteView path;
  hr::ByteView query;
  std::vector<HeaderField> headers;
};

Input split(hr::ByteView text) {
  Input input{.method = line(text), .path = line(text), .query = line(text), .headers = {}};
  while (!text.empty()) {
    const hr::ByteView field = line(text);
    const std::size_t colon = std::min(field.find(':'), field.size());
    input.headers.push_back({field.substr(0, colon), field.substr(std::min(field.size(), colon + 1))});
  }
  return input;
}

// Signs what can be signed and expects it to be accepted.
void check_own_signature(const Input& input, SigningKeyCache& cache, const KeyLookup& lookup) {
  for (const hr::ByteView service : {"s3", "sqs"}) {
    const SignOptions options{
        .service = service, .region = "local", .now = kNow, .payload_hash = kEmptySha256};
    const auto made = sign(input.method, input.path, input.query, input.headers, kKey, options);
    if (!made || auth_kind(input.query, input.headers) != AuthKind::kNone) continue;
    std::vector<HeaderField> headers = input.headers;
    for (const auto& [name, value] : made->add) headers.push_back({name, value});
    const SignedRequest request{.method = input.method,
                                .path = input.path,
                                .query = input.query,
                                .headers = headers,
                                .body_sha256 = kEmptySha256};
    const auto verified = verify(request, lookup, kNow, cache);
    // Names and parameters that cannot be sent, or that verification reserves for itself, may be refused.
    HR_CHECK(verified || verified.error().code != AuthErrc::kBadSignature);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const hr::ByteView text(reinterpret_cast<const char*>(data), size);
  const Input input = split(text);
  const KeyLookup lookup = [](hr::ByteView key) { return key == kKey.access_key ? &kKey : nullptr; };
  SigningKeyCache cache(4);
  const SignedRequest request{.method = input.method,
                              .path = input.path,
                              .query = input.query,
                              .headers = input.headers,
                              .body_sha256 = kEmptySha256};
  HR_CHECK(!verify(request, lookup, kNow, cache));
  const V2Request v2{.method = input.method,
                     .path = input.path,
                     .query = input.query,
                     .headers = input.headers,
                     .host_bucket = {}};
  HR_CHECK(!verify_v2_presigned(v2, lookup, kNow));
  static_cast<void>(parse_authorization(text));
  check_own_signature(input, cache, lookup);
  return 0;
}
