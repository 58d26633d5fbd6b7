#include "wire/s3_cors.h"

#include "base/result.h"
#include "codec/header_field.h"
#include "wire/s3_xml.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace hr::wire {
namespace {

using codec::XmlNode;

constexpr std::size_t kIdCharsMax = 255;

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").contains(c);
  });
}

bool is_printable(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

std::unexpected<S3Error> refused(std::string message) {
  return s3_fail(S3Code::kInvalidRequest, std::move(message));
}

S3Result<void> check_pattern(std::string_view element, std::string_view text) {
  if (std::ranges::count(text, '*') > 1) {
    return refused(fmt::format("{} \"{}\" can not have more than one wildcard.", element, text));
  }
  if (!is_printable(text))
    return refused(fmt::format("{} \"{}\" contains invalid character.", element, text));
  return {};
}

S3Result<void> take_method(const std::string& method, S3CorsRule& rule) {
  constexpr std::string_view kMethods[] = {"GET", "PUT", "POST", "DELETE", "HEAD"};
  if (std::ranges::find(kMethods, method) == std::end(kMethods)) {
    return refused(
        fmt::format("Found unsupported HTTP method in CORS config. Unsupported method is {}", method));
  }
  rule.methods.push_back(method);
  return {};
}

S3Result<void> take_expose(const std::string& name, S3CorsRule& rule) {
  if (name.contains('*')) {
    return refused(fmt::format(
        "ExposeHeader \"{}\" contains wildcard. We currently do not support wildcard for ExposeHeader.",
        name));
  }
  if (!is_token(name)) return refused(fmt::format("ExposeHeader \"{}\" contains invalid character.", name));
  rule.expose.push_back(name);
  return {};
}

S3Result<void> take_max_age(std::string_view text, S3CorsRule& rule) {
  std::int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size() && !text.empty();
  if (!whole || value < 0 || rule.max_age_s) return s3_fail(S3Code::kMalformedXml);
  rule.max_age_s = value;
  return {};
}

S3Result<void> take_element(const XmlNode& node, S3CorsRule& rule) {
  if (node.name == "AllowedMethod") return take_method(node.text, rule);
  if (node.name == "ExposeHeader") return take_expose(node.text, rule);
  if (node.name == "MaxAgeSeconds") return take_max_age(node.text, rule);
  if (node.name == "ID" && rule.id.empty() && node.text.size() <= kIdCharsMax) {
    rule.id = node.text;
    return {};
  }
  const bool origin = node.name == "AllowedOrigin";
  if (!origin && node.name != "AllowedHeader") return s3_fail(S3Code::kMalformedXml);
  HR_TRY(check_pattern(node.name, node.text));
  (origin ? rule.origins : rule.headers).push_back(node.text);
  return {};
}

// With at most one '*' in the pattern.
bool covers(std::string_view pattern, std::string_view text) {
  const auto star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  return text.size() + 1 >= pattern.size() && text.starts_with(pattern.substr(0, star)) &&
         text.ends_with(pattern.substr(star + 1));
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool allows_headers(const S3CorsRule& rule, std::string_view list) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    const Bytes name = codec::lower_case(trimmed(list.substr(0, comma)));
    const bool allowed = name.empty() || std::ranges::any_of(rule.headers, [&](const std::string& pattern) {
                           return covers(codec::lower_case(pattern), name);
                         });
    if (!allowed) return false;
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  }
  return true;
}

}  // namespace

S3Result<std::vector<S3CorsRule>> parse_cors(ByteView xml) {
  if (xml.size() > kS3CorsXmlBytesMax) return s3_fail(S3Code::kMalformedXml);
  HR_ASSIGN(const XmlNode root, parse_s3_document(xml, "CORSConfiguration"));
  std::vector<S3CorsRule> rules;
  for (const XmlNode& node : root.children) {
    if (node.name != "CORSRule") return s3_fail(S3Code::kMalformedXml);
    if (rules.size() == kS3CorsRulesMax) {
      return refused(fmt::format("The number of CORS rules should not exceed allowed limit of {} rules.",
                                 kS3CorsRulesMax));
    }
    S3CorsRule& rule = rules.emplace_back();
    for (const XmlNode& element : node.children) HR_TRY(take_element(element, rule));
    if (rule.origins.empty() || rule.methods.empty()) return s3_fail(S3Code::kMalformedXml);
  }
  if (rules.empty()) return s3_fail(S3Code::kMalformedXml);
  return rules;
}

Bytes write_cors(std::span<const S3CorsRule> rules) {
  Bytes out;
  codec::XmlWriter xml(out);
  begin_s3_document(xml, "CORSConfiguration");
  for (const S3CorsRule& rule : rules) {
    xml.open("CORSRule");
    if (!rule.id.empty()) xml.element("ID", rule.id);
    for (const auto& text : rule.headers) xml.element("AllowedHeader", text);
    for (const auto& text : rule.methods) xml.element("AllowedMethod", text);
    for (const auto& text : rule.origins) xml.element("AllowedOrigin", text);
    for (const auto& text : rule.expose) xml.element("ExposeHeader", text);
    if (rule.max_age_s) xml.element("MaxAgeSeconds", *rule.max_age_s);
    xml.close();
  }
  xml.close();
  return out;
}

const S3CorsRule* find_cors_rule(std::span<const S3CorsRule> rules, std::string_view origin,
                                 std::string_view method, std::string_view headers) {
  for (const S3CorsRule& rule : rules) {
    const bool fits =
        std::ranges::find(rule.methods, method) != rule.methods.end() &&
        std::ranges::any_of(rule.origins,
                            [&](const std::string& pattern) { return covers(pattern, origin); }) &&
        allows_headers(rule, headers);
    if (fits) return &rule;
  }
  return nullptr;
}

}  // namespace hr::wire
