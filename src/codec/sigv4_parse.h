// The readers of signature claims with the error codes that verification answers; sigv4.h has them with plain
// ones.
#pragma once

#include "codec/sigv4.h"

#include <expected>

namespace hr::codec::detail {

inline std::unexpected<AuthError> refuse(AuthErrc code, Bytes message) {
  return std::unexpected(AuthError{code, std::move(message)});
}

std::expected<SignatureClaim, AuthError> claim_of_header(ByteView header_value);
std::expected<SignatureClaim, AuthError> claim_of_query(const Pairs& query);

bool is_sha256_hex(ByteView text);  // 64 lower-case digits

// The value of a parameter or header that must not be there twice; null when it is absent.
std::expected<const Bytes*, AuthError> only(const Pairs& pairs, ByteView name);
std::expected<const ByteView*, AuthError> only(HeaderFields headers, ByteView name);

}  // namespace hr::codec::detail
