// For the tests of this layer: SQS, S3, hosts and children in memory, on a virtual clock, with every fault
// drawn from one seed. Checks what a pool must keep true as it happens, and stops at the first breach.
#pragma once

#include "base/result.h"
#include "worker/pool.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace hr::worker::testing {

struct Chances {  // of 1,000
  int request_fails = 30;
  int answer_lost = 20;
  int task_fails = 200;
  int task_crashes = 40;
  int task_hangs = 20;
  int host_dies = 2;    // per second
  int host_stalls = 2;  // per second
  int host_drains = 2;  // per second
  int duplicate = 0;    // of a sent message: another one with the same job
  int cancels = 0;      // per second: somebody cancels a job that was sent
};

// Bugs that are put between a pool and its world on purpose: a simulation that does not find each of them
// proves nothing.
enum class Plant : std::uint8_t {
  kNone,
  kLeaseTooLong,     // a child is told that its lease ends 20 s later than it does
  kAllBegun,         // a dead child is said to have begun all it was given
  kAllDone,          // what a dead child had not begun is taken for done
  kRecallNotHeard,   // a child goes on with what was taken back
  kRecallTellsLess,  // what a child runs is taken for not begun
  kNotDeleted,       // a batch says that it deleted, and did not
  kResultNotStored,  // a result is said to be stored, and is not
};

class SeededEntropy final : public os::Entropy {
 public:
  explicit SeededEntropy(std::uint64_t seed) : random_(seed) {}
  void fill(std::span<std::uint8_t> out) override {
    for (auto& byte : out) byte = static_cast<std::uint8_t>(random_());
  }

 private:
  std::mt19937_64 random_;
};

class World {
 public:
  World(std::uint64_t seed, std::size_t hosts, Chances chances, Plant plant = Plant::kNone);

  void send(const Bytes& body);                // to a queue of the world's choice
  void send_task(const Bytes& id, bool keep);  // and perhaps again
  void run_for(Duration time);
  void calm() { chances_ = {0, 0, 0, 0, 0, 0, 0, 0, 0}; }
  bool cancelled(const Bytes& job) const;  // its result says so

  std::size_t messages_left() const;
  std::string breach;  // the first rule that was broken; empty: none

  struct Message {
    std::uint64_t id = 0;
    Bytes body;
    std::uint32_t receives = 0;
    std::int64_t visible_at = 0;
    Bytes receipt;
    bool leased = false;  // not given back since it was received
  };
  std::map<Bytes, Bytes> objects;
  std::multimap<Bytes, Bytes> dead;  // job -> reason
  std::map<Bytes, int> runs_done;    // job -> runs that ended well
  std::map<Bytes, int> runs_begun;
  std::size_t steps = 0;

 private:
  struct Process {
    Bytes job;  // that runs
    std::deque<std::pair<std::uint64_t, Bytes>> inbox;
    std::uint64_t begun = 0;  // the ordinal of the last, or what was taken back
    Nanos lease{};
    std::uint64_t run = 0;  // counts runs, so that a later event knows whether it is still meant
  };
  struct Host {
    std::unique_ptr<SeededEntropy> entropy;
    std::unique_ptr<Pool> pool;
    std::map<ChildId, Process> processes;
    std::uint64_t life = 0;  // another number after each restart
    std::int64_t stalled_until = 0;
    std::set<OpId> cancelled;
    Nanos wanted_tick{};
  };
  using Lives = std::uint64_t;

  bool chance(int of_1000) { return static_cast<int>(random_() % 1000) < of_1000; }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(high - low + 1));
  }
  Instant instant() const { return {from_ms(1'700'000'000'000 + now_), Nanos(Duration(now_ + 1))}; }
  void at(std::int64_t when, std::function<void()> what) { events_.emplace(when, std::move(what)); }
  // Later, on that host, if it still lives; waits while it is stalled.
  void tell(std::size_t host, std::int64_t when, std::function<void(Pool&)> what);
  void deliver(std::size_t host, Lives life, const std::function<void(Pool&)>& what);
  void broke(std::string what) {
    if (breach.empty()) breach = std::move(what) + " at " + std::to_string(now_) + " ms";
  }

  void boot(std::size_t host);
  void die(std::size_t host);
  void every_second();
  void cancel_one();
  void told_to_end(std::size_t host, ChildId child, const Bytes& job);
  void carry_out(std::size_t host);
  void act(std::size_t host, const Receive& action);
  void act(std::size_t host, const CancelReceive& action);
  void act(std::size_t host, const ChangeVisibility& action);
  void act(std::size_t host, const DeleteMessages& action);
  void act(std::size_t host, const Recall& action);
  void act(std::size_t host, const PutObject& action);
  void act(std::size_t host, const GetObject& action);
  void act(std::size_t host, const EraseObject& action);
  void act(std::size_t host, const SendDead& action);
  void act(std::size_t host, const Prepare& action);
  void act(std::size_t host, const Spawn& action);
  void act(std::size_t host, const Kill& action);
  void act(std::size_t host, const SetLease& action);
  void act(std::size_t host, const WriteFrame& action);
  void act(std::size_t, const Say&) {}
  void act(std::size_t host, const Exit& action);

  void poll(std::size_t host, Lives life, Receive action, std::int64_t until);
  // Carries `change` out after a while, or not, and answers, or not.
  void request(std::size_t host, OpId op, Duration timeout, std::function<Outcome<Bytes>()> change);
  void batch(std::size_t host, std::size_t entries, std::function<Outcome<void>(std::size_t)> change,
             std::function<void(Pool&, Outcome<std::vector<Outcome<void>>>)> report);
  Outcome<void> change_visibility(std::size_t queue, const Visibility& entry);
  Outcome<void> erase(std::size_t queue, const Bytes& receipt);
  void begin_next(std::size_t host, ChildId child);
  void begin_run(std::size_t host, ChildId child, const Bytes& job);
  void end_process(std::size_t host, ChildId child, ChildEnd how);
  void watch_lease(std::size_t host, ChildId child);
  void check_deleted(const Message& message);
  void check_mark(const Bytes& text);
  void check_lease(const Bytes& job);
  void check_reason(const Bytes& job);
  void excuse(const Bytes& job);
  void lease_ran_out(const Message& message);
  static Bytes done_frame(const Bytes& job, std::int64_t took);
  void said(Pool& pool, ChildId child, ByteView frame);

  const std::size_t batch_max_;
  const Plant plant_;
  std::vector<Bytes> sent_;       // ids of tasks
  std::map<Bytes, int> cut_off_;  // job -> runs that ended without a word, and marks that say "started"
  std::map<Bytes, int> excuses_;  // job -> reasons to run it once more; a run is one at most
  std::map<Bytes, int> copies_;   // job -> messages that carry it, where that is more than one
  std::mt19937_64 random_;
  Chances chances_;
  std::int64_t now_ = 0;
  std::multimap<std::int64_t, std::function<void()>> events_;
  std::vector<std::deque<Message>> queues_;
  std::vector<Host> hosts_;
  std::uint64_t next_message_ = 1, next_receipt_ = 1, next_run_ = 1, next_life_ = 1;
};

}  // namespace hr::worker::testing
