#include "codec/time_text.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace hr::codec {
namespace {

namespace chrono = std::chrono;

constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 7> kLongDays{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                    "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct Civil {
  int year = 1970;
  unsigned month = 1;
  unsigned day = 1;
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
  unsigned ms = 0;
  unsigned weekday = 4;  // 0 is Sunday; not read by to_time
};

constexpr Time kFirst = chrono::sys_days(chrono::year(1) / 1 / 1);
constexpr Time kLast = Time(chrono::sys_days(chrono::year(10000) / 1 / 1)) - Duration(1);

Civil to_civil(Time t) {
  t = std::clamp(t, kFirst, kLast);
  const auto day = chrono::floor<chrono::days>(t);
  const chrono::year_month_day date(day);
  const chrono::hh_mm_ss time(t - day);
  return {.year = int(date.year()),
          .month = unsigned(date.month()),
          .day = unsigned(date.day()),
          .hour = static_cast<unsigned>(time.hours().count()),
          .minute = static_cast<unsigned>(time.minutes().count()),
          .second = static_cast<unsigned>(time.seconds().count()),
          .ms = static_cast<unsigned>(time.subseconds().count()),
          .weekday = chrono::weekday(day).c_encoding()};
}

std::optional<Time> to_time(const Civil& c) {
  const auto date = chrono::year(c.year) / chrono::month(c.month) / chrono::day(c.day);
  if (!date.ok() || c.year < 1 || c.year > 9999) return std::nullopt;
  if (c.hour > 23 || c.minute > 59 || c.second > 59) return std::nullopt;
  return Time(chrono::sys_days(date)) + chrono::hours(c.hour) + chrono::minutes(c.minute) +
         chrono::seconds(c.second) + Duration(c.ms);
}

// Overwrites the digits that stand in `form` from `at` on: fmt takes ten times as long, and every request and
// every line of a listing has a time.
void put(Bytes& form, std::size_t at, std::size_t digits, unsigned value) {
  for (std::size_t i = at + digits; i > at; value /= 10) form[--i] = static_cast<char>('0' + value % 10);
}

void put_date(Bytes& form, const Civil& c, std::size_t month_at, std::size_t day_at) {
  put(form, 0, 4, static_cast<unsigned>(c.year));
  put(form, month_at, 2, c.month);
  put(form, day_at, 2, c.day);
}

// Two digits each, `step` bytes from one to the next.
void put_clock(Bytes& form, const Civil& c, std::size_t at, std::size_t step) {
  put(form, at, 2, c.hour);
  put(form, at + step, 2, c.minute);
  put(form, at + 2 * step, 2, c.second);
}

// Reads a text from the front. After the first mismatch ok() is false and stays so.
class Scanner {
 public:
  explicit Scanner(ByteView text) : text_(text) {}

  unsigned digits(std::size_t count) {
    unsigned value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const char c = next();
      if (c < '0' || c > '9') ok_ = false;
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    return ok_ ? value : 0;
  }
  void literal(ByteView expected) {
    if (!text_.starts_with(expected)) {
      ok_ = false;
      return;
    }
    text_.remove_prefix(expected.size());
  }
  // The index of the name that stands here.
  template <std::size_t N>
  unsigned one_of(const std::array<std::string_view, N>& names) {
    for (unsigned i = 0; i < N; ++i) {
      if (text_.starts_with(names[i])) {
        text_.remove_prefix(names[i].size());
        return i;
      }
    }
    ok_ = false;
    return 0;
  }
  void clock(Civil& c) {  // 03:04:05
    c.hour = digits(2);
    literal(":");
    c.minute = digits(2);
    literal(":");
    c.second = digits(2);
  }
  bool looking_at(char c) const { return text_.starts_with(c); }
  bool at_digit() const { return !text_.empty() && text_[0] >= '0' && text_[0] <= '9'; }
  char next() {
    if (text_.empty()) {
      ok_ = false;
      return '\0';
    }
    const char c = text_[0];
    text_.remove_prefix(1);
    return c;
  }
  bool ok() const { return ok_; }
  bool done() const { return ok_ && text_.empty(); }

 private:
  ByteView text_;
  bool ok_ = true;
};

std::optional<Civil> scan_imf_fixdate(ByteView text) {  // Fri, 02 Jan 2026 03:04:05 GMT
  Scanner scan(text);
  Civil c;
  c.weekday = scan.one_of(kDays);
  scan.literal(", ");
  c.day = scan.digits(2);
  scan.literal(" ");
  c.month = scan.one_of(kMonths) + 1;
  scan.literal(" ");
  c.year = static_cast<int>(scan.digits(4));
  scan.literal(" ");
  scan.clock(c);
  scan.literal(" GMT");
  return scan.done() ? std::optional(c) : std::nullopt;
}

std::optional<Civil> scan_rfc850(ByteView text) {  // Friday, 02-Jan-26 03:04:05 GMT
  Scanner scan(text);
  Civil c;
  c.weekday = scan.one_of(kLongDays);
  scan.literal(", ");
  c.day = scan.digits(2);
  scan.literal("-");
  c.month = scan.one_of(kMonths) + 1;
  scan.literal("-");
  const unsigned year = scan.digits(2);
  c.year = static_cast<int>(year < 70 ? 2000 + year : 1900 + year);
  scan.literal(" ");
  scan.clock(c);
  scan.literal(" GMT");
  return scan.done() ? std::optional(c) : std::nullopt;
}

std::optional<Civil> scan_asctime(ByteView text) {  // Fri Jan  2 03:04:05 2026
  Scanner scan(text);
  Civil c;
  c.weekday = scan.one_of(kDays);
  scan.literal(" ");
  c.month = scan.one_of(kMonths) + 1;
  scan.literal(" ");
  if (scan.looking_at(' ')) {
    scan.next();
    c.day = scan.digits(1);
  } else {
    c.day = scan.digits(2);
  }
  scan.literal(" ");
  scan.clock(c);
  scan.literal(" ");
  c.year = static_cast<int>(scan.digits(4));
  return scan.done() ? std::optional(c) : std::nullopt;
}

unsigned scan_fraction(Scanner& scan) {  // .6 to .678901234, in ms
  if (!scan.looking_at('.')) return 0;
  scan.next();
  unsigned ms = scan.digits(1) * 100;
  for (unsigned place = 10, digits = 1; scan.at_digit() && digits < 9; place /= 10, ++digits) {
    ms += scan.digits(1) * place;
  }
  return ms;
}

chrono::minutes scan_offset(Scanner& scan, bool& in_range) {  // Z, +01:00
  const char sign = scan.next();
  if (sign == 'Z') return chrono::minutes(0);
  const unsigned hours = scan.digits(2);
  scan.literal(":");
  const unsigned minutes = scan.digits(2);
  in_range = (sign == '+' || sign == '-') && hours <= 23 && minutes <= 59;
  const chrono::minutes offset(static_cast<int>(hours * 60 + minutes));
  return sign == '-' ? -offset : offset;
}

}  // namespace

Bytes http_date(Time t) {
  const Civil c = to_civil(t);
  Bytes out = "Day, 00 Mon 0000 00:00:00 GMT";
  out.replace(0, 3, kDays[c.weekday]);
  put(out, 5, 2, c.day);
  out.replace(8, 3, kMonths[c.month - 1]);
  put(out, 12, 4, static_cast<unsigned>(c.year));
  put_clock(out, c, 17, 3);
  return out;
}

Result<Time> parse_http_date(ByteView text) {
  auto civil = scan_imf_fixdate(text);
  if (!civil) civil = scan_rfc850(text);
  if (!civil) civil = scan_asctime(text);
  if (const auto t = civil ? to_time(*civil) : std::nullopt) return *t;
  return fail(Errc::kInvalid, "not an HTTP date such as \"Fri, 02 Jan 2026 03:04:05 GMT\"");
}

Bytes iso8601(Time t) {
  const Civil c = to_civil(t);
  Bytes out = "0000-00-00T00:00:00.000Z";
  put_date(out, c, 5, 8);
  put_clock(out, c, 11, 3);
  put(out, 20, 3, c.ms);
  return out;
}

Result<Time> parse_iso8601(ByteView text) {
  Scanner scan(text);
  Civil c;
  c.year = static_cast<int>(scan.digits(4));
  scan.literal("-");
  c.month = scan.digits(2);
  scan.literal("-");
  c.day = scan.digits(2);
  scan.literal("T");
  scan.clock(c);
  c.ms = scan_fraction(scan);
  bool offset_in_range = true;
  const auto offset = scan_offset(scan, offset_in_range);
  const auto t = to_time(c);
  if (scan.done() && offset_in_range && t && *t - offset >= kFirst && *t - offset <= kLast)
    return *t - offset;
  return fail(Errc::kInvalid, "not an ISO 8601 time such as \"2026-01-02T03:04:05.678Z\"");
}

Bytes amz_date(Time t) {
  const Civil c = to_civil(t);
  Bytes out = "00000000T000000Z";
  put_date(out, c, 4, 6);
  put_clock(out, c, 9, 2);
  return out;
}

Result<Time> parse_amz_date(ByteView text) {
  Scanner scan(text);
  Civil c;
  c.year = static_cast<int>(scan.digits(4));
  c.month = scan.digits(2);
  c.day = scan.digits(2);
  scan.literal("T");
  c.hour = scan.digits(2);
  c.minute = scan.digits(2);
  c.second = scan.digits(2);
  scan.literal("Z");
  const auto t = to_time(c);
  if (scan.done() && t) return *t;
  return fail(Errc::kInvalid, "not a time such as \"20260102T030405Z\"");
}

Bytes date_stamp(Time t) {
  const Civil c = to_civil(t);
  Bytes out = "00000000";
  put_date(out, c, 4, 6);
  return out;
}

}  // namespace hr::codec
