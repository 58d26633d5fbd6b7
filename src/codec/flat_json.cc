#include "codec/flat_json.h"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace hr::codec {
namespace {

constexpr int kDepthMax = 16;

void append_utf8(Bytes& out, std::uint32_t point) {
  const auto byte = [&](std::uint32_t value) { out += static_cast<char>(value); };
  if (point < 0x80) return byte(point);
  if (point < 0x800) {
    byte(0xc0 | point >> 6);
  } else {
    if (point < 0x10000) {
      byte(0xe0 | point >> 12);
    } else {
      byte(0xf0 | point >> 18);
      byte(0x80 | (point >> 12 & 0x3f));
    }
    byte(0x80 | (point >> 6 & 0x3f));
  }
  byte(0x80 | (point & 0x3f));
}

// Of one character (RFC 3629); 0: none that is well-formed. codec/utf8.h would bring simdjson.
std::size_t character_bytes(ByteView text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned first = at(0);
  const auto follows = [&](std::size_t i, unsigned least, unsigned most) {
    return at(i) >= least && at(i) <= most;
  };
  const auto rest = [&](std::size_t i) { return follows(i, 0x80, 0xbf); };
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return rest(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    return follows(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf) && rest(2) ? 3 : 0;
  }
  if (first < 0xf0 || first > 0xf4) return 0;
  return follows(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf) && rest(2) && rest(3) ? 4 : 0;
}

bool is_utf8(ByteView text) {
  while (!text.empty()) {
    const std::size_t bytes = character_bytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

class Reader {
 public:
  explicit Reader(ByteView text) : rest_(text) {}

  Result<Pairs> document() {
    Pairs out;
    if (!take('{') || !members(&out, 1) || !at_end()) {
      return fail(too_deep_ ? Errc::kLimit : Errc::kInvalid, "this is not one JSON object");
    }
    return out;
  }

 private:
  void space() {
    const auto from = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(std::min(from, rest_.size()));
  }
  bool at_end() {
    space();
    return rest_.empty();
  }
  bool take(char c) {
    space();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  // After the '{'. Null: they are passed over.
  bool members(Pairs* out, int depth) {
    if (take('}')) return true;
    do {
      space();
      const auto name = string();
      if (!name || !take(':')) return false;
      std::optional<Bytes> value;
      if (!any(value, depth)) return false;
      if (out == nullptr) continue;
      if (find(*out, *name) != nullptr) return false;
      if (value) out->emplace_back(*name, std::move(*value));
    } while (take(','));
    return take('}');
  }

  bool elements(int depth) {
    if (take(']')) return true;
    do {
      std::optional<Bytes> ignored;
      if (!any(ignored, depth)) return false;
    } while (take(','));
    return take(']');
  }

  bool any(std::optional<Bytes>& value, int depth) {
    space();
    if (rest_.starts_with('"')) {
      value = string();
      return value.has_value();
    }
    if (rest_.starts_with('{') || rest_.starts_with('[')) {
      if (depth >= kDepthMax) {
        too_deep_ = true;
        return false;
      }
      return take('{') ? members(nullptr, depth + 1) : take('[') && elements(depth + 1);
    }
    return word(value);
  }

  bool word(std::optional<Bytes>& value) {
    const auto size = std::min(rest_.find_first_of(",}] \t\r\n"), rest_.size());
    const ByteView text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    if (text == "null") return true;
    const bool number =
        !text.empty() && text.size() <= 32 && (text.front() == '-' || is_digit(text.front())) &&
        is_digit(text.back()) &&
        std::ranges::all_of(text, [](char c) { return is_digit(c) || ByteView("+-.eE").contains(c); });
    if (!number && text != "true" && text != "false") return false;
    value = text;
    return true;
  }

  static bool is_digit(char c) { return c >= '0' && c <= '9'; }

  std::optional<Bytes> string() {
    if (!rest_.starts_with('"')) return std::nullopt;
    rest_.remove_prefix(1);
    Bytes out;
    for (;;) {
      const auto plain = rest_.find_first_of("\"\\");
      if (plain == rest_.npos) return std::nullopt;
      const ByteView part = rest_.substr(0, plain);
      if (std::ranges::any_of(part, [](char c) { return static_cast<unsigned char>(c) < 0x20; })) {
        return std::nullopt;
      }
      out += part;
      const bool ends = rest_[plain] == '"';
      rest_.remove_prefix(plain + 1);
      if (ends) break;
      if (!escape(out)) return std::nullopt;
    }
    return is_utf8(out) ? std::optional(out) : std::nullopt;
  }

  bool escape(Bytes& out) {
    if (rest_.empty()) return false;
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == 'u') {
      const auto point = code_point();
      if (point) append_utf8(out, *point);
      return point.has_value();
    }
    constexpr ByteView kNames = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
    const auto at = kNames.find(c);
    if (at == kNames.npos) return false;
    out += kMeant[at];
    return true;
  }

  std::optional<std::uint32_t> unit() {
    std::uint32_t out = 0;
    if (rest_.size() < 4) return std::nullopt;
    for (const char c : rest_.substr(0, 4)) {
      const auto digit =
          ByteView("0123456789abcdef").find(c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c);
      if (digit == ByteView::npos) return std::nullopt;
      out = out << 4 | static_cast<std::uint32_t>(digit);
    }
    rest_.remove_prefix(4);
    return out;
  }

  std::optional<std::uint32_t> code_point() {
    const auto high = unit();
    if (!high || (*high >= 0xdc00 && *high < 0xe000)) return std::nullopt;
    if (*high < 0xd800 || *high >= 0xe000) return high;
    if (!rest_.starts_with("\\u")) return std::nullopt;
    rest_.remove_prefix(2);
    const auto low = unit();
    if (!low || *low < 0xdc00 || *low >= 0xe000) return std::nullopt;
    return 0x10000 + ((*high - 0xd800) << 10) + (*low - 0xdc00);
  }

  ByteView rest_;
  bool too_deep_ = false;
};

}  // namespace

Result<Pairs> parse_flat_json(ByteView text) {
  if (text.size() > kFlatJsonBytesMax) return fail(Errc::kLimit, "this JSON is too long");
  return Reader(text).document();
}

}  // namespace hr::codec
