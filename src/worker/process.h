// One child process of a pool: the user's interpreter in a process group of its own, a socket to talk through
// and a page of shared memory with two words: the end of its lease, and the ordinal of the last job that may
// not begin any more, or has begun. Dies with this program's main thread. Must be started from that thread:
// the death signal belongs to the thread that forks.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "os/process.h"
#include "worker/action.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

namespace hr::worker {

struct ChildSetup {
  std::string program;                   // an executable's path
  std::vector<std::string> arguments;    // that follow it
  std::string folder;                    // the working folder
  std::vector<std::string> environment;  // "NAME=value"
};

class ChildProcess {
 public:
  // kIo: no descriptor or memory could be had; else what os::Processes::spawn() says. `processes` must
  // outlive it.
  static Result<std::unique_ptr<ChildProcess>> start(os::Processes& processes, const ChildSetup& setup,
                                                     ChildId id);
  ~ChildProcess();  // kills the group if it was not reaped
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  int channel() const { return channel_; }
  void set_lease(Nanos end);
  // The ordinal of the last job it began; what comes after that, up to `given`, it never begins.
  std::uint64_t recall(std::uint64_t given);
  std::uint64_t begun() const;
  void kill_group() const;  // whoever is left in it
  void reaped();            // its end was seen: the rest of its group goes too

 private:
  explicit ChildProcess(os::Processes& processes) : processes_(processes) {}

  os::Processes& processes_;
  pid_t pid_ = -1;
  int channel_ = -1;
  void* memory_ = nullptr;
  bool reaped_ = false;
};

// Those that left the group of a child and lost their own parent are children of this program then. Ends the
// ones whose child does not live any more.
void kill_strays(os::Processes& processes, const std::function<bool(ChildId)>& lives);

// The same for what children of the same pool (HEADRACE_STATE, HEADRACE_POOL) have left behind when their
// worker was killed, whoever is its parent now: of this user, in this pid namespace. How many there were.
std::size_t kill_orphans(os::Processes& processes, const ChildSetup& setup);

}  // namespace hr::worker
