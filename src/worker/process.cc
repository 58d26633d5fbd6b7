#include "worker/process.h"

#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <string_view>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace hr::worker {
namespace {

constexpr std::size_t kLeaseBytes = 4096;

std::unexpected<Error> failed(std::string_view what) {
  return fail(Errc::kIo, fmt::format("{}: {}", what, std::strerror(errno)));
}

std::string read_file(const std::string& path) {
  std::string out;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return out;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof buffer)) > 0;)
    out.append(buffer, static_cast<std::size_t>(n));
  ::close(fd);
  return out;
}

// "PID (NAME) STATE PPID ...": the name may hold anything, so from the last bracket on.
pid_t parent_of(const std::string& pid) {
  const std::string stat = read_file("/proc/" + pid + "/stat");
  const auto name_end = stat.rfind(')');
  if (name_end == stat.npos || name_end + 4 >= stat.size()) return -1;
  pid_t parent = -1;
  std::from_chars(stat.data() + name_end + 4, stat.data() + stat.size(), parent);
  return parent;
}

// Those that left the group of child `id` and lost their own parent are children of this program now. They
// are known by the mark in their environment.
void kill_strays(ChildId id) {
  const std::string mark = fmt::format("HEADRACE_CHILD={}.{}", ::getpid(), id);
  DIR* proc = ::opendir("/proc");
  if (proc == nullptr) return;
  while (const dirent* entry = ::readdir(proc)) {  // NOLINT(concurrency-mt-unsafe): one stream, one thread
    const std::string name = entry->d_name;
    if (name.find_first_not_of("0123456789") != name.npos || parent_of(name) != ::getpid()) continue;
    const std::string environment = '\0' + read_file("/proc/" + name + "/environ");
    if (environment.find('\0' + mark + '\0') == environment.npos) continue;
    pid_t pid = -1;
    std::from_chars(name.data(), name.data() + name.size(), pid);
    ::kill(pid, SIGKILL);
  }
  ::closedir(proc);
}

struct ExecPlan {
  std::vector<char*> arguments, environment;
  const char* program = nullptr;
  const char* folder = nullptr;
  int channel = -1, lease = -1;
  pid_t parent = -1;
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

// Between fork and exec: only what is safe there.
[[noreturn]] void become(const ExecPlan& plan) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != plan.parent) ::_exit(127);  // it died before the line above
  for (const int signal : {SIGTERM, SIGINT, SIGCHLD, SIGPIPE, SIGHUP}) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::chdir(plan.folder) != 0) ::_exit(126);
  ::fcntl(plan.channel, F_SETFD, 0);
  ::fcntl(plan.lease, F_SETFD, 0);
  ::execve(plan.program, plan.arguments.data(), plan.environment.data());
  ::_exit(127);
}

}  // namespace

Status become_subreaper() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return failed("PR_SET_CHILD_SUBREAPER");
  return {};
}

Result<std::unique_ptr<ChildProcess>> ChildProcess::start(const ChildSetup& setup, ChildId id) {
  int pair[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return failed("socketpair");
  const int lease = ::memfd_create("headrace-lease", MFD_CLOEXEC);
  void* memory = MAP_FAILED;
  if (lease >= 0 && ::ftruncate(lease, kLeaseBytes) == 0) {
    memory = ::mmap(nullptr, kLeaseBytes, PROT_READ | PROT_WRITE, MAP_SHARED, lease, 0);
  }
  std::unique_ptr<ChildProcess> child(new ChildProcess(id, pair[0], memory == MAP_FAILED ? nullptr : memory));
  std::vector<std::string> environment = setup.environment;
  environment.push_back(fmt::format("HEADRACE_CHANNEL={}", pair[1]));
  environment.push_back(fmt::format("HEADRACE_LEASE={}", lease));
  environment.push_back(fmt::format("HEADRACE_CHILD={}.{}", ::getpid(), id));
  const ExecPlan plan{.arguments = pointers(setup.arguments),
                      .environment = pointers(environment),
                      .program = setup.program.c_str(),
                      .folder = setup.folder.c_str(),
                      .channel = pair[1],
                      .lease = lease,
                      .parent = ::getpid()};
  int error = memory == MAP_FAILED ? errno : 0;
  if (error == 0) {
    // No handler of ours may run in the child before it is another program.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    child->pid_ = ::fork();
    error = child->pid_ < 0 ? errno : 0;
    if (child->pid_ == 0) become(plan);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ::close(pair[1]);
  if (lease >= 0) ::close(lease);
  if (error != 0) {
    errno = error;
    return failed("a child process could not be started");
  }
  ::setpgid(child->pid_, child->pid_);  // whoever of the two comes first
  return child;
}

ChildProcess::~ChildProcess() {
  if (!reaped_) kill_group();
  if (channel_ >= 0) ::close(channel_);
  if (memory_ != nullptr) ::munmap(memory_, kLeaseBytes);
}

void ChildProcess::set_lease(Nanos end) {
  std::atomic_ref(*static_cast<std::int64_t*>(memory_)).store(end.count(), std::memory_order_release);
}

void ChildProcess::kill_group() const {
  if (pid_ > 1) ::kill(-pid_, SIGKILL);
}

void ChildProcess::reaped() {
  reaped_ = true;
  kill_group();
  kill_strays(id_);
}

}  // namespace hr::worker
