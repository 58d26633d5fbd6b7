#include "wire/s3_headers.h"

#include "base/result.h"
#include "codec/base64.h"
#include "codec/time_text.h"
#include "wire/s3_tagging.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>

namespace hr::wire {
namespace {

using codec::HeaderField;
using codec::HeaderFields;

constexpr std::string_view kMetaPrefix = "x-amz-meta-";

bool is_control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto comma = text.find(',');
    if (const auto item = trimmed(text.substr(0, comma)); !item.empty()) out.push_back(item);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return out;
}

std::string_view unquoted(std::string_view tag) {
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') tag = tag.substr(1, tag.size() - 2);
  return tag;
}

bool names_etag(std::string_view list, std::string_view etag) {
  return std::ranges::any_of(split_list(list),
                             [&](std::string_view tag) { return tag == "*" || unquoted(tag) == etag; });
}

// HTTP dates have whole seconds, and so does what S3 shows as Last-Modified.
std::optional<Time> date_of(HeaderFields headers, std::string_view name) {
  const auto text = header(headers, name);
  if (!text) return std::nullopt;
  const auto time = codec::parse_http_date(*text);
  return time ? std::optional(*time) : std::nullopt;
}

Time whole_seconds(Time t) { return std::chrono::floor<std::chrono::seconds>(t); }

// What may stand in an x-amz-* header and is honoured or harmless.
bool is_known(S3Op op, std::string_view name, std::string_view value) {
  constexpr std::string_view kHonoured[] = {"x-amz-checksum-crc32",
                                            "x-amz-checksum-crc32c",
                                            "x-amz-checksum-crc64nvme",
                                            "x-amz-checksum-mode",
                                            "x-amz-checksum-sha1",
                                            "x-amz-checksum-sha256",
                                            "x-amz-content-sha256",
                                            "x-amz-date",
                                            "x-amz-decoded-content-length",
                                            "x-amz-expected-bucket-owner",
                                            "x-amz-optional-object-attributes",
                                            "x-amz-request-payer",
                                            "x-amz-sdk-checksum-algorithm",
                                            "x-amz-security-token",
                                            "x-amz-skip-destination-validation",
                                            "x-amz-te",
                                            "x-amz-trailer",
                                            "x-amz-user-agent"};
  if (std::ranges::find(kHonoured, name) != std::end(kHonoured) || name.starts_with(kMetaPrefix)) return true;
  if (name == "x-amz-acl") return value == "private" || value == "bucket-owner-full-control";
  if (name == "x-amz-storage-class") return value == "STANDARD";
  if (name == "x-amz-bucket-object-lock-enabled") return codec::lower_case(value) == "false";
  if (name == "x-amz-object-ownership") return value == "BucketOwnerEnforced";
  if (name == "x-amz-checksum-type") {
    return op == S3Op::kCreateMultipartUpload || op == S3Op::kCompleteMultipartUpload ||
           (op == S3Op::kPutObject && value == "FULL_OBJECT");
  }
  if (name == "x-amz-checksum-algorithm") {
    return op == S3Op::kCreateMultipartUpload || op == S3Op::kCopyObject;
  }
  if (name.starts_with("x-amz-copy-source-server-side-encryption")) return false;
  if (name.starts_with("x-amz-copy-source") || name == "x-amz-source-expected-bucket-owner") {
    return op == S3Op::kCopyObject || op == S3Op::kUploadPartCopy;
  }
  if (name == "x-amz-metadata-directive" || name == "x-amz-tagging-directive") return op == S3Op::kCopyObject;
  if (name == "x-amz-tagging") {
    return op == S3Op::kPutObject || op == S3Op::kCopyObject || op == S3Op::kCreateMultipartUpload;
  }
  if (name == "x-amz-mp-object-size") return op == S3Op::kCompleteMultipartUpload;
  return false;
}

// Wishes that matter on reads too; other unknown x-amz-* do nothing there.
bool matters_on_reads(std::string_view name) {
  return name.starts_with("x-amz-server-side-encryption") || name.starts_with("x-amz-grant-") ||
         name == "x-amz-acl";
}

bool reads(S3Op op) {
  const std::string_view name = to_string(op);
  return name.starts_with("Get") || name.starts_with("Head") || name.starts_with("List");
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return out;
}

std::unexpected<S3Error> bad_range(std::string_view value, std::uint64_t object_bytes) {
  return s3_fail(
      S3Code::kInvalidRange, {},
      {{"RangeRequested", std::string(value)}, {"ActualObjectSize", std::to_string(object_bytes)}});
}

// Digits too many for a number mean "beyond any object".
std::optional<std::uint64_t> position(std::string_view text) {
  if (text.empty() || !std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  return number(text).value_or(UINT64_MAX);
}

// Content-Encoding without the "aws-chunked" that only describes the transfer.
std::string stored_encoding(std::string_view value) {
  std::string out;
  for (const std::string_view item : split_list(value)) {
    if (codec::lower_case(item) == "aws-chunked") continue;
    if (!out.empty()) out += ", ";
    out += item;
  }
  return out;
}

S3Result<void> take_metadata(const HeaderField& field, const Bytes& name, S3ObjectHeaders& out) {
  const Bytes key = name.substr(kMetaPrefix.size());
  if (key.empty() || std::ranges::any_of(field.value, is_control)) {
    return s3_bad_argument(name, {}, "Metadata needs a name, and a value without control characters.");
  }
  const auto [at, fresh] = out.metadata.try_emplace(key, trimmed(field.value));
  if (!fresh) at->second += fmt::format(",{}", trimmed(field.value));  // as S3 joins repeats
  return {};
}

S3Result<void> check_metadata_size(const std::map<std::string, std::string>& metadata) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : metadata) bytes += name.size() + value.size();
  if (bytes <= kS3MetadataBytesMax) return {};
  return s3_fail(S3Code::kMetadataTooLarge, {},
                 {{"Size", std::to_string(bytes)}, {"MaxSizeAllowed", std::to_string(kS3MetadataBytesMax)}});
}

bool is_stored_header(std::string_view lower) {
  constexpr std::string_view kStored[] = {"cache-control", "content-disposition", "content-encoding",
                                          "content-language", "expires"};
  return std::ranges::find(kStored, lower) != std::end(kStored);
}

S3Result<void> take_checksum(codec::ChecksumAlgorithm algorithm, std::string_view value, S3BodyChecks& out) {
  if (out.algorithm && *out.algorithm != algorithm) {
    return s3_fail(S3Code::kInvalidRequest,
                   "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
  }
  if (!value.empty()) HR_TRY(check_checksum_text(algorithm, value));
  out.algorithm = algorithm;
  if (!value.empty()) out.checksum = value;
  return {};
}

S3Result<void> take_trailers(std::string_view value, S3BodyChecks& out) {
  for (const std::string_view item : split_list(value)) {
    const Bytes name = codec::lower_case(item);
    const auto algorithm = codec::checksum_of_header(name);
    if (!algorithm) {
      return s3_fail(S3Code::kInvalidRequest,
                     "The value specified in the x-amz-trailer header is not supported");
    }
    HR_TRY(take_checksum(*algorithm, {}, out));
    out.trailers.push_back(name);
  }
  return {};
}

S3Result<void> take_md5(std::string_view value, S3BodyChecks& out) {
  auto raw = codec::base64_decode(value);
  if (!raw || raw->size() != codec::Md5::kSize) {
    return s3_fail(S3Code::kInvalidDigest, {}, {{"Content-MD5", std::string(value)}});
  }
  out.md5 = std::move(*raw);
  return {};
}

}  // namespace

std::vector<HeaderField> effective_headers(std::vector<HeaderField> headers, const codec::Pairs& query) {
  constexpr std::string_view kSignatures[] = {
      "x-amz-algorithm",     "x-amz-credential", "x-amz-date",           "x-amz-expires",
      "x-amz-signedheaders", "x-amz-signature",  "x-amz-security-token", "x-amz-content-sha256"};
  for (const auto& [name, value] : query) {
    const Bytes lower = codec::lower_case(name);
    if (lower.starts_with("x-amz-") && std::ranges::find(kSignatures, lower) == std::end(kSignatures)) {
      headers.push_back({name, value});
    }
  }
  return headers;
}

std::optional<std::string_view> header(HeaderFields headers, std::string_view name) {
  const ByteView* value = codec::find_header(headers, name);
  return value ? std::optional<std::string_view>(trimmed(*value)) : std::nullopt;
}

S3Result<void> refuse_unsupported(S3Op op, HeaderFields headers) {
  for (const auto& [name, value] : headers) {
    const Bytes lower = codec::lower_case(name);
    if (!lower.starts_with("x-amz-") || is_known(op, lower, trimmed(value))) continue;
    if (reads(op) && !matters_on_reads(lower)) continue;
    return s3_no_header(lower, fmt::format("{} is not supported here", lower));
  }
  return {};
}

S3Result<std::optional<ByteRange>> parse_range(std::optional<std::string_view> value,
                                               std::uint64_t object_bytes) {
  if (!value || !value->starts_with("bytes=")) return std::nullopt;
  const std::string_view spec = trimmed(value->substr(6));
  const auto dash = spec.find('-');
  if (dash == std::string_view::npos || spec.find(',') != std::string_view::npos) return std::nullopt;
  const auto first = position(spec.substr(0, dash));
  const auto last = position(spec.substr(dash + 1));
  if (dash == 0) {
    if (!last) return std::nullopt;
    if (*last == 0 || object_bytes == 0) return bad_range(*value, object_bytes);
    const std::uint64_t bytes = std::min(*last, object_bytes);
    return ByteRange{object_bytes - bytes, bytes};
  }
  const bool open_ended = dash + 1 == spec.size();
  if (!first || (!last && !open_ended) || (last && *last < *first)) return std::nullopt;
  if (*first >= object_bytes) return bad_range(*value, object_bytes);
  const std::uint64_t end = last ? std::min(*last, object_bytes - 1) : object_bytes - 1;
  return ByteRange{*first, end - *first + 1};
}

S3Result<ReadVerdict> judge_read(HeaderFields headers, std::string_view etag, Time modified) {
  const auto refused = [](std::string_view condition) {
    return s3_fail(S3Code::kPreconditionFailed, {}, {{"Condition", std::string(condition)}});
  };
  const Time shown = whole_seconds(modified);
  if (const auto list = header(headers, "if-match")) {
    if (!names_etag(*list, etag)) return refused("If-Match");
  } else if (const auto date = date_of(headers, "if-unmodified-since"); date && shown > *date) {
    return refused("If-Unmodified-Since");
  }
  if (const auto list = header(headers, "if-none-match")) {
    if (names_etag(*list, etag)) return ReadVerdict::kNotModified;
  } else if (const auto date = date_of(headers, "if-modified-since"); date && shown <= *date) {
    return ReadVerdict::kNotModified;
  }
  return ReadVerdict::kSend;
}

bool range_applies(HeaderFields headers, std::string_view etag, Time modified) {
  const auto condition = header(headers, "if-range");
  if (!condition) return true;
  if (const auto date = codec::parse_http_date(*condition)) return whole_seconds(modified) == *date;
  return !condition->starts_with("W/") && unquoted(*condition) == etag;
}

S3Result<S3WriteCondition> parse_write_condition(HeaderFields headers) {
  S3WriteCondition out;
  for (const std::string_view name : {"if-modified-since", "if-unmodified-since"}) {
    if (const auto value = header(headers, name)) return s3_no_header(name, "not a condition of writes");
  }
  if (const auto value = header(headers, "if-none-match")) {
    if (*value != "*")
      return s3_no_header("If-None-Match",
                          "We don't accept the provided value of If-None-Match header for this API");
    out.if_none_match_any = true;
  }
  if (const auto value = header(headers, "if-match")) {
    if (out.if_none_match_any)
      return s3_no_header("If-Match", "If-Match and If-None-Match exclude each other");
    if (value->empty() || value->find(',') != std::string_view::npos) {
      return s3_no_header("If-Match", "one ETag, or *");
    }
    out.if_match = unquoted(*value);
  }
  return out;
}

S3Result<S3ObjectHeaders> parse_object_headers(HeaderFields headers) {
  S3ObjectHeaders out;
  for (const HeaderField& field : headers) {
    const Bytes name = codec::lower_case(field.name);
    if (name == "content-type") {
      out.content_type = trimmed(field.value);
    } else if (name.starts_with(kMetaPrefix)) {
      HR_TRY(take_metadata(field, name, out));
    } else if (is_stored_header(name)) {
      std::string value =
          name == "content-encoding" ? stored_encoding(field.value) : std::string(trimmed(field.value));
      if (!value.empty()) out.headers[name] = std::move(value);
    }
  }
  if (out.content_type.empty()) out.content_type = "binary/octet-stream";
  HR_TRY(check_metadata_size(out.metadata));
  if (const auto tags = header(headers, "x-amz-tagging")) {
    HR_ASSIGN(out.tags, parse_tagging_header(*tags));
  }
  return out;
}

S3Result<S3BodyChecks> parse_body_checks(HeaderFields headers) {
  S3BodyChecks out;
  for (const auto& [name, value] : headers) {
    const Bytes lower = codec::lower_case(name);
    if (lower == "content-md5") HR_TRY(take_md5(trimmed(value), out));
    if (lower == "x-amz-trailer") HR_TRY(take_trailers(value, out));
    const auto algorithm = codec::checksum_of_header(lower);
    if (!algorithm) continue;
    if (trimmed(value).empty())
      return s3_fail(S3Code::kInvalidRequest, fmt::format("Value for {} header is invalid.", lower));
    HR_TRY(take_checksum(*algorithm, trimmed(value), out));
  }
  const auto sdk = header(headers, "x-amz-sdk-checksum-algorithm");
  if (!sdk) return out;
  const auto asked = codec::parse_checksum_algorithm(*sdk);
  if (!asked || (out.algorithm && *out.algorithm != *asked)) {
    return s3_fail(S3Code::kInvalidRequest, "Value for x-amz-sdk-checksum-algorithm header is invalid.");
  }
  if (!out.algorithm) {
    return s3_fail(S3Code::kInvalidRequest,
                   "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
                   "x-amz-trailer headers were found.");
  }
  return out;
}

S3Result<void> check_checksum_text(codec::ChecksumAlgorithm algorithm, ByteView text) {
  const auto raw = codec::base64_decode(text);
  if (raw && raw->size() == codec::checksum_size(algorithm)) return {};
  return s3_fail(S3Code::kInvalidRequest,
                 fmt::format("Value for {} header is invalid.", codec::checksum_header(algorithm)));
}

S3Error checksum_mismatch(codec::ChecksumAlgorithm algorithm) {
  return {
      S3Code::kBadDigest,
      fmt::format("The {} you specified did not match the calculated checksum.", codec::to_string(algorithm)),
      {}};
}

S3Result<std::uint64_t> parse_length(std::string_view name, std::string_view text) {
  const auto value = position(text);
  if (!value) return s3_bad_argument(name, text, fmt::format("{} must be a number of bytes.", name));
  return *value;
}

S3Result<codec::Pairs> response_overrides(const codec::Pairs& query) {
  constexpr std::string_view kPrefix = "response-";
  codec::Pairs out;
  for (const auto& [name, value] : query) {
    if (!name.starts_with(kPrefix)) continue;
    if (std::ranges::any_of(value, is_control)) {
      return s3_bad_argument(name, {}, "A response header must not hold control characters.");
    }
    out.emplace_back(name.substr(kPrefix.size()), value);
  }
  return out;
}

}  // namespace hr::wire
