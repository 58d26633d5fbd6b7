#include "wire/sqs_message.h"

#include "codec/base64.h"
#include "codec/digest.h"
#include "codec/header_field.h"
#include "codec/xml.h"
#include "wire/sqs_members.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace hr::wire::sqs {
namespace {

using enum ErrorCode;

constexpr std::string_view kTraceHeader = "AWSTraceHeader";
constexpr std::size_t kNumberDigitsMax = 38;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_name_char(char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '.'; }
bool is_group_char(char c) { return c > ' ' && c <= '~'; }

// ---- attributes

bool valid_name(ByteView name) {
  if (name.empty() || name.size() > kAttributeNameBytesMax || !std::ranges::all_of(name, is_name_char))
    return false;
  if (name.starts_with('.') || name.ends_with('.') || name.find("..") != name.npos) return false;
  const Bytes folded = codec::lower_case(name);
  return !folded.starts_with("aws.") && !folded.starts_with("amazon.");
}

bool is_type(ByteView type, ByteView base) {
  return type.starts_with(base) && (type.size() == base.size() || type[base.size()] == '.');
}

// Digits with a sign, a point and an exponent, each optional; at most 38 significant digits.
bool valid_number(ByteView text) {
  const auto skip = [&text](auto&& rule) {
    const auto end = static_cast<std::size_t>(std::ranges::find_if_not(text, rule) - text.begin());
    const ByteView taken = text.substr(0, end);
    text.remove_prefix(end);
    return taken;
  };
  const auto sign = [&text] {
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  };
  sign();
  Bytes digits(skip(is_digit));
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    digits += skip(is_digit);
  }
  if (digits.empty()) return false;
  const std::size_t first = std::min(digits.find_first_not_of('0'), digits.size());
  if (digits.size() - first > kNumberDigitsMax) return false;
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    sign();
    const ByteView exponent = skip(is_digit);
    if (exponent.empty() || exponent.size() > 3) return false;
  }
  return text.empty();
}

std::unexpected<Error> bad_attribute(ByteView name, ByteView what) {
  return refuse(kInvalidParameterValue, fmt::format("The message attribute '{}' {}", name, what));
}

Outcome<void> check_lists(const codec::Json& value) {
  for (const ByteView list : {"StringListValues", "BinaryListValues"}) {
    HR_ASSIGN(const auto* array, array_of(value, list));
    if (array != nullptr && !array->empty()) {
      return refuse(kUnsupportedOperation,
                    "Message attribute list values in SendMessage operation are not supported.");
    }
  }
  return {};
}

Outcome<void> check_text_value(const MessageAttribute& attribute) {
  if (!codec::valid_xml_chars(attribute.value)) {
    return refuse(
        kInvalidMessageContents,
        fmt::format("The message attribute '{}' contains invalid characters. Valid unicode characters "
                    "are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
                    attribute.name));
  }
  if (is_type(attribute.type, "Number") && !valid_number(attribute.value)) {
    return refuse(
        kInvalidParameterValue,
        fmt::format("Can't cast the value of message (user) attribute '{}' to a number.", attribute.name));
  }
  return {};
}

Outcome<void> check_type(ByteView name, ByteView type) {
  if (type.empty()) return bad_attribute(name, "must contain a non-empty message attribute type.");
  const bool known = is_type(type, "String") || is_type(type, "Number") || is_type(type, "Binary");
  if (!known || type.ends_with('.') || type.size() > kAttributeNameBytesMax ||
      !codec::valid_xml_chars(type)) {
    return bad_attribute(
        name,
        "has an invalid message attribute type, the set of supported type prefixes is Binary, "
        "Number, and String.");
  }
  return {};
}

Outcome<MessageAttribute> read_attribute(ByteView name, const codec::Json& value) {
  if (!valid_name(name)) {
    return refuse(
        kInvalidParameterValue,
        fmt::format("The message attribute name '{}' is invalid. Attribute names can be up to 256 letters, "
                    "digits, '_', '-' and '.', must not begin with AWS. or Amazon., and must not begin or "
                    "end with a period or have periods in succession.",
                    name.substr(0, kAttributeNameBytesMax)));
  }
  if (!value.is_object()) return bad_attribute(name, "must have a value.");
  HR_TRY(check_lists(value));
  MessageAttribute attribute{.name = Bytes(name), .type = {}, .value = {}};
  HR_ASSIGN(attribute.type, text_of(value, "DataType"));
  HR_TRY(check_type(name, attribute.type));
  HR_ASSIGN(Bytes text, text_of(value, is_binary(attribute) ? "BinaryValue" : "StringValue"));
  if (text.empty()) {
    return bad_attribute(name,
                         fmt::format("must contain a non-empty message attribute value for message attribute "
                                     "type '{}'.",
                                     attribute.type));
  }
  attribute.value = std::move(text);
  if (is_binary(attribute)) {
    auto bytes = codec::base64_decode(attribute.value);
    if (!bytes) return bad_attribute(name, "has a binary value that is not base64.");
    attribute.value = std::move(*bytes);
  } else {
    HR_TRY(check_text_value(attribute));
  }
  return attribute;
}

Outcome<std::vector<MessageAttribute>> read_attributes(const codec::Json& members) {
  std::vector<MessageAttribute> attributes;
  HR_ASSIGN(const auto* object, object_of(members, "MessageAttributes"));
  if (object == nullptr) return attributes;
  if (object->size() > kMessageAttributesMax) {
    return refuse(kInvalidParameterValue,
                  fmt::format("Number of message attributes [{}] exceeds the allowed maximum [{}].",
                              object->size(), kMessageAttributesMax));
  }
  for (const auto& [name, value] : *object) {
    HR_ASSIGN(auto attribute, read_attribute(name, value));
    attributes.push_back(std::move(attribute));
  }
  std::ranges::sort(attributes, {}, &MessageAttribute::name);
  const auto twice = std::ranges::adjacent_find(attributes, {}, &MessageAttribute::name);
  if (twice != attributes.end()) return bad_attribute(twice->name, "is there twice.");
  return attributes;
}

Outcome<Bytes> read_trace_header(const codec::Json& members) {
  HR_ASSIGN(const auto* object, object_of(members, "MessageSystemAttributes"));
  if (object == nullptr || object->empty()) return Bytes();
  for (const auto& [name, value] : *object) {
    if (name != kTraceHeader) {
      return refuse(
          kInvalidParameterValue,
          fmt::format("Message system attribute name '{}' is invalid. Only AWSTraceHeader can be sent.",
                      name.substr(0, kAttributeNameBytesMax)));
    }
  }
  if (object->size() > 1) return bad_attribute(kTraceHeader, "is there twice.");
  const auto& value = object->front().value;
  if (!value.is_object()) return bad_attribute(kTraceHeader, "must have a value.");
  HR_ASSIGN(const Bytes type, text_of(value, "DataType"));
  if (type != "String") return bad_attribute(kTraceHeader, "must be of type String.");
  HR_ASSIGN(auto attribute, read_attribute("header", value));
  return std::move(attribute.value);
}

// ---- the rest of a message

Outcome<Bytes> read_body(const codec::Json& members) {
  HR_ASSIGN(Bytes body, required_text(members, "MessageBody"));
  if (!codec::valid_xml_chars(body)) {
    return refuse(
        kInvalidMessageContents,
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 "
        "to #xFFFD | #x10000 to #x10FFFF");
  }
  return body;
}

void add_sized(codec::Md5& md5, ByteView bytes) {
  const auto n = static_cast<std::uint32_t>(bytes.size());
  const std::array<char, 4> size = {static_cast<char>(n >> 24), static_cast<char>(n >> 16),
                                    static_cast<char>(n >> 8), static_cast<char>(n)};
  md5.update({size.data(), size.size()});
  md5.update(bytes);
}

}  // namespace

bool is_binary(const MessageAttribute& attribute) { return is_type(attribute.type, "Binary"); }

std::size_t message_bytes(const Message& message) {
  std::size_t bytes = message.body.size();
  for (const auto& [name, type, value] : message.attributes)
    bytes += name.size() + type.size() + value.size();
  return bytes;
}

Bytes md5_of_attributes(std::span<const MessageAttribute> attributes) {
  if (attributes.empty()) return {};
  codec::Md5 md5;
  for (const auto& attribute : attributes) {
    add_sized(md5, attribute.name);
    add_sized(md5, attribute.type);
    md5.update(is_binary(attribute) ? ByteView("\x02") : ByteView("\x01"));
    add_sized(md5, attribute.value);
  }
  return to_hex(md5.finish());
}

Bytes md5_of_system_attributes(const Message& message) {
  if (message.trace_header.empty()) return {};
  const MessageAttribute header{.name = Bytes(kTraceHeader), .type = "String", .value = message.trace_header};
  return md5_of_attributes({&header, 1});
}

Outcome<Bytes> read_id(const codec::Json& members, ByteView name) {
  HR_ASSIGN(Bytes id, text_of(members, name));
  if (id.size() > kGroupIdBytesMax || !std::ranges::all_of(id, is_group_char)) {
    return invalid_value(
        ByteView(id).substr(0, kGroupIdBytesMax), name,
        fmt::format("{} can only include alphanumeric and punctuation characters. 1 to 128 in length.",
                    name));
  }
  return id;
}

Outcome<Message> read_message(const codec::Json& members) {
  Message message;
  HR_ASSIGN(message.body, read_body(members));
  HR_ASSIGN(message.attributes, read_attributes(members));
  HR_ASSIGN(message.trace_header, read_trace_header(members));
  HR_ASSIGN(message.group, read_id(members, "MessageGroupId"));
  HR_ASSIGN(message.deduplication, read_id(members, "MessageDeduplicationId"));
  HR_ASSIGN(message.delay, integer_in(members, "DelaySeconds", 0, kDelaySecondsMax,
                                      "DelaySeconds must be >= 0 and <= 900."));
  return message;
}

bool wanted(std::span<const Bytes> patterns, ByteView name) {
  return std::ranges::any_of(patterns, [name](ByteView pattern) {
    if (pattern == "All" || pattern == name) return true;
    return pattern.ends_with(".*") && name.starts_with(pattern.substr(0, pattern.size() - 2));
  });
}

}  // namespace hr::wire::sqs
