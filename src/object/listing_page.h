// What the listings share: how large a page may be, and under which common prefix a key is shown.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace hr::object {

inline constexpr std::size_t kPageMax = 1000;

// The common prefix that `key` falls under, delimiter included; none: the key is listed by itself.
template <class Request>
std::optional<std::string_view> common_prefix(const Request& request, std::string_view key) {
  if (request.delimiter.empty() || !key.starts_with(request.prefix)) return std::nullopt;
  const std::size_t at = key.find(request.delimiter, request.prefix.size());
  if (at == std::string_view::npos) return std::nullopt;
  return key.substr(0, at + request.delimiter.size());
}

}  // namespace hr::object
