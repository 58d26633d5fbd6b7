// Percent-encoding as AWS writes it, and the two texts made of name=value pairs: URL queries, where '+' is a
// plus, and forms (application/x-www-form-urlencoded), where '+' is a space. A bad escape is an error, never
// passed through, so that the signature, the policy and the store see the same bytes.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace hr::codec {

using Pairs = std::vector<std::pair<Bytes, Bytes>>;  // in the order sent; names may repeat

enum class Slash : std::uint8_t { kEncode, kKeep };

// Keeps A-Z a-z 0-9 - . _ ~ (and '/' when asked); all else becomes %XX, upper case.
Bytes percent_encode(ByteView bytes, Slash slash = Slash::kEncode);
void percent_encode_to(Bytes& out, ByteView bytes, Slash slash = Slash::kEncode);
Result<Bytes> percent_decode(ByteView text);

struct PairLimits {
  std::size_t bytes_max = 16 * 1024;  // of the whole text
  std::size_t pairs_max = 256;
};

// Empty pieces ("a&&b") are skipped; a name without '=' has an empty value.
Result<Pairs> parse_query(ByteView query, PairLimits limits = {});
Result<Pairs> parse_form(ByteView form, PairLimits limits = {});

// "a=b&c=d" with AWS encoding, which both readers above understand.
Bytes write_pairs(std::span<const std::pair<Bytes, Bytes>> pairs);

// The first value under the name, or null. Names are case-sensitive.
const Bytes* find(const Pairs& pairs, ByteView name);

// The two parts of a request target in origin form ("/path?query"), still encoded; views into the target.
struct Target {
  ByteView path;   // begins with '/'
  ByteView query;  // without the '?'
};
Result<Target> split_target(ByteView target);

}  // namespace hr::codec
