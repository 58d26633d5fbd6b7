#include "worker/process.h"

#include "worker/memory.h"

#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/mman.h>
#include <sys/socket.h>
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

// In the environment of a child and of all that it starts.
std::string mark() { return fmt::format("HEADRACE_CHILD={}.", ::getpid()); }

}  // namespace

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
  what.environment.push_back(mark() + std::to_string(id));
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
