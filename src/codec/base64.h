// Base64 (RFC 4648, section 4) and hexadecimal text. Decoding is strict: padding required, no line breaks,
// no bits left over, so that one value has one text.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

namespace hr::codec {

Bytes base64_encode(ByteView bytes);
Result<Bytes> base64_decode(ByteView text);

Result<Bytes> from_hex(ByteView text);  // either case; the other way is hr::to_hex

}  // namespace hr::codec
