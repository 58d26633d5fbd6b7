#include "net/endpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <sys/un.h>

namespace hr::net {
namespace {

std::unexpected<Error> wrong(std::string_view text, std::string_view what) {
  return fail(
      Errc::kInvalid,
      fmt::format("the endpoint '{}' {}; write http://HOST:PORT, https://HOST or unix:/PATH", text, what));
}

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._:%").contains(c);
}

Result<Endpoint> unix_endpoint(std::string_view text) {
  Endpoint out;
  out.text = text;
  out.unix_path = text.substr(5);
  out.host_header = "localhost";
  if (!out.unix_path.starts_with('/') || out.unix_path.size() >= sizeof(sockaddr_un::sun_path)) {
    return wrong(text, "is no absolute path of at most 107 bytes");
  }
  return out;
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  if (text.starts_with("unix:")) return unix_endpoint(text);
  Endpoint out;
  out.text = text;
  out.tls = text.starts_with("https://");
  if (!out.tls && !text.starts_with("http://")) return wrong(text, "has no known scheme");
  std::string_view rest = text.substr(out.tls ? 8 : 7);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  out.host_header = rest;
  const std::size_t bracket = rest.starts_with('[') ? rest.find(']') : 0;
  if (bracket == rest.npos) return wrong(text, "has an address without its ]");
  const std::size_t colon = rest.find(':', bracket);
  out.host = bracket != 0 ? rest.substr(1, bracket - 1) : rest.substr(0, colon);
  const bool closed = bracket == 0 || bracket + 1 == std::min(colon, rest.size());
  if (out.host.empty() || out.host.size() > 253 || !closed || !std::ranges::all_of(out.host, is_host_char) ||
      (bracket == 0 && out.host.contains(':'))) {
    return wrong(text, "is not a host and port");
  }
  if (out.host == "localhost") out.host = "127.0.0.1";
  out.port = out.tls ? 443 : 80;
  if (colon == rest.npos) return out;
  const std::string_view digits = rest.substr(colon + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  if (error != std::errc() || end != digits.data() + digits.size() || out.port == 0) {
    return wrong(text, "is not a host and port");
  }
  return out;
}

}  // namespace hr::net
