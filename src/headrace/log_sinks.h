// Where log records go: the terminal, or the host's syslog as RFC 5424 with structured data. Neither waits: a
// record that cannot be taken at once is dropped, and the next one that can is preceded by the count.
#pragma once

#include "base/log.h"
#include "headrace/log_text.h"
#include "os/clock.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace hr {

// One line a record to a descriptor that somebody else owns.
class TerminalSink final : public LogSink {
 public:
  TerminalSink(int fd, LineStyle style, Severity least, const os::Clock& clock);

  bool wants(Severity severity) const override { return severity <= least_; }
  void write(Severity severity, std::string_view event, std::span<const Field> fields) override;
  void hold() override;
  void release() override;

 private:
  bool put(std::string_view lines);
  void put_held();

  const int fd_;
  const LineStyle style_;
  const Severity least_;
  const os::Clock& clock_;
  std::mutex mutex_;
  bool holding_ = false;
  std::string held_;  // whole lines, PIPE_BUF bytes at most
  std::uint64_t held_lines_ = 0;
  std::uint64_t dropped_ = 0;
};

// Datagrams to a unix socket. Connects again when the listener was restarted.
class SyslogSink final : public LogSink {
 public:
  SyslogSink(std::string path, LogOrigin origin, Severity least, const os::Clock& clock);
  ~SyslogSink() override;

  bool wants(Severity severity) const override { return severity <= least_; }
  void write(Severity severity, std::string_view event, std::span<const Field> fields) override;

 private:
  bool connect();
  bool put(const std::string& message);

  const std::string path_;
  const LogOrigin origin_;
  const Severity least_;
  const os::Clock& clock_;
  std::mutex mutex_;
  int fd_ = -1;
  std::uint64_t dropped_ = 0;
};

enum class LogTo : std::uint8_t {
  kAuto,  // a terminal if standard error is one, or HEADRACE_LOG=stderr; else Headrace's own syslog socket if
          // the host has it; else standard error
  kTerminal,  // standard error
  kSyslog,    // Headrace's own socket, or /dev/log; standard error when there is neither
};

struct SinkOptions {
  std::string role;
  bool verbose = false;  // debug records too
  LogTo to = LogTo::kAuto;
  std::string syslog_path = "/run/headrace/log";
  std::string system_syslog_path = "/dev/log";
};

std::unique_ptr<LogSink> make_sink(const SinkOptions& options);

}  // namespace hr
