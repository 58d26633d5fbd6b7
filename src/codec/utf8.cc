#include "codec/utf8.h"

#include <simdjson.h>

namespace hr::codec {
namespace {

struct Lead {
  std::size_t length;         // of the sequence; 0: not a lead byte
  unsigned char second_from;  // range of the second byte: excludes overlong forms, surrogates, > U+10FFFF
  unsigned char second_to;
};

Lead lead_of(unsigned char c) {
  if (c < 0x80) return {1, 0, 0};
  if (c < 0xC2) return {0, 0, 0};
  if (c < 0xE0) return {2, 0x80, 0xBF};
  if (c == 0xE0) return {3, 0xA0, 0xBF};
  if (c == 0xED) return {3, 0x80, 0x9F};
  if (c < 0xF0) return {3, 0x80, 0xBF};
  if (c == 0xF0) return {4, 0x90, 0xBF};
  if (c < 0xF4) return {4, 0x80, 0xBF};
  if (c == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

unsigned char at(ByteView text, std::size_t i) { return static_cast<unsigned char>(text[i]); }

// The length of the sequence that begins at i; 0 when it is not valid.
std::size_t sequence_at(ByteView text, std::size_t i) {
  const Lead lead = lead_of(at(text, i));
  if (lead.length <= 1) return lead.length;
  if (text.size() - i < lead.length) return 0;
  if (at(text, i + 1) < lead.second_from || at(text, i + 1) > lead.second_to) return 0;
  for (std::size_t k = 2; k < lead.length; ++k) {
    if ((at(text, i + k) & 0xC0) != 0x80) return 0;
  }
  return lead.length;
}

}  // namespace

bool valid_utf8(ByteView text) { return simdjson::validate_utf8(text.data(), text.size()); }

std::size_t valid_utf8_prefix(ByteView text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const std::size_t length = sequence_at(text, i);
    if (length == 0) break;
    i += length;
  }
  return i;
}

Bytes repaired_utf8(ByteView text) {
  Bytes out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t good = valid_utf8_prefix(text);
    out.append(text.substr(0, good));
    text.remove_prefix(good);
    if (!text.empty()) {
      out.append("\xEF\xBF\xBD");
      text.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace hr::codec
