#include "wire/s3_post.h"

#include "base/result.h"
#include "codec/base64.h"
#include "codec/header_field.h"
#include "codec/json.h"
#include "codec/time_text.h"
#include "wire/s3_xml.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace hr::wire {
namespace {

using codec::Json;

constexpr std::size_t kConditionsMax = 256;

std::unexpected<S3Error> bad_policy(std::string_view why) {
  return s3_fail(S3Code::kInvalidPolicyDocument, fmt::format("Invalid Policy: {}", why));
}

std::unexpected<S3Error> denied(std::string why) {
  return s3_fail(S3Code::kAccessDenied, "Invalid according to Policy: " + std::move(why));
}

std::string_view name_of(const S3PostCondition& condition) {
  return condition.test == S3PostCondition::Test::kEquals ? "eq" : "starts-with";
}

// A number, or a text that is one.
std::optional<std::uint64_t> length_of(const Json& value) {
  if (const auto number = value.as_int()) {
    if (*number < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*number);
  }
  const Bytes* text = value.as_string();
  if (!text) return std::nullopt;
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), out);
  if (error != std::errc() || end != text->data() + text->size() || text->empty()) return std::nullopt;
  return out;
}

S3Result<void> take_list(const Json::Array& list, S3PostPolicy& out) {
  const Bytes* test = list.size() == 3 ? list[0].as_string() : nullptr;
  if (!test) return bad_policy("Invalid Condition: a list of three was expected.");
  const Bytes lower = codec::lower_case(*test);
  if (lower == "content-length-range") {
    const auto least = length_of(list[1]), most = length_of(list[2]);
    if (!least || !most || out.length) return bad_policy("Invalid content-length-range.");
    out.length = {*least, *most};
    return {};
  }
  const Bytes* field = list[1].as_string();
  const Bytes* value = list[2].as_string();
  if ((lower != "eq" && lower != "starts-with") || !field || !value || !field->starts_with('$')) {
    return bad_policy(fmt::format("Invalid Condition: unknown operation {}.", *test));
  }
  const auto kind = lower == "eq" ? S3PostCondition::Test::kEquals : S3PostCondition::Test::kStartsWith;
  out.conditions.push_back({kind, codec::lower_case(ByteView(*field).substr(1)), *value});
  return {};
}

S3Result<void> take_object(const Json::Object& object, S3PostPolicy& out) {
  if (object.empty()) return bad_policy("Invalid Simple-Condition: empty.");
  for (const auto& [name, value] : object) {
    const Bytes* text = value.as_string();
    if (!text) return bad_policy("Invalid Simple-Condition: value must be a string.");
    out.conditions.push_back({S3PostCondition::Test::kEquals, codec::lower_case(name), *text});
  }
  return {};
}

bool holds(const S3PostCondition& condition, std::string_view value) {
  if (condition.test == S3PostCondition::Test::kEquals) return value == condition.value;
  if (condition.field != "content-type") return value.starts_with(condition.value);
  // A list of types: each of them.
  while (true) {
    const auto comma = value.find(',');
    if (!value.substr(0, comma).starts_with(condition.value)) return false;
    if (comma == std::string_view::npos) return true;
    value = value.substr(comma + 1);
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  }
}

bool needs_no_condition(std::string_view field) {
  constexpr std::string_view kFree[] = {"policy",          "file",           "signature",
                                        "x-amz-signature", "awsaccesskeyid", "bucket"};
  return std::ranges::find(kFree, field) != std::end(kFree) || field.starts_with("x-ignore-");
}

}  // namespace

S3Result<S3FormFields> form_fields(const std::vector<std::pair<Bytes, Bytes>>& sent) {
  S3FormFields out;
  for (const auto& [name, value] : sent) {
    const auto [at, fresh] = out.try_emplace(codec::lower_case(name), value);
    if (!fresh) return s3_bad_argument(name, {}, "A form field must not be there twice.");
  }
  return out;
}

void expand_filename(S3FormFields& fields, std::string_view file_name) {
  constexpr std::string_view kVariable = "${filename}";
  if (const auto slash = file_name.find_last_of("/\\"); slash != std::string_view::npos) {
    file_name = file_name.substr(slash + 1);
  }
  for (auto& [name, value] : fields) {
    if (name == "policy" || needs_no_condition(name)) continue;
    for (std::size_t at = 0; (at = value.find(kVariable, at)) != std::string::npos; at += file_name.size()) {
      value.replace(at, kVariable.size(), file_name);
    }
  }
}

S3Result<S3PostPolicy> parse_post_policy(ByteView base64) {
  const auto text = codec::base64_decode(base64);
  if (!text) return bad_policy("it is not base64.");
  const auto json = codec::parse_json(*text);
  if (!json || !json->is_object()) return bad_policy("Invalid JSON.");
  const Json* expiration = json->find("expiration");
  const Bytes* date = expiration ? expiration->as_string() : nullptr;
  if (!date) return bad_policy("Policy missing expiration.");
  const auto expires = codec::parse_iso8601(*date);
  if (!expires) return bad_policy(fmt::format("Invalid 'expiration' value: '{}'", *date));
  const Json* conditions = json->find("conditions");
  const Json::Array* list = conditions ? conditions->as_array() : nullptr;
  if (!list) return bad_policy("Policy missing conditions.");
  if (list->size() > kConditionsMax) return bad_policy("too many conditions.");
  if (json->as_object()->size() != 2) return bad_policy("Unexpected: an element besides these two.");
  S3PostPolicy out{.expires = *expires, .conditions = {}, .length = {}};
  for (const Json& one : *list) {
    if (const auto* array = one.as_array()) {
      HR_TRY(take_list(*array, out));
    } else if (const auto* object = one.as_object()) {
      HR_TRY(take_object(*object, out));
    } else {
      return bad_policy("Invalid Condition.");
    }
  }
  return out;
}

S3Result<void> check_post_policy(const S3PostPolicy& policy, const S3FormFields& fields,
                                 std::string_view bucket, Time wall) {
  if (wall >= policy.expires) return denied("Policy expired.");
  for (const S3PostCondition& condition : policy.conditions) {
    const auto field = fields.find(condition.field);
    std::string_view value = field == fields.end() ? std::string_view() : field->second;
    if (condition.field == "bucket") value = bucket;  // what the form says of it is not what is written to
    const bool there = field != fields.end() || condition.field == "bucket";
    if (there && holds(condition, value)) continue;
    return denied(fmt::format("Policy Condition failed: [\"{}\", \"${}\", \"{}\"]", name_of(condition),
                              condition.field, condition.value));
  }
  for (const auto& [name, value] : fields) {
    const bool spoken_of =
        std::ranges::any_of(policy.conditions, [&](const auto& one) { return one.field == name; });
    if (!spoken_of && !needs_no_condition(name)) return denied("Extra input fields: " + name);
  }
  return {};
}

Bytes write_posted(std::string_view location, std::string_view bucket, std::string_view key,
                   std::string_view etag) {
  Bytes out;
  codec::XmlWriter xml(out);
  xml.declaration().open("PostResponse").element("Location", location).element("Bucket", bucket);
  xml.element("Key", key).element("ETag", fmt::format("\"{}\"", etag)).close();
  return out;
}

}  // namespace hr::wire
