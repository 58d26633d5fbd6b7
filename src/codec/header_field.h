// One HTTP header field, as views into bytes somebody else holds. Names compare without regard to case;
// nothing here judges whether a name or a value may stand in a header.
#pragma once

#include "base/bytes.h"

#include <span>

namespace hr::codec {

struct HeaderField {
  ByteView name;
  ByteView value;
};
using HeaderFields = std::span<const HeaderField>;

bool same_name(ByteView a, ByteView b);  // ASCII case folded
Bytes lower_case(ByteView text);         // ASCII

// The value of the first such field, or null.
const ByteView* find_header(HeaderFields headers, ByteView name);

}  // namespace hr::codec
