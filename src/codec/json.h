// JSON (RFC 8259), both ways. Reading makes a small value tree, once, and refuses what two readers might
// understand differently: duplicate names, lone surrogates, invalid UTF-8, anything after the document.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace hr::codec {

struct JsonMember;

// Owns all it holds; objects keep the order of their members.
class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<JsonMember>;

  Json();  // null
  Json(std::nullptr_t);
  Json(std::same_as<bool> auto v) : value_(v) {}  // no pointer becomes a bool
  Json(int v);
  Json(std::int64_t v);
  Json(double v);
  Json(Bytes v);
  Json(std::string_view v);
  Json(const char* v);
  Json(Array v);
  Json(Object v);

  bool is_null() const;
  bool is_object() const;

  // The value if it is of that kind; pointers live as long as this tree.
  std::optional<bool> as_bool() const;
  std::optional<std::int64_t> as_int() const;  // integers only: 1.0 is not one
  std::optional<double> as_double() const;     // any number
  const Bytes* as_string() const;
  const Array* as_array() const;
  const Object* as_object() const;

  // The member of that name; null when there is none or this is no object. A member that is JSON null is
  // returned: ask is_null().
  const Json* find(ByteView name) const;

  bool operator==(const Json& other) const;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, Bytes, Array, Object> value_;
};

struct JsonMember {
  Bytes name;
  Json value;

  bool operator==(const JsonMember&) const = default;
};

// A member's type had to be complete before any of these.
inline Json::Json() = default;
inline Json::Json(std::nullptr_t) {}
inline Json::Json(int v) : value_(std::int64_t{v}) {}
inline Json::Json(std::int64_t v) : value_(v) {}
inline Json::Json(double v) : value_(v) {}
inline Json::Json(Bytes v) : value_(std::move(v)) {}
inline Json::Json(std::string_view v) : value_(Bytes(v)) {}
inline Json::Json(const char* v) : value_(Bytes(v)) {}
inline Json::Json(Array v) : value_(std::move(v)) {}
inline Json::Json(Object v) : value_(std::move(v)) {}
inline bool Json::is_null() const { return value_.index() == 0; }
inline const Bytes* Json::as_string() const { return std::get_if<Bytes>(&value_); }
inline const Json::Array* Json::as_array() const { return std::get_if<Array>(&value_); }
inline const Json::Object* Json::as_object() const { return std::get_if<Object>(&value_); }
inline bool Json::is_object() const { return as_object() != nullptr; }

struct JsonLimits {
  std::size_t bytes_max = 2 * 1024 * 1024;
  std::size_t depth_max = 64;  // arrays and objects within each other; at most 1,000
};

// Integers past 64 bits are kInvalid, those past the signed range become doubles. kLimit: too long, too deep.
Result<Json> parse_json(ByteView text, JsonLimits limits = {});

// Appends JSON text, without spaces, to a string the caller owns. Commas are its business; that begin and end
// match, and that every member has one key and one value, is the caller's. Text that is not UTF-8 is
// repaired (U+FFFD), control characters are escaped, everything else stays as it is.
class JsonWriter {
 public:
  explicit JsonWriter(Bytes& out) : out_(out) {}

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(ByteView name);

  JsonWriter& string(ByteView v);
  JsonWriter& integer(std::int64_t v);
  JsonWriter& number(double v);  // infinities and NaN, which JSON has not, become null
  JsonWriter& boolean(bool v);
  JsonWriter& null();
  JsonWriter& raw(ByteView json);  // a finished JSON text, taken on trust
  JsonWriter& value(const Json& v);

  // key(name) and a value.
  JsonWriter& field(ByteView name, ByteView v) { return key(name).string(v); }
  JsonWriter& field(ByteView name, const Bytes& v) { return key(name).string(v); }
  JsonWriter& field(ByteView name, const char* v) { return key(name).string(v); }
  JsonWriter& field(ByteView name, std::int64_t v) { return key(name).integer(v); }
  JsonWriter& field(ByteView name, int v) { return key(name).integer(v); }
  JsonWriter& field(ByteView name, bool v) { return key(name).boolean(v); }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void before_value();

  Bytes& out_;
  bool comma_ = false;  // a value stands before this place, at this level
};

Bytes to_json(const Json& value);

}  // namespace hr::codec
