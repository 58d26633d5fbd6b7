#include "remote/host_outside.h"

#include "net/blocking_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace hr::remote {
namespace {

constexpr std::size_t kFileBytesMax = 1U << 20;
constexpr std::size_t kOutputBytesMax = 64 * 1024;
constexpr auto kProcessLimit = std::chrono::seconds(60);
constexpr codec::ResponseLimits kAnswerLimits{.head_bytes_max = 16'384, .body_bytes_max = 256 * 1024};

class Handle {
 public:
  explicit Handle(int fd) : fd_(fd) {}
  ~Handle() {
    if (fd_ >= 0) ::close(fd_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// Up to `most` bytes and one more, until the end or the deadline.
Result<Bytes> read_all(int fd, std::size_t most, net::Deadline deadline) {
  Bytes out;
  std::array<char, 8192> part;
  while (out.size() <= most) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
    if (left <= 0) return fail(Errc::kTimeout, "no answer in time");
    const int ready = ::poll(&one, 1, static_cast<int>(std::min<std::int64_t>(left, 1000)));
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t n = ::read(fd, part.data(), part.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(Errc::kIo, std::strerror(errno));
    if (n == 0) break;
    out.append(part.data(), static_cast<std::size_t>(n));
  }
  return out;
}

// Its own group, input and errors to nowhere.
Result<pid_t> start(const std::vector<Bytes>& command, int out) {
  std::vector<char*> arguments;
  for (const Bytes& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out, 1);
  ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0)
    return fail(Errc::kUnavailable,
                fmt::format("{} cannot be started: {}", command[0], std::strerror(error)));
  return pid;
}

class HostOutside final : public Outside {
 public:
  HostOutside(std::string authorities, bool (*interrupt)())
      : authorities_(std::move(authorities)), interrupt_(interrupt) {}

  Bytes variable(const std::string& name) override {
    const char* value = std::getenv(name.c_str());
    return value != nullptr ? value : "";
  }

  Result<Bytes> read_file(const std::string& path) override {
    const Handle file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) {
      const Errc code = errno == ENOENT || errno == ENOTDIR ? Errc::kNotFound : Errc::kPermission;
      return fail(code, fmt::format("{} cannot be read: {}", path, std::strerror(errno)));
    }
    auto text =
        read_all(file.get(), kFileBytesMax, std::chrono::steady_clock::now() + std::chrono::seconds(10));
    if (!text) return std::unexpected(std::move(text).error().in(path));
    if (text->size() > kFileBytesMax) return fail(Errc::kLimit, path + " is over a MiB");
    return text;
  }

  Result<Bytes> run(const std::vector<Bytes>& command) override {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(Errc::kIo, std::strerror(errno));
    const Handle in(ends[0]);
    pid_t pid = 0;
    {
      const Handle out(ends[1]);
      HR_ASSIGN(pid, start(command, out.get()));
    }
    auto output = read_all(in.get(), kOutputBytesMax, std::chrono::steady_clock::now() + kProcessLimit);
    if (!output || output->size() > kOutputBytesMax) ::kill(-pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0) {
      if (errno == EINTR) continue;
      status = 0;  // somebody else of this process has reaped it: its output tells
      break;
    }
    if (!output) return std::unexpected(std::move(output).error());
    if (output->size() > kOutputBytesMax) return fail(Errc::kLimit, "it says more than 64 KiB");
    if (WIFSIGNALED(status))
      return fail(Errc::kUnavailable, fmt::format("signal {} ended it", WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0) {
      return fail(Errc::kUnavailable, fmt::format("it ended with {}", WEXITSTATUS(status)));
    }
    return output;
  }

  Result<codec::Response> http(const HttpAsk& ask) override {
    const auto deadline = std::chrono::steady_clock::now() + ask.timeout;
    const auto slash = std::min(ask.url.find('/', ask.url.find("://") + 3), ask.url.size());
    HR_ASSIGN(const auto endpoint, net::parse_endpoint(std::string_view(ask.url).substr(0, slash)));
    if (endpoint.tls && !tls_) {
      HR_ASSIGN(tls_, net::TlsContext::make(authorities_));
    }
    HR_ASSIGN(auto connection, net::BlockingConnection::open(endpoint, tls_, deadline, interrupt_));
    Bytes head =
        fmt::format("{} {} HTTP/1.1\r\n", ask.method, slash == ask.url.size() ? "/" : ask.url.substr(slash));
    for (const auto& [name, value] : ask.headers) head += fmt::format("{}: {}\r\n", name, value);
    head += fmt::format("connection: close\r\ncontent-length: {}\r\n\r\n", ask.body.size());
    return connection.exchange(head, ask.body, codec::ResponseParser(codec::Asked::kOther, kAnswerLimits),
                               deadline, interrupt_);
  }

  Time wall() override { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }

 private:
  const std::string authorities_;
  bool (*const interrupt_)();
  std::shared_ptr<net::TlsContext> tls_;  // made at the first use
};

bool never() { return false; }

}  // namespace

std::unique_ptr<Outside> make_host_outside(std::string authorities, bool (*interrupt)()) {
  return std::make_unique<HostOutside>(std::move(authorities), interrupt != nullptr ? interrupt : never);
}

}  // namespace hr::remote
