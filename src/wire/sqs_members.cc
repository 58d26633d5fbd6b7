#include "wire/sqs_members.h"

#include <fmt/format.h>

#include <charconv>

namespace hr::wire::sqs {
namespace {

const codec::Json* present(const codec::Json& members, ByteView name) {
  const codec::Json* member = members.find(name);
  return member == nullptr || member->is_null() ? nullptr : member;
}

std::unexpected<Error> wrong_kind(ByteView name, ByteView kind) {
  return refuse(ErrorCode::kSerialization, fmt::format("The parameter {} must be {}.", name, kind));
}

}  // namespace

Outcome<Bytes> text_of(const codec::Json& members, ByteView name) {
  const codec::Json* member = present(members, name);
  if (member == nullptr) return Bytes();
  const Bytes* text = member->as_string();
  if (text == nullptr) return wrong_kind(name, "a string");
  return *text;
}

Outcome<Bytes> required_text(const codec::Json& members, ByteView name) {
  auto text = text_of(members, name);
  if (text && text->empty()) return missing(name);
  return text;
}

Outcome<std::optional<std::int64_t>> integer_of(const codec::Json& members, ByteView name) {
  const codec::Json* member = present(members, name);
  if (member == nullptr) return std::nullopt;
  if (const auto number = member->as_int()) return number;
  const Bytes* text = member->as_string();
  if (text == nullptr) return wrong_kind(name, "an integer");
  const auto number = parse_integer(*text);
  if (!number) return invalid_value(*text, name, "Must be an integer.");
  return number;
}

Outcome<std::optional<int>> integer_in(const codec::Json& members, ByteView name, int low, int high,
                                       ByteView reason) {
  HR_ASSIGN(const auto number, integer_of(members, name));
  if (!number) return std::nullopt;
  if (*number < low || *number > high) return invalid_value(std::to_string(*number), name, reason);
  return static_cast<int>(*number);
}

Outcome<const codec::Json::Array*> array_of(const codec::Json& members, ByteView name) {
  const codec::Json* member = present(members, name);
  if (member == nullptr) return nullptr;
  const auto* array = member->as_array();
  if (array == nullptr) return wrong_kind(name, "a list");
  return array;
}

Outcome<const codec::Json::Object*> object_of(const codec::Json& members, ByteView name) {
  const codec::Json* member = present(members, name);
  if (member == nullptr) return nullptr;
  const auto* object = member->as_object();
  if (object == nullptr) return wrong_kind(name, "a map");
  return object;
}

Outcome<std::vector<Bytes>> texts_of(const codec::Json& members, ByteView name) {
  HR_ASSIGN(const auto* array, array_of(members, name));
  std::vector<Bytes> texts;
  if (array == nullptr) return texts;
  for (const auto& item : *array) {
    const Bytes* text = item.as_string();
    if (text == nullptr) return wrong_kind(name, "a list of strings");
    texts.push_back(*text);
  }
  return texts;
}

std::optional<std::int64_t> parse_integer(ByteView text) {
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return number;
}

}  // namespace hr::wire::sqs
