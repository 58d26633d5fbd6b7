#include "wire/s3_tagging.h"

#include "base/result.h"
#include "codec/uri.h"
#include "codec/utf8.h"
#include "wire/s3_xml.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hr::wire {
namespace {

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

// Letters, digits and spaces of any script, and a few signs.
bool allowed(char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x80) return true;
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view(" \t_.:/=+-@").contains(c);
}

bool good_text(std::string_view text, std::size_t chars_max) {
  return codec::valid_utf8(text) && characters(text) <= chars_max && std::ranges::all_of(text, allowed);
}

S3Result<void> add(std::string key, std::string value, std::size_t tags_max, S3Tags& out) {
  HR_TRY(check_tag(key, value));
  if (out.contains(key)) {
    return s3_fail(S3Code::kInvalidTag, "Cannot provide multiple Tags with the same key", {{"TagKey", key}});
  }
  if (out.size() == tags_max) {
    return s3_fail(S3Code::kBadRequest,
                   tags_max == kS3ObjectTagsMax
                       ? fmt::format("Object tags cannot be greater than {}", tags_max)
                       : fmt::format("Bucket tag count cannot be greater than {}", tags_max));
  }
  out.emplace(std::move(key), std::move(value));
  return {};
}

}  // namespace

S3Result<void> check_tag(std::string_view key, std::string_view value) {
  if (key.starts_with("aws:")) {
    return s3_fail(S3Code::kInvalidTag, "System tags cannot be added/updated by requester",
                   {{"TagKey", std::string(key)}});
  }
  if (key.empty() || !good_text(key, kS3TagKeyCharsMax)) {
    return s3_fail(S3Code::kInvalidTag, "The TagKey you have provided is invalid",
                   {{"TagKey", std::string(key)}});
  }
  if (!good_text(value, kS3TagValueCharsMax)) {
    return s3_fail(S3Code::kInvalidTag, "The TagValue you have provided is invalid",
                   {{"TagKey", std::string(key)}, {"TagValue", std::string(value)}});
  }
  return {};
}

S3Result<S3Tags> parse_tagging(ByteView xml, std::size_t tags_max) {
  HR_ASSIGN(const codec::XmlNode root, parse_s3_document(xml, "Tagging"));
  if (root.children.size() != 1 || root.children.front().name != "TagSet") {
    return s3_fail(S3Code::kMalformedXml);
  }
  S3Tags out;
  for (const codec::XmlNode& tag : root.children.front().children) {
    const Bytes* key = tag.child_text("Key");
    const Bytes* value = tag.child_text("Value");
    if (tag.name != "Tag" || !key || !value || tag.children.size() != 2)
      return s3_fail(S3Code::kMalformedXml);
    HR_TRY(add(*key, *value, tags_max, out));
  }
  return out;
}

S3Result<S3Tags> parse_tagging_header(std::string_view value) {
  constexpr std::string_view kRule =
      "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag "
      "name duplicates.";
  auto pairs = codec::parse_form(value);
  if (!pairs) return s3_bad_argument("x-amz-tagging", value, std::string(kRule));
  S3Tags out;
  for (auto& [key, text] : *pairs) {
    if (out.contains(key)) return s3_bad_argument("x-amz-tagging", value, std::string(kRule));
    HR_TRY(add(std::move(key), std::move(text), kS3ObjectTagsMax, out));
  }
  return out;
}

Bytes write_tagging(const S3Tags& tags) {
  Bytes out;
  codec::XmlWriter xml(out);
  begin_s3_document(xml, "Tagging").open("TagSet");
  for (const auto& [key, value] : tags) xml.open("Tag").element("Key", key).element("Value", value).close();
  xml.close().close();
  return out;
}

}  // namespace hr::wire
