#include "worker/process.h"

#include "worker/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <set>
#include <string_view>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hr::worker {
namespace {

constexpr std::size_t kSharedBytes = 4096;
constexpr std::size_t kLeaseWord = 0, kBegunWord = 1;  // of 64 bits, as python/native/lease.cc knows them
constexpr int kChannel = 3, kShared = 4;               // the child's descriptors

std::unexpected<Error> failed(std::string_view what) {
  return fail(Errc::kIo, fmt::format("{}: {}", what, std::strerror(errno)));
}

auto word(void* memory, std::size_t index) {
  return std::atomic_ref(static_cast<std::uint64_t*>(memory)[index]);
}

// In the environment of a child and of all that it starts: HEADRACE_CHILD=WORKER.CHILD.BEGIN, where BEGIN
// tells this worker from a later process of its pid.
constexpr std::string_view kMark = "HEADRACE_CHILD=";
constexpr int kOrphanRounds = 8;  // some start others meanwhile

std::string mark() { return fmt::format("{}{}.", kMark, ::getpid()); }

// The words of /proc/PID/stat behind the name, which may hold anything: state, parent and so on.
std::string_view stat_words(const std::string& stat) {
  const std::size_t name_end = stat.rfind(") ");
  return name_end == stat.npos ? std::string_view() : std::string_view(stat).substr(name_end + 2);
}

// When a process began, in the kernel's ticks since it booted. Zero: it has ended.
std::uint64_t begin_of(int pid) {
  constexpr int kBegin = 22, kState = 3;  // as proc(5) numbers them
  const std::string stat = read_proc(fmt::format("/proc/{}/stat", pid));
  std::string_view words = stat_words(stat);
  if (words.empty() || words.front() == 'Z' || words.front() == 'X') return 0;
  for (int word = kState; word < kBegin; ++word)
    words.remove_prefix(std::min(words.find(' '), words.size() - 1) + 1);
  std::uint64_t begin = 0;
  std::from_chars(words.data(), words.data() + words.size(), begin);
  return begin;
}

std::string namespace_of(std::string_view pid) {
  char text[64];
  const auto n = ::readlink(fmt::format("/proc/{}/ns/pid", pid).c_str(), text, sizeof text);
  return n > 0 ? std::string(text, static_cast<std::size_t>(n)) : "";
}

// That of a process of this user, with a zero byte before each entry; empty: it is not to be had.
std::string environment_of(int pid) {
  const std::string path = fmt::format("/proc/{}", pid);
  struct stat owner{};
  if (::stat(path.c_str(), &owner) != 0 || owner.st_uid != ::geteuid()) return "";
  return '\0' + read_proc(path + "/environ");
}

bool has(const std::string& environment, std::string_view entry) {
  return environment.contains(fmt::format("{0}{1}{0}", '\0', entry));
}

// Whether the worker that the mark names lives no more.
bool is_orphan(const std::string& environment) {
  const std::size_t at = environment.find('\0' + std::string(kMark));
  if (at == environment.npos) return false;
  const char* text = environment.data() + at + 1 + kMark.size();
  const char* end = environment.data() + environment.size();
  std::uint64_t numbers[3] = {};  // worker, child, begin
  for (std::size_t i = 0; i < 3; ++i) {
    const auto [rest, error] = std::from_chars(text, end, numbers[i]);
    const bool more = rest != end && *rest == (i < 2 ? '.' : '\0');
    if (error != std::errc() || !more) return false;
    text = rest + 1;
  }
  return begin_of(static_cast<int>(numbers[0])) != numbers[2];
}

}  // namespace

std::size_t kill_orphans(os::Processes& processes, const ChildSetup& setup) {
  const auto of_the_pool = [&](const std::string& environment) {
    return std::ranges::all_of(setup.environment, [&](const std::string& entry) {
      const bool tells = entry.starts_with("HEADRACE_STATE=") || entry.starts_with("HEADRACE_POOL=");
      return !tells || has(environment, entry);
    });
  };
  const std::string here = namespace_of("self");
  std::set<int> killed;
  for (int round = 0; round < kOrphanRounds; ++round) {
    bool any = false;
    for (const int pid : processes.everyone()) {
      const std::string environment = environment_of(pid);
      if (pid == ::getpid() || !is_orphan(environment) || !of_the_pool(environment)) continue;
      if (namespace_of(std::to_string(pid)) != here) continue;
      any = true;
      processes.signal_one(pid, SIGKILL);
      killed.insert(pid);
    }
    if (!any) break;
  }
  return killed.size();
}

void kill_strays(os::Processes& processes, const std::function<bool(ChildId)>& lives) {
  const std::string before = '\0' + mark();
  for (const int pid : processes.children()) {
    const std::string environment = '\0' + read_proc(fmt::format("/proc/{}/environ", pid));
    const std::size_t at = environment.find(before);
    if (at == environment.npos) continue;
    ChildId id = 0;
    std::from_chars(environment.data() + at + before.size(), environment.data() + environment.size(), id);
    if (!lives(id)) processes.signal_one(pid, SIGKILL);
  }
}

Result<std::unique_ptr<ChildProcess>> ChildProcess::start(os::Processes& processes, const ChildSetup& setup,
                                                          ChildId id) {
  std::unique_ptr<ChildProcess> child(new ChildProcess(processes));
  int pair[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return failed("socketpair");
  child->channel_ = pair[0];
  const int shared = ::memfd_create("headrace-lease", MFD_CLOEXEC);
  const auto close_ours = [&] {
    ::close(pair[1]);
    if (shared >= 0) ::close(shared);
  };
  void* memory = MAP_FAILED;
  if (shared >= 0 && ::ftruncate(shared, kSharedBytes) == 0) {
    memory = ::mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
  }
  if (memory == MAP_FAILED) {
    auto error = failed("memory for a child's lease");
    close_ours();
    return error;
  }
  child->memory_ = memory;
  os::Spawn what{.command = {setup.program},
                 .environment = setup.environment,
                 .folder = setup.folder,
                 .passed = {pair[1], shared},
                 .death_signal = SIGKILL};
  what.command.insert(what.command.end(), setup.arguments.begin(), setup.arguments.end());
  what.environment.push_back(fmt::format("HEADRACE_CHANNEL={}", kChannel));
  what.environment.push_back(fmt::format("HEADRACE_LEASE={}", kShared));
  what.environment.push_back(fmt::format("{}{}.{}", mark(), id, begin_of(::getpid())));
  const auto pid = processes.spawn(what);
  close_ours();
  if (!pid) return std::unexpected(pid.error());
  child->pid_ = *pid;
  return child;
}

ChildProcess::~ChildProcess() {
  if (!reaped_) kill_group();
  if (channel_ >= 0) ::close(channel_);
  if (memory_ != nullptr) ::munmap(memory_, kSharedBytes);
}

void ChildProcess::set_lease(Nanos end) {
  word(memory_, kLeaseWord).store(static_cast<std::uint64_t>(end.count()), std::memory_order_release);
}

std::uint64_t ChildProcess::recall(std::uint64_t given) { return word(memory_, kBegunWord).exchange(given); }

std::uint64_t ChildProcess::begun() const { return word(memory_, kBegunWord).load(); }

void ChildProcess::kill_group() const { processes_.signal_group(pid_, SIGKILL); }

void ChildProcess::reaped() {
  reaped_ = true;
  kill_group();
}

}  // namespace hr::worker
