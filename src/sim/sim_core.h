// The state of a simulated disk: names, their unsynced changes, faults and counters. Shared by SimDisk and
// its open files; every call is made with `mutex` held.
#pragma once

#include "sim/sim_disk.h"

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace hr::sim {

class SimDisk::Core {
 public:
  using InodePtr = std::shared_ptr<Inode>;  // shared: by names, by unsynced changes of names, by open files
  using Names = std::map<std::string, InodePtr, std::less<>>;  // a folder is a name with a null inode

  explicit Core(Options options) : options_(options), random_(options.seed) {}

  // Counts the operation. An error if the power is off or the operation is to fail; the faults that an
  // operation does itself are answered as a value.
  Result<std::optional<Fault>> begin(os::Label label, std::string_view path);

  Status add(std::string_view path, InodePtr inode);
  Status make_dir(std::string_view path);
  Status remove(std::string_view path);
  Status rename(std::string_view from, std::string_view to);
  Status sync_dir(std::string_view dir);
  Status has_folder(std::string_view dir) const;
  std::vector<os::DirEntry> list(std::string_view dir) const;
  Result<InodePtr> find(std::string_view path) const;

  Status reserve(std::uint64_t more_bytes) const;
  std::uint64_t used_bytes() const;
  void cut(std::uint64_t seed, const CrashOptions& options);
  void restart();
  std::string trace() const;

  mutable std::mutex mutex;
  std::uint64_t generation = 0;  // of files and locks: older ones are dead
  bool locked = false;

  struct Rule {
    std::string label;
    Fault fault;
    std::uint64_t skip;
    std::uint64_t times;  // 0: for ever
  };
  std::vector<Rule> rules;
  std::map<std::string, std::uint64_t, std::less<>> counts;
  std::uint64_t ops = 0;
  std::uint64_t ops_left = std::numeric_limits<std::uint64_t>::max();
  Options& options() { return options_; }
  Random& random() { return random_; }

 private:
  // One unsynced change in the folder `dir`: `gone` loses its name, `name` gets `inode`. Either may be "".
  struct Change {
    std::string dir, gone, name;
    InodePtr inode;
  };
  static void apply(const Change& change, Names& names);
  std::optional<Fault> due(os::Label label);
  void drop_unreachable();

  static constexpr std::size_t kTraceMax = 256;

  Options options_;
  Random random_;
  Names now_;      // what a process sees
  Names durable_;  // what a power cut surely leaves
  std::vector<Change> changes_;
  std::array<const std::string*, kTraceMax> trace_{};  // keys of `counts`
};

}  // namespace hr::sim
