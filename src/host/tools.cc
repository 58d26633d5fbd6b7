#include "host/tools.h"

#include "os/linux/fd.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hr::host {
namespace {

constexpr int kPatienceMs = 60'000;
constexpr std::size_t kTextBytesMax = 16U << 20;

// Without what this process was told by systemd: a tool is nobody's service.
std::vector<std::string> environment_of(const std::string& path) {
  return {fmt::format("PATH={}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin", path), "LC_ALL=C.UTF-8",
          "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=", "SYSTEMD_LOG_LEVEL=warning"};
}

std::string contents(int fd) {
  std::string out;
  std::array<char, 65'536> piece{};
  for (ssize_t n = 0; (n = ::pread(fd, piece.data(), piece.size(), static_cast<off_t>(out.size()))) > 0;) {
    out.append(piece.data(), static_cast<std::size_t>(n));
    if (out.size() > kTextBytesMax) break;
  }
  return out;
}

class RealTools final : public Tools {
 public:
  RealTools(os::Processes& processes, const std::string& path)
      : processes_(processes), environment_(environment_of(path)) {}

  Result<Said> run(const std::vector<std::string>& command) override {
    const os::Fd output(::memfd_create("tool", MFD_CLOEXEC));  // nothing can fill up and wait
    if (!output.open()) return fail(Errc::kIo, "no memory for a tool's output");
    HR_ASSIGN(const int pid,
              processes_.spawn({.command = command, .environment = environment_, .output = output.get()}));
    const os::Fd ended(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    pollfd wait{.fd = ended.get(), .events = POLLIN, .revents = 0};
    const bool late = ended.open() && os::retried([&] { return ::poll(&wait, 1, kPatienceMs); }) == 0;
    if (late) processes_.signal_group(pid, SIGKILL);
    int status = 0;
    os::retried([&] { return ::waitpid(pid, &status, 0); });
    if (late) return fail(Errc::kTimeout, fmt::format("{} did not end within a minute", command.front()));
    return Said{.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1, .text = contents(output.get())};
  }

 private:
  os::Processes& processes_;
  std::vector<std::string> environment_;
};

}  // namespace

std::unique_ptr<Tools> make_tools(os::Processes& processes, const std::string& path) {
  return std::make_unique<RealTools>(processes, path);
}

}  // namespace hr::host
