#include "wire/s3_target.h"

#include "base/result.h"
#include "codec/header_field.h"
#include "codec/utf8.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr::wire {
namespace {

// Without the port; an IPv6 address in brackets has no bucket in front of it anyway.
std::string_view host_name(std::string_view host) {
  const auto colon = host.rfind(':');
  return colon == std::string_view::npos || host.ends_with(']') ? host : host.substr(0, colon);
}

// The part of the host in front of the longest domain that it ends with; empty when there is none.
std::string bucket_of_host(std::string_view host, std::span<const std::string> domains) {
  const Bytes name = codec::lower_case(host_name(host));
  std::string_view best;
  for (const std::string& domain : domains) {
    if (name == domain) return {};
    const bool below = name.size() > domain.size() + 1 && name.ends_with(domain) &&
                       name[name.size() - domain.size() - 1] == '.';
    if (below && domain.size() > best.size()) best = domain;
  }
  return best.empty() ? std::string() : name.substr(0, name.size() - best.size() - 1);
}

S3Result<std::string> decoded(std::string_view text) {
  auto bytes = codec::percent_decode(text);
  if (!bytes) return s3_fail(S3Code::kInvalidUri, {}, {{"URI", std::string(text)}});
  return std::move(*bytes);
}

S3Result<std::string> decoded_key(std::string_view text) {
  HR_ASSIGN(std::string key, decoded(text));
  if (!key.empty()) HR_TRY(check_key(key));
  return key;
}

// "/bucket/key" or, with the bucket in the host, "/key".
S3Result<void> split_path(S3Target& out) {
  std::string_view rest = out.path.substr(1);
  if (!out.bucket_in_host) {
    const auto slash = rest.find('/');
    HR_ASSIGN(out.bucket, decoded(rest.substr(0, slash)));
    if (slash != std::string_view::npos && out.bucket.empty()) return s3_fail(S3Code::kInvalidBucketName);
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  }
  HR_ASSIGN(out.key, decoded_key(rest));
  return {};
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_char(char c) { return (c >= 'a' && c <= 'z') || is_digit(c) || c == '.' || c == '-'; }

// Four runs of digits: AWS refuses whatever looks like an IPv4 address.
bool looks_like_address(std::string_view name) {
  return std::ranges::count(name, '.') == 3 &&
         std::ranges::all_of(name, [](char c) { return is_digit(c) || c == '.'; });
}

bool has_reserved_affix(std::string_view name) {
  constexpr std::string_view kPrefixes[] = {"xn--", "sthree-", "amzn-s3-demo-"};
  constexpr std::string_view kSuffixes[] = {"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"};
  return std::ranges::any_of(kPrefixes, [&](auto prefix) { return name.starts_with(prefix); }) ||
         std::ranges::any_of(kSuffixes, [&](auto suffix) { return name.ends_with(suffix); });
}

}  // namespace

S3Result<S3Target> parse_s3_target(std::string_view target, std::string_view host,
                                   std::span<const std::string> domains) {
  const auto parts = codec::split_target(target);
  if (!parts) return s3_fail(S3Code::kInvalidUri, {}, {{"URI", std::string(target)}});
  S3Target out;
  out.path = parts->path;
  out.raw_query = parts->query;
  auto query = codec::parse_query(parts->query);
  if (!query) return s3_fail(S3Code::kInvalidUri, {}, {{"URI", std::string(parts->query)}});
  out.query = std::move(*query);
  out.bucket = bucket_of_host(host, domains);
  out.bucket_in_host = !out.bucket.empty();
  HR_TRY(split_path(out));
  return out;
}

S3Result<void> check_bucket_name(std::string_view name) {
  const bool shape = name.size() >= 3 && name.size() <= 63 && std::ranges::all_of(name, is_name_char) &&
                     (is_digit(name.front()) || (name.front() >= 'a' && name.front() <= 'z')) &&
                     (is_digit(name.back()) || (name.back() >= 'a' && name.back() <= 'z')) &&
                     name.find("..") == std::string_view::npos && !looks_like_address(name) &&
                     !has_reserved_affix(name);
  if (!shape) return s3_fail(S3Code::kInvalidBucketName, {}, {{"BucketName", std::string(name)}});
  return {};
}

S3Result<void> check_key(std::string_view key) {
  if (key.size() > kS3KeyBytesMax) {
    return s3_fail(
        S3Code::kKeyTooLong, {},
        {{"Size", std::to_string(key.size())}, {"MaxSizeAllowed", std::to_string(kS3KeyBytesMax)}});
  }
  if (key.empty()) return s3_bad_argument("Key", key, "A key must have at least one byte");
  if (key.find('\0') != std::string_view::npos || !codec::valid_utf8(key)) {
    return s3_fail(S3Code::kInvalidUri, "A key must be UTF-8 without NUL.");
  }
  return {};
}

S3Result<S3CopySource> parse_copy_source(std::string_view value) {
  constexpr std::string_view kVersion = "?versionId=";
  const auto bad = [&](std::string message) {
    return s3_bad_argument("x-amz-copy-source", value, std::move(message));
  };
  std::string_view path = value;
  std::optional<std::string> version;
  if (const auto at = value.find(kVersion); at != std::string_view::npos) {
    path = value.substr(0, at);
    version = value.substr(at + kVersion.size());
    if (version->empty()) return bad("Version id cannot be the empty string");
  }
  if (path.starts_with('/')) path.remove_prefix(1);
  const auto text = decoded(path);
  if (!text || text->starts_with("arn:")) return bad("Invalid copy source encoding.");
  const auto slash = text->find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text->size()) {
    return bad("Invalid copy source object key");
  }
  S3CopySource out{
      .bucket = text->substr(0, slash), .key = text->substr(slash + 1), .version = std::move(version)};
  HR_TRY(check_bucket_name(out.bucket));
  HR_TRY(check_key(out.key));
  return out;
}

}  // namespace hr::wire
