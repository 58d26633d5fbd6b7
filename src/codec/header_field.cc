#include "codec/header_field.h"

#include <algorithm>

namespace hr::codec {
namespace {

char folded(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

bool same_name(ByteView a, ByteView b) {
  return std::ranges::equal(a, b, [](char x, char y) { return folded(x) == folded(y); });
}

Bytes lower_case(ByteView text) {
  Bytes out(text);
  for (char& c : out) c = folded(c);
  return out;
}

const ByteView* find_header(HeaderFields headers, ByteView name) {
  for (const HeaderField& field : headers) {
    if (same_name(field.name, name)) return &field.value;
  }
  return nullptr;
}

}  // namespace hr::codec
