// UTF-8 (RFC 3629): shortest forms, no surrogates, at most U+10FFFF. Asking whether text is valid, and up to
// where, and making it so.
#pragma once

#include "base/bytes.h"

#include <cstddef>

namespace hr::codec {

bool valid_utf8(ByteView text);

// The length of the longest valid beginning: text.size() when all of it is valid.
std::size_t valid_utf8_prefix(ByteView text);

// Every byte that is not part of a valid sequence becomes U+FFFD. Valid text comes back as it is.
Bytes repaired_utf8(ByteView text);

}  // namespace hr::codec
