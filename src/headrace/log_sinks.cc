#include "headrace/log_sinks.h"

#include "os/linux/linux.h"

#include <climits>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace hr {
namespace {

// A sink with the clock that it reads.
template <class Sink>
class WithClock final : public LogSink {
 public:
  template <class... Args>
  explicit WithClock(Args&&... args) : sink_(std::forward<Args>(args)..., *clock_) {}
  bool wants(Severity severity) const override { return sink_.wants(severity); }
  void write(Severity severity, std::string_view event, std::span<const Field> fields) override {
    sink_.write(severity, event, fields);
  }
  void hold() override { sink_.hold(); }
  void release() override { sink_.release(); }

 private:
  std::unique_ptr<os::Clock> clock_ = os::make_clock(Time{});
  Sink sink_;
};

bool is_socket(const std::string& path) {
  struct stat seen{};
  return ::stat(path.c_str(), &seen) == 0 && S_ISSOCK(seen.st_mode);
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "-";
}

// Whether standard error is the journal's stream: "device:inode" (systemd.exec(5)).
bool stderr_is_journal() {
  const char* told = std::getenv("JOURNAL_STREAM");
  struct stat seen{};
  if (told == nullptr || ::fstat(STDERR_FILENO, &seen) != 0) return false;
  return std::to_string(seen.st_dev) + ":" + std::to_string(seen.st_ino) == told;
}

LineStyle stderr_style() {
  if (stderr_is_journal()) return LineStyle::kJournal;
  const char* no_colour = std::getenv("NO_COLOR");
  const bool colour = ::isatty(STDERR_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0');
  return colour ? LineStyle::kColour : LineStyle::kPlain;
}

// `headrace up` says so to its roles: it shows and keeps what they print.
bool told_to_print() {
  const char* told = std::getenv("HEADRACE_LOG");
  return told != nullptr && std::string_view(told) == "stderr";
}

// The socket to log to; "" for standard error.
std::string syslog_path(const SinkOptions& options) {
  if (options.to == LogTo::kAuto && told_to_print()) return "";
  if (options.to == LogTo::kTerminal) return "";
  if (options.to == LogTo::kAuto && ::isatty(STDERR_FILENO) == 1) return "";
  if (is_socket(options.syslog_path)) return options.syslog_path;
  return options.to == LogTo::kSyslog && is_socket(options.system_syslog_path) ? options.system_syslog_path
                                                                               : "";
}

LogRecord dropped_record(Time now, const Field& count) {
  return {.time = now, .severity = Severity::kWarning, .event = "log.dropped", .fields = {&count, 1}};
}

}  // namespace

TerminalSink::TerminalSink(int fd, LineStyle style, Severity least, const os::Clock& clock)
    : fd_(fd), style_(style), least_(least), clock_(clock) {}

void TerminalSink::write(Severity severity, std::string_view event, std::span<const Field> fields) {
  const Time now = clock_.wall();
  const LogRecord record{.time = now, .severity = severity, .event = event, .fields = fields};
  const std::string line = terminal_line(record, style_);
  const std::lock_guard lock(mutex_);
  if (held_.size() + line.size() > PIPE_BUF) put_held();
  if (dropped_ != 0) {
    const Field count("count", dropped_);
    if (put(terminal_line(dropped_record(now, count), style_))) dropped_ = 0;
  }
  if (dropped_ != 0) {
    ++dropped_;
    return;
  }
  held_ += line;
  ++held_lines_;
  if (!holding_) put_held();
}

void TerminalSink::hold() {
  const std::lock_guard lock(mutex_);
  holding_ = true;
}

void TerminalSink::release() {
  const std::lock_guard lock(mutex_);
  holding_ = false;
  put_held();
}

void TerminalSink::put_held() {
  if (!held_.empty() && !put(held_)) dropped_ += held_lines_;
  held_.clear();
  held_lines_ = 0;
}

// A pipe that is ready takes at least PIPE_BUF bytes, and there are no more than that: this does not wait.
bool TerminalSink::put(std::string_view lines) {
  pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
  if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
  return ::write(fd_, lines.data(), lines.size()) == static_cast<ssize_t>(lines.size());
}

SyslogSink::SyslogSink(std::string path, LogOrigin origin, Severity least, const os::Clock& clock)
    : path_(std::move(path)), origin_(std::move(origin)), least_(least), clock_(clock) {}

SyslogSink::~SyslogSink() {
  if (fd_ >= 0) ::close(fd_);
}

void SyslogSink::write(Severity severity, std::string_view event, std::span<const Field> fields) {
  const Time now = clock_.wall();
  const LogRecord record{.time = now, .severity = severity, .event = event, .fields = fields};
  const std::string message = syslog_message(record, origin_);
  const std::lock_guard lock(mutex_);
  if (dropped_ != 0) {
    const Field count("count", dropped_);
    if (put(syslog_message(dropped_record(now, count), origin_))) dropped_ = 0;
  }
  if (dropped_ != 0 || !put(message)) ++dropped_;
}

bool SyslogSink::connect() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  sockaddr_un where{};
  if (path_.size() >= sizeof where.sun_path) return false;
  where.sun_family = AF_UNIX;
  path_.copy(where.sun_path, path_.size());
  fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return fd_ >= 0 && ::connect(fd_, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0;
}

bool SyslogSink::put(const std::string& message) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (fd_ >= 0 && ::send(fd_, message.data(), message.size(), MSG_NOSIGNAL) >= 0) return true;
    if (fd_ >= 0 && (errno == EAGAIN || errno == ENOBUFS)) return false;  // its queue is full
    if (!connect()) return false;
  }
  return false;
}

std::unique_ptr<LogSink> make_sink(const SinkOptions& options) {
  const Severity least = options.verbose ? Severity::kDebug : Severity::kInfo;
  const std::string path = syslog_path(options);
  if (path.empty()) return std::make_unique<WithClock<TerminalSink>>(STDERR_FILENO, stderr_style(), least);
  const LogOrigin origin{.host = host_name(), .role = options.role, .pid = ::getpid()};
  return std::make_unique<WithClock<SyslogSink>>(path, origin, least);
}

}  // namespace hr
