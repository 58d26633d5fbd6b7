// JSON objects of texts and numbers, such as the documents that carry keys: read without simdjson, since the
// Python module, which reads them too, depends on the C library alone. Strict and bounded.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "codec/uri.h"

namespace hr::codec {

inline constexpr std::size_t kFlatJsonBytesMax = 64 * 1024;

// The object's own members: strings decoded, numbers and booleans as they are written; nulls, and what is
// nested, are left out. kInvalid: not one JSON object and nothing else, or a name twice; kLimit: too long,
// too deep. No error shows what the text holds.
Result<Pairs> parse_flat_json(ByteView text);

}  // namespace hr::codec
