#include "headrace/up_output.h"

#include "headrace/up_state.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace hr {
namespace {

// Six colours that show on dark and on light; a role keeps its own.
int colour_of(std::string_view name) {
  std::uint32_t sum = 0;
  for (const char c : name) sum = sum * 31 + static_cast<unsigned char>(c);
  return static_cast<int>(31 + sum % 6);
}

}  // namespace

void LineSplitter::feed(std::string_view bytes, const Take& take) {
  rest_ += bytes;
  std::size_t from = 0;
  for (;;) {
    const std::size_t end = rest_.find('\n', from);
    const std::size_t length = (end == rest_.npos ? rest_.size() : end) - from;
    if (length > kOutputLineBytesMax) {
      take(std::string_view(rest_).substr(from, kOutputLineBytesMax));
      from += kOutputLineBytesMax;
    } else if (end != rest_.npos) {
      take(std::string_view(rest_).substr(from, length));
      from = end + 1;
    } else {
      break;
    }
  }
  rest_.erase(0, from);
}

void LineSplitter::finish(const Take& take) {
  if (!rest_.empty()) take(rest_);
  rest_.clear();
}

std::string printable(std::string_view line) {
  std::string out;
  out.reserve(line.size());
  if (line.ends_with('\r')) line.remove_suffix(1);
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    const auto byte = static_cast<unsigned char>(c);
    const bool c1 = byte == 0xc2 && i + 1 < line.size() && static_cast<unsigned char>(line[i + 1]) < 0xa0;
    if (c1) {
      out += fmt::format("\\xc2\\x{:02x}", static_cast<unsigned char>(line[++i]));
    } else if ((byte < 0x20 && c != '\t') || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

Console::Console(int terminal, bool colour, std::string log_file, std::size_t name_width)
    : terminal_(terminal), colour_(colour), log_file_(std::move(log_file)), name_width_(name_width) {}

void Console::line(std::string_view name, std::string_view text) {
  const std::string shown = printable(text);
  to_file(name, shown);
  to_terminal(name, shown);
}

void Console::to_terminal(std::string_view name, std::string_view text) {
  if (left_out_ != 0 && put(fmt::format("{:<{}} | {} lines left out here; they are in {}\n", "up",
                                        name_width_, left_out_, log_file_)))
    left_out_ = 0;
  const bool put_it =
      left_out_ == 0 &&
      (colour_ ? put(fmt::format("\x1b[{}m{:<{}} |\x1b[0m {}\n", colour_of(name), name, name_width_, text))
               : put(fmt::format("{:<{}} | {}\n", name, name_width_, text)));
  if (!put_it) ++left_out_;
}

// A pipe that is ready takes PIPE_BUF bytes at least: this does not wait.
bool Console::put(const std::string& text) const {
  pollfd ready{.fd = terminal_, .events = POLLOUT, .revents = 0};
  if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
  return ::write(terminal_, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

void Console::to_file(std::string_view name, std::string_view text) {
  if (file_.open() && file_bytes_ > kLogFileBytesMax) {
    rotate(log_file_, kLogFileBytesMax);
    file_ = os::Fd();
  }
  if (!file_.open()) {
    file_ = os::Fd(::open(log_file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    struct stat seen{};
    file_bytes_ = ::fstat(file_.get(), &seen) == 0 ? static_cast<std::uintmax_t>(seen.st_size) : 0;
  }
  const std::string whole = fmt::format("{:<{}} | {}\n", name, name_width_, text);
  const ssize_t written = file_.open() ? ::write(file_.get(), whole.data(), whole.size()) : 0;
  if (written > 0) file_bytes_ += static_cast<std::uintmax_t>(written);
}

void ConsoleSink::write(Severity severity, std::string_view event, std::span<const Field> fields) {
  const LogRecord record{.time = clock_.wall(), .severity = severity, .event = event, .fields = fields};
  std::string line = terminal_line(record, LineStyle::kPlain);
  if (line.ends_with('\n')) line.pop_back();
  console_.line("up", line);
}

}  // namespace hr
