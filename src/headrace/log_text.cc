#include "headrace/log_text.h"

#include "codec/time_text.h"
#include "codec/utf8.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace hr {
namespace {

// 32473 is the enterprise number for documentation (RFC 5612): this project has registered none.
constexpr std::string_view kStructuredId = "headrace@32473";
constexpr int kFacilityDaemon = 3;
constexpr std::size_t kNameBytesMax = 32;  // SD-NAME and MSGID
constexpr std::size_t kLongestWord = 7;    // "warning"
constexpr std::size_t kUsualBytes = 256;   // of a line

std::string_view word_of(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kNotice:
      return "notice";
    case Severity::kInfo:
      return "info";
    case Severity::kDebug:
      return "debug";
  }
  return "info";
}

std::string_view colour_of(Severity severity) {
  if (severity == Severity::kError) return "\x1b[31m";
  if (severity == Severity::kWarning) return "\x1b[33m";
  return severity == Severity::kDebug ? "\x1b[2m" : "\x1b[32m";
}

// Of a valid sequence: C1 controls, line and paragraph separators, direction overrides and isolates, the BOM.
bool invisible(std::string_view sequence) {
  if (sequence.size() == 2) return sequence[0] == '\xc2' && static_cast<unsigned char>(sequence[1]) < 0xa0;
  if (sequence.size() != 3) return false;
  if (sequence == "\xef\xbb\xbf") return true;
  if (!sequence.starts_with("\xe2\x80") && !sequence.starts_with("\xe2\x81")) return false;
  const auto last = static_cast<unsigned char>(sequence[2]);
  if (sequence[1] == '\x80') return last == 0x8e || last == 0x8f || (last >= 0xa8 && last <= 0xae);
  return last >= 0xa6 && last <= 0xa9;
}

std::size_t sequence_bytes(char lead) {
  const auto c = static_cast<unsigned char>(lead);
  if (c < 0x80) return 1;
  return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

void append_hex(std::string& out, std::string_view bytes) {
  for (const char c : bytes) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
}

std::string shortened(std::string_view value) {
  if (value.size() <= kLogValueBytesMax) return visible(value);
  // A sequence cut in two would be shown as damage that is not there.
  std::size_t end = kLogValueBytesMax;
  while (end > kLogValueBytesMax - 3 && (static_cast<unsigned char>(value[end]) & 0xc0) == 0x80) --end;
  return visible(value.substr(0, end)) + "...";
}

bool plain(char c) { return c >= ' ' && c < '\x7f' && c != '\\'; }

// The value itself where it can be shown as it is; else what is then made.
std::string_view shown(std::string_view value, std::string& made) {
  if (value.size() <= kLogValueBytesMax && std::ranges::all_of(value, plain)) return value;
  return made = shortened(value);
}

// Keys and events come from the program, yet a wrong one must not break the format.
void append_name(std::string& out, std::string_view text) {
  const auto usable = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  const std::size_t from = out.size();
  out += text.empty() ? "-" : text.substr(0, kNameBytesMax);
  std::replace_if(out.begin() + static_cast<std::ptrdiff_t>(from), out.end(), std::not_fn(usable), '_');
}

void append_plain_value(std::string& out, std::string_view value) {
  std::string made;
  const std::string_view text = shown(value, made);
  const auto needs_quotes = [](char c) { return c == ' ' || c == '"' || c == '='; };
  if (!text.empty() && std::ranges::none_of(text, needs_quotes)) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '\\';
    out += c;
  }
  out += '"';
}

void append_structured_value(std::string& out, std::string_view value) {
  std::string made;
  for (const char c : shown(value, made)) {
    if (c == '"' || c == '\\' || c == ']') out += '\\';
    out += c;
  }
}

// Appends " key=" and what `append` makes of the value, for every field as long as there is room.
template <class Append>
void append_fields(std::string& out, std::span<const Field> fields, std::size_t bytes_max, Append append) {
  const auto append_one = [&](std::string_view key, std::string_view value) {
    out += ' ';
    append_name(out, key);
    out += '=';
    append(out, value);
  };
  std::size_t omitted = 0;
  for (const Field& field : fields) {
    const std::size_t before = out.size();
    append_one(field.key, field.value);
    if (out.size() <= bytes_max) continue;
    out.resize(before);
    ++omitted;
  }
  if (omitted != 0) append_one("omitted", std::to_string(omitted));
}

constexpr std::size_t kRoomForTheRest = 32;  // "omitted", colours, brackets

void append_plain(std::string& out, std::span<const Field> fields, std::size_t bytes_max) {
  append_fields(out, fields, bytes_max, append_plain_value);
}

}  // namespace

std::string visible(std::string_view text) {
  if (std::ranges::all_of(text, plain)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t good = codec::valid_utf8_prefix(text);
    for (std::size_t at = 0; at < good;) {
      const std::string_view sequence = text.substr(at, sequence_bytes(text[at]));
      at += sequence.size();
      if (sequence == "\\") {
        out += "\\\\";
      } else if (sequence[0] == '\x7f' || (sequence[0] >= 0 && sequence[0] < ' ') || invisible(sequence)) {
        append_hex(out, sequence);
      } else {
        out += sequence;
      }
    }
    text.remove_prefix(good);
    if (text.empty()) break;
    append_hex(out, text.substr(0, 1));
    text.remove_prefix(1);
  }
  return out;
}

std::string terminal_line(const LogRecord& record, LineStyle style) {
  std::string out;
  out.reserve(kUsualBytes);
  if (style == LineStyle::kJournal) {
    out += '<';
    out += std::to_string(static_cast<int>(record.severity));
    out += '>';
  } else {
    const std::string_view word = word_of(record.severity);
    const bool colour = style == LineStyle::kColour;
    out += codec::iso8601(record.time);
    out += ' ';
    if (colour) out += colour_of(record.severity);
    out += word;
    out.append(kLongestWord - word.size(), ' ');
    if (colour) out += "\x1b[0m";
    out += ' ';
  }
  append_name(out, record.event);
  append_plain(out, record.fields, kLogLineBytesMax - kRoomForTheRest);
  out += '\n';
  return out;
}

std::string syslog_message(const LogRecord& record, const LogOrigin& origin) {
  const int priority = kFacilityDaemon * 8 + static_cast<int>(record.severity);
  std::string event;
  append_name(event, record.event);
  std::string host;
  for (const char c : origin.host.substr(0, 255)) host += c > ' ' && c < '\x7f' ? c : '_';
  std::string out =
      fmt::format("<{}>1 {} {} headrace {} {} [{} role=\"", priority, codec::iso8601(record.time),
                  host.empty() ? "-" : host, origin.pid, event, kStructuredId);
  append_structured_value(out, origin.role);
  out += '"';
  append_fields(out, record.fields, kLogLineBytesMax - kRoomForTheRest,
                [](std::string& to, std::string_view value) {
                  to += '"';
                  append_structured_value(to, value);
                  to += '"';
                });
  // The same again as text: templates that know no structured data show it.
  out += "] \xef\xbb\xbf";
  std::string text = event;
  append_plain(text, record.fields, kLogLineBytesMax - kRoomForTheRest);
  return out + text;
}

}  // namespace hr
