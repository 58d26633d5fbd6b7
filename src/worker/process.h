// One child process of a pool: the user's interpreter in a process group of its own, a socket to talk through
// and a page of shared memory that holds the end of its lease. Dies with this program's main thread. Must be
// started from that thread: the death signal belongs to the thread that forks.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "worker/action.h"

#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

namespace hr::worker {

struct ChildSetup {
  std::string program;                   // an executable's path
  std::vector<std::string> arguments;    // with the program's name first
  std::string folder;                    // the working folder
  std::vector<std::string> environment;  // "NAME=value"
};

class ChildProcess {
 public:
  // kIo: no descriptor, process or memory could be had. That the program could not be executed shows as exit
  // status 127.
  static Result<std::unique_ptr<ChildProcess>> start(const ChildSetup& setup, ChildId id);
  ~ChildProcess();  // kills the group if it was not reaped
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  int channel() const { return channel_; }
  void set_lease(Nanos end);
  void kill_group() const;  // whoever is left in it
  // After waitpid() told of its end: the rest of its group, and what had left the group and became ours.
  void reaped();

 private:
  ChildProcess(ChildId id, int channel, void* memory) : id_(id), channel_(channel), memory_(memory) {}

  ChildId id_;
  pid_t pid_ = -1;
  int channel_ = -1;
  void* memory_ = nullptr;
  bool reaped_ = false;
};

// Orphans of our children become our children from now on.
Status become_subreaper();

}  // namespace hr::worker
