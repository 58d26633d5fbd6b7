#include "codec/uri.h"

#include <fmt/format.h>

#include <array>

namespace hr::codec {
namespace {

constexpr auto kUnreserved = [] {
  std::array<bool, 256> keep{};
  for (const char c :
       std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")) {
    keep[static_cast<unsigned char>(c)] = true;
  }
  return keep;
}();

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

enum class Plus : std::uint8_t { kIsPlus, kIsSpace };

Result<Bytes> decode(ByteView text, Plus plus) {
  Bytes out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '+' && plus == Plus::kIsSpace) {
      out.push_back(' ');
    } else if (c != '%') {
      out.push_back(c);
    } else {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) return fail(Errc::kInvalid, fmt::format("a bad percent escape at byte {}", i));
      out.push_back(static_cast<char>(high << 4 | low));
      i += 2;
    }
  }
  return out;
}

Result<Pairs> parse_pairs(ByteView text, PairLimits limits, Plus plus) {
  if (text.size() > limits.bytes_max) {
    return fail(Errc::kLimit, fmt::format("more than {} bytes of parameters", limits.bytes_max));
  }
  Pairs pairs;
  while (!text.empty()) {
    const ByteView piece = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), piece.size() + 1));
    if (piece.empty()) continue;
    if (pairs.size() == limits.pairs_max) {
      return fail(Errc::kLimit, fmt::format("more than {} parameters", limits.pairs_max));
    }
    const std::size_t equals = std::min(piece.find('='), piece.size());
    HR_ASSIGN(Bytes name, decode(piece.substr(0, equals), plus));
    HR_ASSIGN(Bytes value, decode(piece.substr(std::min(piece.size(), equals + 1)), plus));
    pairs.emplace_back(std::move(name), std::move(value));
  }
  return pairs;
}

}  // namespace

void percent_encode_to(Bytes& out, ByteView bytes, Slash slash) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (kUnreserved[byte] || (c == '/' && slash == Slash::kKeep)) {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 0xf]);
    }
  }
}

Bytes percent_encode(ByteView bytes, Slash slash) {
  Bytes out;
  out.reserve(bytes.size() + 16);
  percent_encode_to(out, bytes, slash);
  return out;
}

Result<Bytes> percent_decode(ByteView text) { return decode(text, Plus::kIsPlus); }

Result<Pairs> parse_query(ByteView query, PairLimits limits) {
  return parse_pairs(query, limits, Plus::kIsPlus);
}

Result<Pairs> parse_form(ByteView form, PairLimits limits) {
  return parse_pairs(form, limits, Plus::kIsSpace);
}

Bytes write_pairs(std::span<const std::pair<Bytes, Bytes>> pairs) {
  Bytes out;
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out.push_back('&');
    percent_encode_to(out, name);
    out.push_back('=');
    percent_encode_to(out, value);
  }
  return out;
}

const Bytes* find(const Pairs& pairs, ByteView name) {
  for (const auto& pair : pairs) {
    if (pair.first == name) return &pair.second;
  }
  return nullptr;
}

Result<Target> split_target(ByteView target) {
  if (!target.starts_with('/')) return fail(Errc::kInvalid, "a request target begins with '/'");
  if (target.find('#') != ByteView::npos) return fail(Errc::kInvalid, "a request target has no fragment");
  const std::size_t mark = std::min(target.find('?'), target.size());
  return Target{.path = target.substr(0, mark), .query = target.substr(std::min(target.size(), mark + 1))};
}

}  // namespace hr::codec
