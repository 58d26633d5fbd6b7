#include "os/linux/process.h"

#include "os/linux/fd.h"
#include "os/linux/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hr::os {
namespace {

constexpr int kFirstPassed = 3;
constexpr std::size_t kPassedMax = 256;

// Which step of a child failed, sent to its parent through a pipe that a successful exec closes.
enum class Step : std::uint8_t { kSetUp, kFolder, kExec };
struct Failure {
  Step step = Step::kSetUp;
  int error = 0;
};

std::string_view value_of(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string& entry : environment) {
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=')
      return std::string_view(entry).substr(name.size() + 1);
  }
  return {};
}

// All a child needs, made before fork: between fork and exec nothing may allocate.
class Prepared {
 public:
  Prepared(const Spawn& what, std::string program) : what_(what), program_(std::move(program)) {
    for (const std::string& word : what.command) arguments_.push_back(const_cast<char*>(word.c_str()));
    arguments_.push_back(nullptr);
    environment_ = what.environment;
    if (!what.listen_names.empty()) announce();
    for (std::string& entry : environment_) pointers_.push_back(entry.data());
    pointers_.push_back(nullptr);
    moved_.resize(what.passed.size(), -1);
  }

  // In the child; returns only if something failed. `report` moves out of the way of the passed ones.
  Failure run(int& report, int parent) {
    if (::setpgid(0, 0) != 0) return {Step::kSetUp, errno};
    reset_signals();
    if (what_.death_signal != 0) {
      if (::prctl(PR_SET_PDEATHSIG, what_.death_signal) != 0) return {Step::kSetUp, errno};
      if (::getppid() != parent) ::kill(::getpid(), what_.death_signal);  // it ended before that
    }
    if (!what_.folder.empty() && ::chdir(what_.folder.c_str()) != 0) return {Step::kFolder, errno};
    if (!place_descriptors(report)) return {Step::kSetUp, errno};
    if (pid_digits_ != nullptr) write_pid();
    ::execve(program_.c_str(), arguments_.data(), pointers_.data());
    return {Step::kExec, errno};
  }

 private:
  void announce() {
    std::string names;
    for (const std::string& name : what_.listen_names) names += (names.empty() ? "" : ":") + name;
    environment_.push_back(fmt::format("LISTEN_FDS={}", what_.passed.size()));
    environment_.push_back("LISTEN_FDNAMES=" + names);
    environment_.emplace_back("LISTEN_PID=0000000000");
    pid_digits_ = environment_.back().data() + std::strlen("LISTEN_PID=");
  }

  void write_pid() const { *std::to_chars(pid_digits_, pid_digits_ + 10, ::getpid()).ptr = '\0'; }

  static void reset_signals() {
    for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
  }

  // Everything above the places first, so that no place overwrites one that is still to be moved.
  bool place_descriptors(int& report) {
    const int above = kFirstPassed + static_cast<int>(what_.passed.size());
    const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int reporter = ::fcntl(report, F_DUPFD_CLOEXEC, above);
    if (input < 0 || reporter < 0) return false;
    report = reporter;
    const int output = what_.output < 0 ? -1 : ::fcntl(what_.output, F_DUPFD_CLOEXEC, above);
    for (std::size_t i = 0; i < moved_.size(); ++i) {
      moved_[i] = ::fcntl(what_.passed[i], F_DUPFD_CLOEXEC, above);
      if (moved_[i] < 0) return false;
    }
    for (std::size_t i = 0; i < moved_.size(); ++i) {
      if (::dup2(moved_[i], kFirstPassed + static_cast<int>(i)) < 0) return false;
    }
    if (::dup2(input, STDIN_FILENO) < 0) return false;
    if (what_.output >= 0 &&
        (output < 0 || ::dup2(output, STDOUT_FILENO) < 0 || ::dup2(output, STDERR_FILENO) < 0))
      return false;
    close_the_rest_on_exec(above);
    return true;
  }

  // What was not passed ends with exec, however it was opened.
  static void close_the_rest_on_exec(int first) {
    constexpr unsigned kCloseOnExec = 4;  // CLOSE_RANGE_CLOEXEC
    if (::syscall(SYS_close_range, static_cast<unsigned>(first), ~0U, kCloseOnExec) == 0) return;
    constexpr int kLookedAt = 4'096;  // an old kernel, or a filter that does not know the call
    for (int fd = first; fd < kLookedAt; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }

  const Spawn& what_;
  std::string program_;
  std::vector<std::string> environment_;
  std::vector<char*> arguments_, pointers_;
  std::vector<int> moved_;
  char* pid_digits_ = nullptr;
};

std::unexpected<Error> spawn_error(const Spawn& what, const Failure& failure) {
  const std::string_view name = failure.step == Step::kFolder ? what.folder : what.command.front();
  Errc code = Errc::kIo;
  if (failure.error == ENOENT || failure.error == ENOTDIR) code = Errc::kNotFound;
  if (failure.error == EACCES || failure.error == EPERM) code = Errc::kPermission;
  if (failure.error == EAGAIN || failure.error == ENOMEM || failure.error == EMFILE) code = Errc::kLimit;
  if (failure.error == E2BIG) code = Errc::kInvalid;
  return fail(code, fmt::format("{}: cannot be started: {}", name, std::strerror(failure.error)));
}

// The parent of process `pid`, from /proc/PID/stat: "pid (name) state ppid ...", where a name may hold
// anything.
int parent_of_process(int pid) {
  const std::string path = fmt::format("/proc/{}/stat", pid);
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 512> text{};
  const ssize_t n = file.open() ? ::read(file.get(), text.data(), text.size()) : -1;
  if (n <= 0) return -1;
  const std::string_view stat(text.data(), static_cast<std::size_t>(n));
  const std::size_t name_end = stat.rfind(") ");
  if (name_end == stat.npos || name_end + 4 >= stat.size()) return -1;
  int parent = -1;
  std::from_chars(stat.data() + name_end + 4, stat.data() + stat.size(), parent);
  return parent;
}

class LinuxProcesses final : public Processes {
 public:
  Result<int> spawn(const Spawn& what) override {
    if (what.command.empty()) return fail(Errc::kInvalid, "no command to start");
    if (what.passed.size() > kPassedMax ||
        (!what.listen_names.empty() && what.listen_names.size() != what.passed.size()))
      return fail(Errc::kInvalid,
                  fmt::format("{}: the descriptors and their names do not fit", what.command[0]));
    std::string program = what.command.front();  // with a slash: from the child's own folder
    if (!program.contains('/')) {
      HR_ASSIGN(program, find_program(program, value_of(what.environment, "PATH")));
    }
    Prepared prepared(what, std::move(program));
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return spawn_error(what, {Step::kSetUp, errno});
    const Fd heard(ends[0]);
    Fd told(ends[1]);
    const int parent = ::getpid();
    const int pid = ::fork();
    if (pid < 0) return spawn_error(what, {Step::kSetUp, errno});
    if (pid == 0) run_child(prepared, told.get(), parent);
    told = Fd();
    Failure failure;
    if (retried([&] { return ::read(heard.get(), &failure, sizeof failure); }) == sizeof failure) {
      retried([&] { return ::waitpid(pid, nullptr, 0); });
      return spawn_error(what, failure);
    }
    return pid;
  }

  bool signal_group(int pid, int signal) override { return pid > 1 && ::kill(-pid, signal) == 0; }
  bool signal_one(int pid, int signal) override { return pid > 1 && ::kill(pid, signal) == 0; }

  std::optional<Ended> reap() override {
    int status = 0;
    const int pid = retried([&] { return ::waitpid(-1, &status, WNOHANG); });
    if (pid <= 0) return std::nullopt;
    Ended out{.pid = pid};
    if (WIFEXITED(status)) out.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) out.signal = WTERMSIG(status);
    return out;
  }

  std::vector<int> children() override {
    std::vector<int> out = everyone();
    std::erase_if(out, [](int pid) { return parent_of_process(pid) != ::getpid(); });
    return out;
  }

  std::vector<int> everyone() override {
    std::vector<int> out;
    DIR* proc = ::opendir("/proc");
    if (proc == nullptr) return out;
    while (const dirent* entry = ::readdir(proc)) {
      int pid = 0;
      const std::string_view name = entry->d_name;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
      if (error == std::errc() && end == name.data() + name.size()) out.push_back(pid);
    }
    ::closedir(proc);
    std::ranges::sort(out);
    return out;
  }

 private:
  [[noreturn]] static void run_child(Prepared& prepared, int report, int parent) {
    const Failure failure = prepared.run(report, parent);
    const bool told = ::write(report, &failure, sizeof failure) == sizeof failure;
    ::_exit(told ? 127 : 126);
  }
};

}  // namespace

std::unique_ptr<Processes> make_processes() { return std::make_unique<LinuxProcesses>(); }

Status adopt_orphans() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
    return fail(Errc::kUnsupported, fmt::format("adopting orphans: {}", std::strerror(errno)));
  return {};
}

}  // namespace hr::os
