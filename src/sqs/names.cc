#include "sqs/names.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr::sqs {
namespace {

constexpr std::size_t kHostBytesMax = 255;

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
         c == '_' || c == ':' || c == '[' || c == ']';
}

}  // namespace

std::optional<QueueName> parse_queue_url(ByteView url) {
  if (const auto scheme = url.find("://"); scheme != url.npos) {
    const auto path = url.find('/', scheme + 3);
    if (path == url.npos) return std::nullopt;
    url.remove_prefix(path);
  }
  if (!url.starts_with('/') || url.find_first_of("?#") != url.npos) return std::nullopt;
  url.remove_prefix(1);
  if (url.ends_with('/')) url.remove_suffix(1);
  const auto slash = url.find('/');
  if (slash == url.npos || slash == 0 || slash + 1 == url.size()) return std::nullopt;
  if (url.find('/', slash + 1) != url.npos) return std::nullopt;
  return QueueName{Bytes(url.substr(0, slash)), Bytes(url.substr(slash + 1))};
}

Bytes base_url(ByteView host_header) {
  const bool usable = !host_header.empty() && host_header.size() <= kHostBytesMax &&
                      std::ranges::all_of(host_header, is_host_char);
  return fmt::format("http://{}", usable ? host_header : ByteView("localhost"));
}

Bytes queue_url(ByteView base, ByteView account, ByteView name) {
  return fmt::format("{}/{}/{}", base, account, name);
}

Bytes queue_arn(ByteView region, ByteView account, ByteView name) {
  return fmt::format("arn:aws:sqs:{}:{}:{}", region, account, name);
}

std::optional<QueueName> parse_queue_arn(ByteView arn, ByteView region) {
  const Bytes prefix = fmt::format("arn:aws:sqs:{}:", region);
  if (!arn.starts_with(prefix)) return std::nullopt;
  arn.remove_prefix(prefix.size());
  const auto colon = arn.find(':');
  if (colon == arn.npos || colon == 0 || colon + 1 == arn.size()) return std::nullopt;
  return QueueName{Bytes(arn.substr(0, colon)), Bytes(arn.substr(colon + 1))};
}

}  // namespace hr::sqs
