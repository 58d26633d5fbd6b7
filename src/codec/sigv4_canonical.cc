#include "codec/digest.h"
#include "codec/sigv4.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr::codec {
namespace {

// As AWS asks of every service but S3: no empty, "." or ".." segments.
Bytes without_dot_segments(ByteView path) {
  std::vector<ByteView> kept;
  for (ByteView rest = path; !rest.empty();) {
    const ByteView segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), segment.size() + 1));
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!segment.empty() && segment != ".") {
      kept.push_back(segment);
    }
  }
  Bytes out;
  for (const ByteView segment : kept) out.append("/").append(segment);
  if (out.empty() || path.ends_with('/')) out.push_back('/');
  return out;
}

Result<Bytes> canonical_path(ByteView path, PathRule rule) {
  if (rule == PathRule::kOtherDouble) return percent_encode(without_dot_segments(path), Slash::kKeep);
  HR_ASSIGN(const Bytes decoded, percent_decode(path));
  return decoded.empty() ? Bytes("/") : percent_encode(decoded, Slash::kKeep);
}

Result<Bytes> canonical_query(ByteView query) {
  if (query.empty()) return Bytes();
  HR_ASSIGN(Pairs pairs, parse_query(query));
  std::erase_if(pairs, [](const auto& pair) { return pair.first == "X-Amz-Signature"; });
  for (auto& [name, value] : pairs) {
    name = percent_encode(name);
    value = percent_encode(value);
  }
  std::ranges::sort(pairs);
  Bytes out;
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out.push_back('&');
    out.append(name).append("=").append(value);
  }
  return out;
}

bool is_space(char c) { return c == ' ' || c == '\t'; }

bool is_folded(ByteView value) {
  return !value.starts_with(' ') && !value.ends_with(' ') && value.find('\t') == ByteView::npos &&
         value.find("  ") == ByteView::npos;
}

// Without spaces around it, and with one wherever there were several.
void append_folded(Bytes& out, ByteView value) {
  if (is_folded(value)) {
    out.append(value);
    return;
  }
  bool space_before = false;
  const std::size_t from = out.size();
  for (const char c : value) {
    if (is_space(c)) {
      space_before = true;
      continue;
    }
    if (space_before && out.size() > from) out.push_back(' ');
    space_before = false;
    out.push_back(c);
  }
}

Status append_header(Bytes& out, ByteView name, HeaderFields headers) {
  out.append(name);
  char before = ':';
  for (const HeaderField& field : headers) {
    if (!same_name(field.name, name)) continue;
    out.push_back(before);
    append_folded(out, field.value);
    before = ',';
  }
  if (before == ':') return fail(Errc::kInvalid, fmt::format("the signed header {} is not there", name));
  out.push_back('\n');
  return {};
}

}  // namespace

Bytes Scope::text() const {
  Bytes out;
  out.reserve(date.size() + region.size() + service.size() + 16);
  return out.append(date).append("/").append(region).append("/").append(service).append("/aws4_request");
}

PathRule path_rule(ByteView service) {
  return service == "s3" ? PathRule::kS3Single : PathRule::kOtherDouble;
}

Result<Bytes> canonical_request(ByteView method, ByteView path, ByteView query, HeaderFields headers,
                                std::span<const Bytes> signed_headers, ByteView payload_hash, PathRule rule) {
  HR_ASSIGN(const Bytes path_text, canonical_path(path, rule));
  HR_ASSIGN(const Bytes query_text, canonical_query(query));
  Bytes out;
  out.reserve(512);
  out.append(method).append("\n").append(path_text).append("\n").append(query_text).append("\n");
  for (const Bytes& name : signed_headers) HR_TRY(append_header(out, name, headers));
  out.push_back('\n');
  for (const Bytes& name : signed_headers) {
    if (&name != signed_headers.data()) out.push_back(';');
    out.append(name);
  }
  out.append("\n").append(payload_hash);
  return out;
}

SigningKey signing_key(ByteView secret, const Scope& scope) {
  Bytes key = hmac_sha256(Bytes("AWS4").append(secret), scope.date);
  key = hmac_sha256(key, scope.region);
  key = hmac_sha256(key, scope.service);
  key = hmac_sha256(key, "aws4_request");
  SigningKey out;
  std::ranges::copy(key, out.bytes.begin());
  return out;
}

Bytes string_to_sign(ByteView amz_date, const Scope& scope, ByteView canonical_request) {
  Bytes out;
  out.reserve(192);
  out.append("AWS4-HMAC-SHA256\n").append(amz_date).append("\n").append(scope.text()).append("\n");
  return out.append(sha256_hex(canonical_request));
}

Bytes signature(const SigningKey& key, ByteView text) { return to_hex(hmac_sha256(key.view(), text)); }

SigningKeyCache::SigningKeyCache(std::size_t capacity) : capacity_(capacity) {}

SigningKey SigningKeyCache::get(const Credentials& credentials, const Scope& scope) {
  const auto at = std::ranges::find_if(entries_, [&](const Entry& entry) {
    return entry.access_key == credentials.access_key && entry.scope == scope;
  });
  if (at != entries_.end() && at->secret == credentials.secret) {
    entries_.splice(entries_.begin(), entries_, at);
    return at->key;
  }
  if (at != entries_.end()) entries_.erase(at);
  const SigningKey key = signing_key(credentials.secret, scope);
  if (capacity_ == 0) return key;
  if (entries_.size() == capacity_) entries_.pop_back();
  entries_.push_front(
      {.access_key = credentials.access_key, .secret = credentials.secret, .scope = scope, .key = key});
  return key;
}

}  // namespace hr::codec
