// The threads of the commit path: one writes and syncs the log, one applies object records to the index, one
// does what the keeper may block for. They report to the Store on its own thread, through `post`. Started
// once, stopped once; after stop() every group that was appended is durable and applied (or the log had
// died).
#pragma once

#include "base/result.h"
#include "commit/keeper.h"
#include "commit/recovery.h"
#include "commit/store.h"
#include "os/clock.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace hr::commit {

class Threads {
 public:
  struct Parts {
    Store& store;
    Recovered& recovered;
    const os::Clock& clock;
    Keeper::Limits keeper;
    hr::Log diary;
    // Runs its argument soon on the sequencing thread; safe from any thread.
    std::function<void(std::move_only_function<void()>)> post;
    // Called on the sequencing thread when the log or the index has failed: the process is to end.
    std::function<void(const Error&)> failed;
  };
  explicit Threads(Parts parts);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  void start();
  // Sequencing thread; nothing is appended any more. Blocks until both threads have ended.
  void stop();

  // Runs `work` on the keeper's thread between two of its steps: meanwhile no file of a checkpoint comes or
  // goes, and nothing more is cut from the log. Blocks; any thread but the sequencing one. kBusy: another is
  // waiting for the same. kClosed: the store stops.
  Status between_steps(std::move_only_function<Status()> work);

  std::uint64_t checkpoints() const { return keeper_.rounds(); }  // sequencing thread

 private:
  void run_log();
  void run_applier();
  void run_keeper();
  bool keeper_pauses(Duration length);
  void run_errand();
  Status on_sequencer(std::move_only_function<Status()> step);
  Status log_step();
  Status drop();
  void report();   // schedules deliver() once
  void deliver();  // on the sequencing thread: new positions reach the store
  void die(const Error& error);
  void flush();
  void hand_over(std::vector<object::AppliedRecord> records, storage::Lsn upto);

  Parts parts_;
  storage::SegmentedLog& log_;
  object::Applier& applier_;
  Keeper keeper_;
  std::thread log_thread_, applier_thread_, keeper_thread_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> report_pending_ = false;
  std::atomic<storage::Lsn> written_ = 0, durable_ = 0, applied_ = 0;
  std::atomic<Nanos> flush_takes_ = Nanos(0);  // lately, about

  std::mutex mutex_;
  std::condition_variable wake_applier_;
  std::vector<object::AppliedRecord> to_apply_;
  storage::Lsn apply_upto_ = 0;  // the log holds no further object records up to here
  bool applier_stopping_ = false;
  bool flush_asked_ = false;

  std::mutex keeper_mutex_;
  std::condition_variable wake_keeper_;
  bool keeper_stopping_ = false;
  std::optional<Status> step_done_;  // of the keeper's step on the sequencing thread
  struct Errand {
    std::move_only_function<Status()> work;
    bool begun = false;
    std::optional<Status> done;
  };
  Errand* errand_ = nullptr;  // its caller's
  std::condition_variable errand_moves_;

  std::mutex drop_mutex_;
  std::optional<std::pair<storage::Lsn, std::uint32_t>> drop_;  // for the log thread
};

}  // namespace hr::commit
