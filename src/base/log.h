// The log facade: what every layer uses to say something to a person. A record is one line: severity, a
// short event name, and fields. Where it goes (terminal, syslog with RFC 5424 structured data) is the
// sink's business. Never a secret, a message body, or a query string with a signature.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace hr {

// Values are syslog's (RFC 5424, section 6.2.1).
enum class Severity : std::uint8_t { kError = 3, kWarning = 4, kNotice = 5, kInfo = 6, kDebug = 7 };

struct Field {
  std::string_view key;
  std::string value;

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, std::integral auto v) : key(k), value(std::to_string(v)) {}
};

// Thread-safe. Must not block for long: a sink drops and counts rather than wait.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual bool wants(Severity severity) const = 0;
  virtual void write(Severity severity, std::string_view event, std::span<const Field> fields) = 0;
  // Between the two, records may be gathered, for fewer system calls; release() passes them on.
  virtual void hold() {}
  virtual void release() {}
};

class Log {
 public:
  explicit Log(LogSink& sink) : sink_(&sink) {}

  bool wants(Severity severity) const { return sink_->wants(severity); }
  void operator()(Severity severity, std::string_view event, std::initializer_list<Field> fields = {}) const {
    if (sink_->wants(severity)) sink_->write(severity, event, {fields.begin(), fields.size()});
  }
  void error(std::string_view event, std::initializer_list<Field> fields = {}) const {
    (*this)(Severity::kError, event, fields);
  }
  void warning(std::string_view event, std::initializer_list<Field> fields = {}) const {
    (*this)(Severity::kWarning, event, fields);
  }
  void notice(std::string_view event, std::initializer_list<Field> fields = {}) const {
    (*this)(Severity::kNotice, event, fields);
  }
  void info(std::string_view event, std::initializer_list<Field> fields = {}) const {
    (*this)(Severity::kInfo, event, fields);
  }

 private:
  LogSink* sink_;
};

}  // namespace hr
