// The members of a request, typed. Missing and null are the same; a member of another kind is an error.
#pragma once

#include "base/bytes.h"
#include "codec/json.h"
#include "wire/sqs_error.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace hr::wire::sqs {

// The text of that member, empty when there is none.
Outcome<Bytes> text_of(const codec::Json& members, ByteView name);
Outcome<Bytes> required_text(const codec::Json& members, ByteView name);

// A number, or text that is one (the Query protocol has only text).
Outcome<std::optional<std::int64_t>> integer_of(const codec::Json& members, ByteView name);
// The same, from `low` to `high`; `reason` ends the sentence of the error.
Outcome<std::optional<int>> integer_in(const codec::Json& members, ByteView name, int low, int high,
                                       ByteView reason);

// Null when there is none.
Outcome<const codec::Json::Array*> array_of(const codec::Json& members, ByteView name);
Outcome<const codec::Json::Object*> object_of(const codec::Json& members, ByteView name);

Outcome<std::vector<Bytes>> texts_of(const codec::Json& members, ByteView name);

// Decimal digits with an optional sign, nothing else.
std::optional<std::int64_t> parse_integer(ByteView text);

}  // namespace hr::wire::sqs
