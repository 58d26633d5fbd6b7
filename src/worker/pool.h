// A pool of children that run tasks, as a pure state machine: the outside reports messages, frames, deaths
// and the time, and carries out the actions that come back. Holds every lease, decides every ending. One
// message in this program's hands is a `Held`; it ends as done, dead, handed back, or lost with its lease.
//
// What is kept true:
//   - a child's lease end is written before the job's frame, counted from before the request that got it;
//   - nothing is deleted, handed back or sent to the dead letters before the object that tells it is stored;
//   - a job whose lease is lost commits nothing more, and never runs twice at once here;
//   - attempts come from the mark: what the mark does not explain runs alone, after its mark says "started".
#pragma once

#include "base/time.h"
#include "codec/config.h"
#include "os/entropy.h"
#include "task/documents.h"
#include "task/envelope.h"
#include "worker/action.h"
#include "worker/child_protocol.h"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace hr::worker {

struct PoolOptions {
  Bytes name;
  Bytes host;
  Bounds processes;
  Duration lease = 60s;        // asked for with every receive; renewed at a third
  Duration lease_margin = 5s;  // this long before its end a lease counts as lost, here and in the child
  Duration request_timeout = 10s;
  Duration start_limit = 300s;   // of a child, to become ready
  Duration idle_limit = 30s;     // of a child above the least number
  Duration queueing_limit = 1s;  // of a message that finds no free child
  std::size_t held_max = 600;    // messages in hand; beyond it none is received
};

enum class ChildState : std::uint8_t { kStarting, kIdle, kBusy, kStopping, kKilled };
std::string_view to_string(ChildState state);

struct ChildStatus {
  ChildId id = 0;
  ChildState state = ChildState::kStarting;
  Bytes job = {}, task = {};
  Time since{};
};
struct PoolCounts {
  std::uint64_t received = 0, done = 0, failed = 0, dead = 0, crashed = 0, released = 0, lost = 0, parked = 0;
};
struct PoolStatus {
  std::vector<ChildStatus> children;
  std::vector<Bytes> queues;
  PoolCounts counts;
  std::size_t held = 0;
  bool draining = false;
};

class Pool {
 public:
  Pool(PoolOptions options, os::Entropy& entropy);

  void start(Instant now);
  void prepared(std::vector<Bytes> queues, Instant now);  // answers Prepare; receives begin
  void received(OpId op, Outcome<std::vector<Message>> messages, Instant now);
  void visibility_changed(OpId op, Outcome<std::vector<Outcome<void>>> entries, Instant now);
  void finished(OpId op, Outcome<Bytes> outcome, Instant now);  // put, get, delete, send
  void child_said(ChildId child, ByteView frame, Instant now);
  void child_ended(ChildId child, ChildEnd how, Instant now);  // after its last frame
  void tick(Instant now);
  void drain(Duration at_most, Instant now);  // again: at once

  std::vector<Action> take();   // in the order in which they must be carried out
  Nanos next_deadline() const;  // boottime at which tick() is due at the latest
  PoolStatus status() const;
  bool draining() const { return draining_; }

 private:
  using HeldId = std::uint64_t;

  enum class Step : std::uint8_t {
    kMarkLookup,    // GET the mark
    kResultLookup,  // GET the result: an earlier run may have stored it
    kBody,          // GET the arguments
    kReady,         // for a child
    kStarting,      // PUT the mark "started"
    kRunning,
    kResult,  // PUT the result
    kMark,    // PUT the mark
    kDead,    // SEND the dead letter
    kDelete,  // DELETE the message
    kReturn,  // give the message back with a visibility timeout
  };
  enum class End : std::uint8_t { kNone, kDone, kDead, kRetry, kRelease, kPark };

  struct Held {
    HeldId id = 0;
    std::size_t queue = 0;
    Message message;
    std::vector<task::Job> jobs;
    std::size_t at = 0;  // the job under way
    Nanos lease_end{}, renew_at{};
    bool renewing = false;
    Step step = Step::kReady;
    bool in_flight = false;  // the request of this step
    Nanos retry_at{};        // of this step
    std::uint32_t tries = 0;
    Nanos ready_since{};
    task::Mark mark;
    std::uint32_t unexplained = 0;  // receives that nothing accounts for: a suspect
    TaskSpec spec;
    ChildId child = 0;
    Time started{};
    Nanos began{}, time_limit{};
    bool timed_out = false;
    bool taken_back = false;  // release as soon as possible; a running one is being killed
    End end = End::kNone;
    Bytes result;
    int visibility_s = 0;

    const task::Job& job() const { return jobs[at]; }
    bool suspect() const { return unexplained > 0; }
    bool started_running() const { return step == Step::kStarting || step == Step::kRunning; }
  };
  struct Child {
    ChildId id = 0;
    ChildState state = ChildState::kStarting;
    HeldId held = 0;  // 0: none
    Bytes job;        // that it works on, also when its lease is lost
    Nanos since{};
    Time since_wall{};
  };
  struct Op {
    HeldId held = 0;        // of a step
    std::size_t queue = 0;  // of a receive
    Nanos sent{};
    std::vector<std::pair<HeldId, Bytes>> renewed = {};  // with the receipts used
    bool receive = false, cancelled = false;
  };
  struct Queue {
    Bytes name;
    OpId receiving = 0;  // 0: no request under way
    Nanos receive_at{};  // not before
    std::uint32_t failures = 0;
  };

  // pool.cc: the whole
  void settle(Instant now);  // after every report: start, receive, grow, leave
  void say(Severity severity, Bytes event, std::vector<std::pair<std::string_view, Bytes>> fields);
  void say(Severity severity, Bytes event, const Held& held,
           std::vector<std::pair<std::string_view, Bytes>> fields = {});
  OpId new_op(Op op);
  void learn(const Ready& ready);
  const TaskSpec* find_task(const Held& held) const;
  void tick_drain(Instant now);
  void leave(Exit::How how, Bytes message);

  // pool_receive.cc: leases
  void receive_more(Instant now);
  void cancel_receives(bool at_once, Instant now);
  void accept(const Message& message, std::size_t queue, Nanos asked, Instant now);
  bool adopt(const Message& message, Nanos asked, Instant now);
  void renew(Instant now);
  void renewed(Held& held, Nanos asked);
  void check_leases(Instant now);
  void lose(Held& held, std::string_view why, Instant now);
  std::ptrdiff_t free_children() const;
  bool suspects() const;

  // pool_held.cc: one message, step by step
  void begin(Held& held, Instant now);
  void judge(Held& held, Instant now);
  void prepare_run(Held& held, Instant now);
  void make_ready(Held& held, Instant now);
  void go(Held& held, Step step, Instant now);
  void perform(Held& held, Instant now);
  void step_done(Held& held, const Bytes& answer, Instant now);
  void start_marked(Held& held, Instant now);
  void step_failed(Held& held, const Failure& failure, Instant now);
  void looked_up_mark(Held& held, const Bytes* text, Instant now);
  void looked_up_result(Held& held, const Bytes* text, Instant now);
  void loaded_body(Held& held, const Bytes* text, Instant now);
  void finish_job(Held& held, Instant now);  // done, dead or retry told: what comes next
  void end_done(Held& held, Bytes result, Instant now);
  void end_failed(Held& held, task::TaskError error, Bytes reason, bool retry, std::optional<Duration> delay,
                  Instant now);
  void end_dead(Held& held, Bytes reason, Instant now);
  void end_back(Held& held, End how, Duration delay, Instant now);
  void take_back(Held& held, Instant now);
  void forget(HeldId id);
  Bytes result_text(const Held& held, Instant now) const;
  codec::Pairs dead_attributes(const Held& held) const;
  bool known_done(const task::Job& job) const;
  void remember_done(const task::Job& job);

  // pool_children.cc: processes
  void spawn(Instant now);
  void start_ready(Instant now);
  bool may_start(const Held& held) const;
  void run(Held& held, Instant now);
  Child* idle_child();
  void free_child(Child& child, Instant now);
  void kill(Child& child, Instant now);
  void child_ready(Child& child, const Ready& ready, Instant now);
  void start_failed(const Bytes& message, Exit::How how, Instant now);
  void job_ended_with_child(Held& held, ChildEnd how, Instant now);
  void tick_children(Instant now);
  std::size_t live_children() const;

  PoolOptions options_;
  os::Entropy& entropy_;
  std::vector<Action> actions_;
  std::vector<Queue> queues_;
  std::map<HeldId, Held> held_;  // in the order received
  std::map<ChildId, Child> children_;
  std::map<OpId, Op> ops_;
  std::map<Bytes, TaskSpec> tasks_;          // by name and alias
  std::map<Bytes, Bytes> by_configuration_;  // notification id -> task
  std::map<Bytes, std::set<Bytes>> by_trigger_queue_;
  std::set<Bytes> done_;  // ids and send times of jobs done here lately
  std::deque<Bytes> done_order_;
  PoolCounts counts_;
  HeldId next_held_ = 1;
  OpId next_op_ = 1;
  ChildId next_child_ = 1;
  bool ever_ready_ = false, prepared_ = false, draining_ = false, left_ = false, stopping_ = false;
  bool hungry_ = false;   // the last receive brought all it asked for
  Nanos busy_since_{};    // since then no child was free; 0: one is
  Nanos excess_since_{};  // since then more is asked for than children are free; 0: not so
  Nanos spawn_at_{};      // the next start after a death
  Duration spawn_backoff_{};
  std::uint32_t start_failures_ = 0;
  Nanos drain_end_{}, stop_end_{};
  Nanos renew_pause_{};  // after a failed renewal
};

// The id under which a trigger's notification is kept in its bucket: "headrace-TASK", numbered from the
// second trigger of one task on.
Bytes configuration_id(const std::vector<TriggerSpec>& triggers, std::size_t index);

}  // namespace hr::worker
