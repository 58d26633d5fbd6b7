// Processes as a supervisor needs them: started with exactly the descriptors and environment they are given,
// each the leader of its own process group; signalled; reaped. The caller owns every descriptor it names.
// A program that cannot be started is an error of spawn(), never a child that ends at once.
#pragma once

#include "base/result.h"

#include <optional>
#include <string>
#include <vector>

namespace hr::os {

struct Spawn {
  std::vector<std::string> command = {};      // a path, or a name that PATH of `environment` finds; arguments
  std::vector<std::string> environment = {};  // "NAME=value": the whole of it
  std::string folder = {};                    // where it runs; empty: where the caller does
  std::vector<int> passed = {};               // become its descriptors 3, 4, ...; it gets no others
  std::vector<std::string> listen_names =
      {};                // one for each passed one: announced as LISTEN_PID, _FDS, _FDNAMES
  int output = -1;       // becomes its standard output and error; -1: the caller's. Input is /dev/null.
  int death_signal = 0;  // what it gets when the thread that started it ends; 0: nothing
};

struct Ended {
  int pid = 0;
  int code = 0;    // what it exited with
  int signal = 0;  // or the signal that ended it; 0: it exited
  bool operator==(const Ended&) const = default;
};

class Processes {
 public:
  virtual ~Processes() = default;
  // The pid, which is the group's id too. kNotFound, kPermission: the program or folder; kLimit: no more
  // processes or memory; kInvalid: no command, or a list that does not fit.
  virtual Result<int> spawn(const Spawn& what) = 0;
  // To every process of the group that `pid` leads (or led). False: nobody is left in it.
  virtual bool signal_group(int pid, int signal) = 0;
  virtual bool signal_one(int pid, int signal) = 0;
  // A child that has ended, whoever started it; none: no child has ended since.
  virtual std::optional<Ended> reap() = 0;
  // The pids whose parent is this process, in ascending order.
  virtual std::vector<int> children() = 0;
  virtual std::vector<int> everyone() = 0;  // the pids that can be seen, in ascending order
};

}  // namespace hr::os
