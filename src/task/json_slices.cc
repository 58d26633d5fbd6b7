#include "task/json_slices.h"

#include "codec/json.h"
#include "codec/utf8.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace hr::task {
namespace {

constexpr std::size_t kUsualMembers = 16;

// The bytes that mean themselves within a string.
constexpr auto kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t c = 0x20; c < plain.size(); ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

// Walks over one JSON text and remembers nothing but where it stands.
class Scanner {
 public:
  Scanner(ByteView text, const SliceLimits& limits) : text_(text), limits_(limits) {}

  void space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::optional<ByteView> string() {
    const std::size_t from = at_;
    if (!take('"')) return std::nullopt;
    for (;;) {
      while (at_ < text_.size() && kPlain[static_cast<unsigned char>(text_[at_])]) ++at_;
      if (take('"')) return text_.substr(from, at_ - from);
      if (!take('\\') || !escape()) return std::nullopt;
    }
  }
  std::optional<ByteView> value() {
    const std::size_t from = at_;
    if (!any()) return std::nullopt;
    return text_.substr(from, at_ - from);
  }
  bool end() {
    space();
    return at_ == text_.size();
  }
  std::size_t at() const { return at_; }
  bool too_deep() const { return too_deep_; }

 private:
  // One value; containers by a stack of their closing brackets rather than by recursion.
  bool any() {
    Bytes open;
    for (;;) {
      space();
      const char c = at_ < text_.size() ? text_[at_] : '\0';
      if (c == '{' || c == '[') {
        ++at_;
        if (open.size() >= limits_.depth_max) return !(too_deep_ = true);
        open.push_back(c == '{' ? '}' : ']');
        space();
        if (!take(open.back())) {
          if (c == '{' && !name()) return false;
          continue;
        }
        open.pop_back();
      } else if (!scalar(c)) {
        return false;
      }
      if (!close(open)) return false;
      if (open.empty()) return true;
    }
  }
  // After a value: closes what ends here, or steps to the next value of the innermost container.
  bool close(Bytes& open) {
    while (!open.empty()) {
      space();
      if (take(',')) {
        space();
        return open.back() == ']' || name();
      }
      if (!take(open.back())) return false;
      open.pop_back();
    }
    return true;
  }
  bool name() {
    if (!string()) return false;
    space();
    return take(':');
  }
  bool scalar(char c) {
    if (c == '"') return string().has_value();
    if (c == 't') return word("true");
    if (c == 'f') return word("false");
    if (c == 'n') return word("null");
    return number();
  }
  bool word(ByteView expected) {
    if (!text_.substr(at_).starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }
  bool digits() {
    const std::size_t from = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    return at_ > from;
  }
  bool number() {
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      return digits();
    }
    return true;
  }
  bool escape() {
    if (at_ >= text_.size()) return false;
    const char c = text_[at_++];
    if (c != 'u') return ByteView("\"\\/bfnrt").contains(c);
    if (at_ + 4 > text_.size()) return false;
    const ByteView hex = text_.substr(at_, 4);
    at_ += 4;
    return hex.find_first_not_of("0123456789abcdefABCDEF") == hex.npos;
  }

  ByteView text_;
  SliceLimits limits_;
  std::size_t at_ = 0;
  bool too_deep_ = false;
};

std::unexpected<Error> refused(const Scanner& in, std::string_view what) {
  if (in.too_deep()) return fail(Errc::kLimit, "JSON is nested too deeply");
  return fail(Errc::kInvalid, fmt::format("{} near byte {}", what, in.at()));
}

Status check_text(ByteView text, const SliceLimits& limits) {
  if (text.size() > limits.bytes_max) return fail(Errc::kLimit, "JSON text is too long");
  if (!codec::valid_utf8(text)) return fail(Errc::kInvalid, "JSON text is not UTF-8");
  return {};
}

// A name without escapes is its own text; the others are rare, and read by the reader of whole documents.
Result<Bytes> plain(ByteView quoted) {
  const ByteView inside = quoted.substr(1, quoted.size() - 2);
  if (!inside.contains('\\')) return Bytes(inside);
  HR_ASSIGN(const codec::Json value, codec::parse_json(quoted, {.bytes_max = quoted.size(), .depth_max = 1}));
  return *value.as_string();
}

// Of a text that is JSON: the whole of it, where it is a number of that kind.
template <class T>
std::optional<T> read_number(ByteView text) {
  T out{};
  const bool number = text.front() == '-' || (text.front() >= '0' && text.front() <= '9');
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (!number || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

std::unexpected<Error> other_kind(ByteView name, std::string_view kind) {
  return fail(Errc::kInvalid, fmt::format("\"{}\" must be {}", name, kind));
}

}  // namespace

Result<JsonSlices> JsonSlices::read(ByteView object, SliceLimits limits) {
  HR_TRY(check_text(object, limits));
  Scanner in(object, limits);
  JsonSlices out;
  in.space();
  if (!in.take('{')) return fail(Errc::kInvalid, "not a JSON object");
  in.space();
  bool more = !in.take('}');
  out.members_.reserve(kUsualMembers);
  while (more) {
    in.space();
    const auto quoted = in.string();
    if (!quoted) return refused(in, "a member's name is missing");
    ByteView name = quoted->substr(1, quoted->size() - 2);
    if (name.contains('\\')) {
      HR_ASSIGN(Bytes decoded, plain(*quoted));
      name = out.decoded_.emplace_front(std::move(decoded));
    }
    in.space();
    if (!in.take(':')) return refused(in, "a colon is missing");
    in.space();
    const auto value = in.value();
    if (!value) return refused(in, "not a JSON value");
    if (out.raw(name)) return fail(Errc::kInvalid, fmt::format("the member \"{}\" comes twice", name));
    if (out.members_.size() >= limits.members_max) return fail(Errc::kLimit, "too many members");
    out.members_.push_back({name, *value});
    in.space();
    more = in.take(',');
    if (!more && !in.take('}')) return refused(in, "a comma or bracket is missing");
  }
  if (!in.end()) return refused(in, "something follows the JSON object");
  return out;
}

std::optional<ByteView> JsonSlices::raw(ByteView name) const {
  const auto found = std::ranges::find(members_, name, &Member::name);
  if (found == members_.end()) return std::nullopt;
  return found->value;
}

Result<std::optional<Bytes>> JsonSlices::text(ByteView name) const {
  const auto value = raw(name);
  if (!value || *value == "null") return std::nullopt;
  if (!value->starts_with('"')) return other_kind(name, "text");
  auto out = plain(*value);
  if (!out) return other_kind(name, "text of whole characters");
  return std::move(*out);
}

Result<std::optional<std::int64_t>> JsonSlices::integer(ByteView name) const {
  const auto value = raw(name);
  if (!value || *value == "null") return std::nullopt;
  const auto number = read_number<std::int64_t>(*value);
  if (!number) return other_kind(name, "an integer of 64 bits");
  return *number;
}

Result<std::optional<double>> JsonSlices::number(ByteView name) const {
  const auto value = raw(name);
  if (!value || *value == "null") return std::nullopt;
  const auto number = read_number<double>(*value);
  if (!number) return other_kind(name, "a number");
  return *number;
}

Result<std::optional<bool>> JsonSlices::boolean(ByteView name) const {
  const auto value = raw(name);
  if (!value || *value == "null") return std::nullopt;
  if (*value == "true") return true;
  if (*value == "false") return false;
  return other_kind(name, "true or false");
}

Result<std::vector<ByteView>> read_array(ByteView array, SliceLimits limits) {
  HR_TRY(check_text(array, limits));
  Scanner in(array, limits);
  std::vector<ByteView> out;
  in.space();
  if (!in.take('[')) return fail(Errc::kInvalid, "not a JSON array");
  in.space();
  bool more = !in.take(']');
  while (more) {
    in.space();
    const auto value = in.value();
    if (!value) return refused(in, "not a JSON value");
    if (out.size() >= limits.members_max) return fail(Errc::kLimit, "too many elements");
    out.push_back(*value);
    in.space();
    more = in.take(',');
    if (!more && !in.take(']')) return refused(in, "a comma or bracket is missing");
  }
  if (!in.end()) return refused(in, "something follows the JSON array");
  return out;
}

}  // namespace hr::task
