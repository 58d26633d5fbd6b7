#include "codec/json.h"

#include "codec/utf8.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

namespace hr::codec {

std::optional<bool> Json::as_bool() const {
  const bool* v = std::get_if<bool>(&value_);
  return v != nullptr ? std::optional(*v) : std::nullopt;
}

std::optional<std::int64_t> Json::as_int() const {
  const auto* v = std::get_if<std::int64_t>(&value_);
  return v != nullptr ? std::optional(*v) : std::nullopt;
}

std::optional<double> Json::as_double() const {
  if (const auto whole = as_int()) return static_cast<double>(*whole);
  const auto* v = std::get_if<double>(&value_);
  return v != nullptr ? std::optional(*v) : std::nullopt;
}

const Json* Json::find(ByteView name) const {
  const Object* object = as_object();
  if (object == nullptr) return nullptr;
  const auto at = std::ranges::find(*object, name, &JsonMember::name);
  return at != object->end() ? &at->value : nullptr;
}

bool Json::operator==(const Json& other) const { return value_ == other.value_; }

namespace {

namespace dom = simdjson::dom;

// Turns simdjson's tape into our tree, and refuses what simdjson lets pass.
class TreeBuilder {
 public:
  TreeBuilder(std::size_t depth_max, bool check_strings)
      : depth_max_(depth_max), check_strings_(check_strings) {}

  Result<Json> build(dom::element element, std::size_t depth) {
    switch (element.type()) {
      case dom::element_type::OBJECT:
        return object(dom::object(element), depth + 1);
      case dom::element_type::ARRAY:
        return array(dom::array(element), depth + 1);
      case dom::element_type::STRING:
        return text(std::string_view(element));
      case dom::element_type::INT64:
        return Json(std::int64_t(element));
      case dom::element_type::UINT64:
        return Json(static_cast<double>(std::uint64_t(element)));
      case dom::element_type::DOUBLE:
        return Json(double(element));
      case dom::element_type::BOOL:
        return Json(bool(element));
      case dom::element_type::NULL_VALUE:
        return Json();
    }
    return fail(Errc::kInvalid, "JSON of an unknown kind");
  }

 private:
  Status check_depth(std::size_t depth) const {
    if (depth > depth_max_) return fail(Errc::kLimit, fmt::format("JSON deeper than {} levels", depth_max_));
    return {};
  }

  // simdjson checks the bytes of the document but not what \u escapes make of them: a lone low surrogate.
  Result<Bytes> text(std::string_view v) const {
    if (check_strings_ && !valid_utf8(v)) return fail(Errc::kInvalid, "a JSON string with a lone surrogate");
    return Bytes(v);
  }

  Result<Json> object(dom::object from, std::size_t depth) {
    HR_TRY(check_depth(depth));
    Json::Object out;
    out.reserve(from.size());
    for (const auto [name, value] : from) {
      HR_ASSIGN(Bytes own_name, text(name));
      HR_ASSIGN(Json own_value, build(value, depth));
      out.push_back({.name = std::move(own_name), .value = std::move(own_value)});
    }
    HR_TRY(check_names(out));
    return Json(std::move(out));
  }

  Result<Json> array(dom::array from, std::size_t depth) {
    HR_TRY(check_depth(depth));
    Json::Array out;
    out.reserve(from.size());
    for (const dom::element value : from) {
      HR_ASSIGN(Json own, build(value, depth));
      out.push_back(std::move(own));
    }
    return Json(std::move(out));
  }

  static Status check_names(const Json::Object& members) {
    static constexpr std::size_t kFew = 12;  // so few are compared pairwise, without sorting
    const std::string* twice = members.size() <= kFew ? twice_among_few(members) : twice_among_many(members);
    if (twice == nullptr) return {};
    return fail(Errc::kInvalid, fmt::format("the JSON name \"{}\" stands twice in one object",
                                            repaired_utf8(ByteView(*twice).substr(0, 64))));
  }

  static const std::string* twice_among_few(const Json::Object& members) {
    for (std::size_t i = 1; i < members.size(); ++i) {
      for (std::size_t k = 0; k < i; ++k) {
        if (members[i].name == members[k].name) return &members[i].name;
      }
    }
    return nullptr;
  }

  static const std::string* twice_among_many(const Json::Object& members) {
    std::vector<const std::string*> names;
    names.reserve(members.size());
    for (const JsonMember& member : members) names.push_back(&member.name);
    std::ranges::sort(names, {}, [](const std::string* name) -> const std::string& { return *name; });
    const auto at = std::ranges::adjacent_find(names, [](auto* a, auto* b) { return *a == *b; });
    return at != names.end() ? *at : nullptr;
  }

  std::size_t depth_max_;
  bool check_strings_;
};

// One parser a thread, because its buffers are worth keeping between small documents. What a large document
// made it grow to is given back.
class ParserLease {
 public:
  ParserLease() {
    if (!parser()) parser() = std::make_unique<dom::parser>();
  }
  ~ParserLease() {
    if (parser()->capacity() > kKeepBytes) parser().reset();
  }
  ParserLease(const ParserLease&) = delete;
  ParserLease& operator=(const ParserLease&) = delete;
  dom::parser& operator*() const { return *parser(); }

 private:
  static constexpr std::size_t kKeepBytes = 64 * 1024;
  static std::unique_ptr<dom::parser>& parser() {
    thread_local std::unique_ptr<dom::parser> own;
    return own;
  }
};

Error read_error(simdjson::error_code code, ByteView text) {
  if (code == simdjson::DEPTH_ERROR) return {Errc::kLimit, "JSON nested too deep"};
  if (code == simdjson::UTF8_ERROR) {
    return {Errc::kInvalid, fmt::format("JSON that is not UTF-8 at byte {}", valid_utf8_prefix(text))};
  }
  return {Errc::kInvalid, fmt::format("not a JSON text: {}", simdjson::error_message(code))};
}

}  // namespace

Result<Json> parse_json(ByteView text, JsonLimits limits) {
  if (text.size() > limits.bytes_max) {
    return fail(Errc::kLimit, fmt::format("a JSON text of more than {} bytes", limits.bytes_max));
  }
  const ParserLease parser;
  dom::element root;
  if (const auto code = (*parser).parse(text.data(), text.size()).get(root); code != simdjson::SUCCESS) {
    return std::unexpected(read_error(code, text));
  }
  const bool has_unicode_escapes = text.find("\\u") != ByteView::npos;
  return TreeBuilder(limits.depth_max, has_unicode_escapes).build(root, 0);
}

namespace {

// What follows the backslash of a byte that cannot stand in a JSON string as it is; 0: it can. 'u': four
// digits follow.
constexpr auto kEscape = [] {
  std::array<char, 256> letters{};
  for (std::size_t c = 0; c < 0x20; ++c) letters[c] = 'u';
  letters['\n'] = 'n';
  letters['\r'] = 'r';
  letters['\t'] = 't';
  letters['\b'] = 'b';
  letters['\f'] = 'f';
  letters['"'] = '"';
  letters['\\'] = '\\';
  return letters;
}();

// The bytes that one byte of text takes.
constexpr auto kTakes = [] {
  std::array<std::uint8_t, 256> bytes{};
  for (std::size_t c = 0; c < bytes.size(); ++c) bytes[c] = kEscape[c] == 0 ? 1 : kEscape[c] == 'u' ? 6 : 2;
  return bytes;
}();

char* put_escaped(char* to, ByteView text) {
  for (const char c : text) {
    const char letter = kEscape[static_cast<unsigned char>(c)];
    if (letter == 0) {
      *to++ = c;
      continue;
    }
    *to++ = '\\';
    *to++ = letter;
    if (letter != 'u') continue;
    for (const char digit : {'0', '0', c < 0x10 ? '0' : '1', "0123456789abcdef"[c & 0xf]}) *to++ = digit;
  }
  return to;
}

void append_string(Bytes& out, ByteView v) {
  std::size_t bytes = 0;
  unsigned char seen = 0;
  for (const char c : v) {
    bytes += kTakes[static_cast<unsigned char>(c)];
    seen |= static_cast<unsigned char>(c);
  }
  if (seen >= 0x80 && !valid_utf8(v)) return append_string(out, repaired_utf8(v));
  out.push_back('"');
  if (bytes == v.size()) {
    out.append(v);
  } else {
    const std::size_t from = out.size();
    out.resize_and_overwrite(from + bytes, [&](char* to, std::size_t) {  // which may be more than asked for
      return static_cast<std::size_t>(put_escaped(to + from, v) - to);
    });
  }
  out.push_back('"');
}

}  // namespace

void JsonWriter::before_value() {
  if (comma_) out_.push_back(',');
  comma_ = true;
}

JsonWriter& JsonWriter::open(char bracket) {
  before_value();
  out_.push_back(bracket);
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  out_.push_back(bracket);
  comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::key(ByteView name) {
  before_value();
  append_string(out_, name);
  out_.push_back(':');
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::string(ByteView v) {
  before_value();
  append_string(out_, v);
  return *this;
}

JsonWriter& JsonWriter::integer(std::int64_t v) { return raw(fmt::format_int(v).c_str()); }

JsonWriter& JsonWriter::number(double v) {
  if (!std::isfinite(v)) return null();
  std::string text = fmt::format("{}", v);  // the shortest text that reads back as v
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return raw(text);
}

JsonWriter& JsonWriter::boolean(bool v) { return raw(v ? "true" : "false"); }
JsonWriter& JsonWriter::null() { return raw("null"); }

JsonWriter& JsonWriter::raw(ByteView json) {
  before_value();
  out_.append(json);
  return *this;
}

JsonWriter& JsonWriter::value(const Json& v) {
  if (const auto* object = v.as_object()) {
    begin_object();
    for (const JsonMember& member : *object) key(member.name).value(member.value);
    return end_object();
  }
  if (const auto* array = v.as_array()) {
    begin_array();
    for (const Json& element : *array) value(element);
    return end_array();
  }
  if (const auto* text = v.as_string()) return string(*text);
  if (const auto truth = v.as_bool()) return boolean(*truth);
  if (const auto whole = v.as_int()) return integer(*whole);
  if (const auto real = v.as_double()) return number(*real);
  return null();
}

Bytes to_json(const Json& value) {
  Bytes out;
  JsonWriter(out).value(value);
  return out;
}

}  // namespace hr::codec
