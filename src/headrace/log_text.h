// Log records as text. Pure. A record is always one line, and no value can pass for another record, another
// field or a terminal command: what is not printable UTF-8 is written as \xNN, and a backslash as two.
#pragma once

#include "base/log.h"
#include "base/time.h"

#include <span>
#include <string>
#include <string_view>

namespace hr {

inline constexpr std::size_t kLogValueBytesMax = 1'024;  // longer values end with "..."
inline constexpr std::size_t kLogLineBytesMax = 4'000;   // fields that do not fit are counted as omitted=N

struct LogRecord {
  Time time;
  Severity severity = Severity::kInfo;
  std::string_view event;
  std::span<const Field> fields;
};

enum class LineStyle : std::uint8_t {
  kPlain,    // time, severity, event, key=value
  kColour,   // the same, for a terminal
  kJournal,  // "<6>event key=value": the journal adds the time itself (sd-daemon(3))
};

std::string terminal_line(const LogRecord& record, LineStyle style);  // with its new line

struct LogOrigin {
  std::string host;
  std::string role;
  int pid = 0;
};

// RFC 5424: facility daemon, MSGID = event, structured data [headrace@32473 role="store" key="value" ...].
std::string syslog_message(const LogRecord& record, const LogOrigin& origin);

// Any text as printable UTF-8 without control characters, line separators or direction overrides.
std::string visible(std::string_view text);

}  // namespace hr
