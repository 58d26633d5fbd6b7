// What the roles of `headrace up` print, as lines: each with the name of its role before it, on the terminal
// (in colour if it is one) and in STATE/log/headrace.log. The terminal never makes anybody wait: a line it
// cannot take at once is counted and left to the file.
#pragma once

#include "base/log.h"
#include "headrace/log_text.h"
#include "os/clock.h"
#include "os/linux/fd.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace hr {

inline constexpr std::size_t kOutputLineBytesMax = 3'800;      // with a name and a new line below PIPE_BUF
inline constexpr std::uintmax_t kLogFileBytesMax = 64U << 20;  // then headrace.log becomes headrace.log.1

// Bytes as they come, to whole lines; a longer one is cut into several.
class LineSplitter {
 public:
  using Take = std::function<void(std::string_view line)>;
  void feed(std::string_view bytes, const Take& take);
  void finish(const Take& take);  // what has no new line yet

 private:
  std::string rest_;
};

// Control characters as \xNN, but for tabs: nothing printed can steer the terminal.
std::string printable(std::string_view line);

class Console {
 public:
  Console(int terminal, bool colour, std::string log_file, std::size_t name_width);

  void line(std::string_view name, std::string_view text);

 private:
  void to_terminal(std::string_view name, std::string_view text);
  void to_file(std::string_view name, std::string_view text);
  bool put(const std::string& text) const;

  const int terminal_;
  const bool colour_;
  const std::string log_file_;
  const std::size_t name_width_;
  os::Fd file_;
  std::uintmax_t file_bytes_ = 0;
  std::uint64_t left_out_ = 0;
};

// The records of `up` itself, under its own name.
class ConsoleSink final : public LogSink {
 public:
  ConsoleSink(Console& console, const os::Clock& clock) : console_(console), clock_(clock) {}
  bool wants(Severity severity) const override { return severity <= Severity::kInfo; }
  void write(Severity severity, std::string_view event, std::span<const Field> fields) override;

 private:
  Console& console_;
  const os::Clock& clock_;
};

}  // namespace hr
