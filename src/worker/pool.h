// A pool of children that run tasks, as a pure state machine: the outside reports messages, frames, deaths
// and the time, and carries out the actions that come back. Holds every lease, decides every ending. One
// message in this program's hands is a `Held`; it ends as done, dead, handed back, or lost with its lease.
//
// What is kept true:
//   - a child's lease end is written before a job's frame, counted from before the request that got the
//     message, and covers every job the child has been given;
//   - nothing is deleted, handed back or sent to the dead letters before the object that tells it is stored;
//   - a job whose lease is lost commits nothing more, and never runs twice at once here;
//   - attempts come from the mark: what the mark does not explain runs alone, after its mark says "started";
//   - a job that its child has not begun can be recalled, and counts as nothing that happened.
#pragma once

#include "base/time.h"
#include "codec/config.h"
#include "os/entropy.h"
#include "task/documents.h"
#include "task/envelope.h"
#include "worker/action.h"
#include "worker/child_protocol.h"

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace hr::worker {

struct PoolOptions {
  Bytes name;
  Bytes host;
  Bounds processes;
  std::uint64_t memory_bytes = 0;  // of a child with what it started; 0: no limit
  std::uint64_t recycle = 0;       // a child ends after so many jobs; 0: never
  std::size_t concurrency = 100;   // async jobs that a child runs at once
  Duration lease = 60s;            // asked for with every receive; renewed at a third
  Duration lease_margin = 5s;      // this long before its end a lease counts as lost, here and in the child
  Duration request_timeout = 10s;
  Duration start_limit = 300s;     // of a child, to become ready
  Duration idle_limit = 30s;       // of a child above the least number
  Duration cancel_limit = 5s;      // of an async job past its timeout, which its child ends itself
  Duration queueing_limit = 1s;    // of a message that finds no free child
  Duration ahead_limit = 40ms;     // of the work, by what tasks took lately, that a child has before it
  std::size_t ahead_max = 1'000;   // jobs given to a child at a time
  Duration stock_limit = 120ms;    // of the work that is received for a child, those given to it included
  std::size_t stock_max = 2'000;   // messages received for a child
  Duration hostage_limit = 100ms;  // a job that runs longer than this lets go what waits behind it
  Duration stuck_limit = 10s;      // of a child that begins nothing of what it is given
  std::size_t requests_max = 64;   // for objects and dead letters, at a time
  std::size_t held_max = 4'000;    // messages in hand; beyond it none is received
};

enum class ChildState : std::uint8_t { kStarting, kIdle, kBusy, kStopping, kKilled };
std::string_view to_string(ChildState state);

struct ChildStatus {
  ChildId id = 0;
  ChildState state = ChildState::kStarting;
  Bytes job = {}, task = {};
  std::size_t ahead = 0;    // given and not begun, as far as is known
  std::size_t running = 0;  // jobs at a time, as far as is known
  Time since{};
};
// One message in hand, and the job of it that is under way.
struct HeldStatus {
  Bytes job, task, queue;
  std::string_view state;  // "waiting", "given", "running", "ending", "cancelling"
  std::uint32_t attempt = 1, receives = 1;
  ChildId child = 0;  // 0: none has it
  Time since{};       // of its message's receive, or of its beginning
  std::int64_t sent = 0;
};
struct PoolCounts {
  std::uint64_t received = 0, done = 0, failed = 0, dead = 0, crashed = 0, released = 0, lost = 0, parked = 0,
                cancelled = 0;
};
struct PoolStatus {
  std::vector<ChildStatus> children;
  std::vector<Bytes> queues;
  std::vector<Bytes> paused;  // of the queues
  PoolCounts counts;
  std::size_t held = 0;
  bool draining = false, resting = false;
};

class Pool {
 public:
  Pool(PoolOptions options, os::Entropy& entropy);

  void start(Instant now);
  // Answers Prepare; receives begin. `batch_max`: messages and entries that one request may have.
  void prepared(std::vector<Bytes> queues, std::size_t batch_max, Instant now);
  void received(OpId op, Outcome<std::vector<Message>> messages, Instant now);
  // An outcome for each entry of ChangeVisibility and DeleteMessages.
  void visibility_changed(OpId op, Outcome<std::vector<Outcome<void>>> entries, Instant now);
  void deleted(OpId op, Outcome<std::vector<Outcome<void>>> entries, Instant now);
  void finished(OpId op, Outcome<Bytes> outcome, Instant now);  // put, get, erase, send
  void child_said(ChildId child, std::span<const ByteView> frames, Instant now);
  // Answers Recall: the ordinal of the last job that the child began.
  void recalled(ChildId child, std::uint64_t begun, Instant now);
  void child_uses(ChildId child, std::uint64_t bytes, Instant now);
  void child_ended(ChildId child, ChildEnd how, Instant now);  // after its last frame
  void tick(Instant now);
  void drain(Duration at_most, Instant now);  // again: at once
  // From these queues ("*": from all) nothing is received; from others something may be.
  void pause(std::set<Bytes> queues, Instant now);
  // Receives nothing, gives back what has not begun, until it is told otherwise.
  void rest(bool on, Instant now);
  // These jobs, as a whole list again and again: not started any more; ended where they run.
  void cancel(std::set<Bytes> jobs, Instant now);
  void set_log_level(Severity least);  // of what handlers log

  std::vector<Action> take();   // in the order in which they must be carried out
  Nanos next_deadline() const;  // boottime at which tick() is due at the latest
  PoolStatus status() const;
  std::vector<HeldStatus> jobs() const;
  bool draining() const { return draining_; }
  // Whether this child has so much before it that nobody waits for what it says next.
  bool has_plenty(ChildId child) const;

 private:
  using HeldId = std::uint64_t;
  using TaskSpecPtr = std::shared_ptr<const TaskSpec>;
  using Ordinal = std::uint64_t;  // of a job among those given to one child, from 1

  enum class Step : std::uint8_t {
    kBehind,        // another message of the same job is in hand: its turn comes after that
    kMarkLookup,    // GET the mark
    kResultLookup,  // GET the result: an earlier run may have stored it
    kBody,          // GET the arguments
    kReady,         // for a child
    kStarting,      // PUT the mark "started"
    kGiven,         // a child has it: it runs, or waits behind others there
    kResult,        // PUT the result
    kMark,          // PUT the mark
    kLater,         // PUT what sends the message again
    kDead,          // SEND the dead letter
    kDelete,        // DELETE the message
    kReturn,        // give the message back with a visibility timeout
  };
  enum class End : std::uint8_t { kNone, kDone, kDead, kCancelled, kRetry, kRelease, kPark };
  enum class Doom : std::uint8_t { kNone, kTime, kMemory, kCancel };  // why its child is to be killed

  static const TaskSpecPtr kNoSpec;  // without a name

  struct Held {
    HeldId id = 0;
    std::size_t queue = 0;
    Message message;
    std::vector<task::Job> jobs;
    std::size_t at = 0;  // the job under way
    Nanos lease_end{}, renew_at{};
    bool renewing = false;
    Step step = Step::kBehind;
    bool in_flight = false;  // the request of this step
    Nanos retry_at{};        // of this step
    std::uint32_t tries = 0;
    Nanos ready_since{};
    task::Mark mark;
    bool marked = false;            // the mark is there
    bool again = false;             // its return had been done, and it came back before the answer
    bool second = false;            // another message of the job was in hand before it
    std::vector<Bytes> spent;       // keys of objects that its jobs, which ended well, need no more
    bool bare = false;              // its dead letter goes without attributes
    std::uint32_t unexplained = 0;  // receives that nothing accounts for: a suspect
    TaskSpecPtr spec = kNoSpec;
    ChildId child = 0;
    Time started{};
    Nanos began{}, time_limit = Nanos::max();
    Doom doom = Doom::kNone;
    std::uint64_t used_bytes = 0;
    bool taken_back = false;   // release as soon as possible; a running one is being killed
    bool told_to_end = false;  // its child knows that it is cancelled
    End end = End::kNone;
    Bytes result;
    int visibility_s = 0;
    std::int64_t later = 0;         // it is sent again then, Unix ms; 0: it goes back
    std::vector<Bytes> lines = {};  // the last that its attempt logged

    const task::Job& job() const { return jobs[at]; }
    bool suspect() const { return unexplained > 0; }
    bool last_step() const { return step == Step::kDelete || step == Step::kReturn; }
  };
  struct Given {  // to a child; the first run, one or several async ones, and the others wait
    Ordinal ordinal = 0;
    HeldId held = 0;  // 0: its lease is lost
    Bytes job;
    Nanos expected{};  // how long it takes, by what its task took lately; kUnknown
    bool async = false;
  };
  struct Child {
    ChildId id = 0;
    ChildState state = ChildState::kStarting;
    HeldId reserved = 0;  // a suspect whose mark is being written
    std::deque<Given> given = {};
    std::size_t running = 0;     // of them, as far as can be told from here: the first ones
    std::size_t plain = 0;       // of them, not async
    Nanos limit = Nanos::max();  // no time limit of a running one ends before
    Ordinal last_given = 0;
    Nanos load{};            // expected of all it was given
    Nanos lease{};           // as it was told
    bool recalling = false;  // the answer is due
    Ordinal recalled = 0;    // the last that was asked back
    bool retiring = false;   // it ends after the job it runs
    bool tired = false;      // because it has no descriptors left
    Nanos since{};           // of the state, or of the last job's beginning or end
    Nanos stuck_since{};     // it has begun nothing of what it was given then; 0: not so
    Time since_wall{};
  };
  struct Op {
    HeldId held = 0;        // of a step
    std::size_t queue = 0;  // of a receive
    Nanos sent{};
    std::vector<std::pair<HeldId, Bytes>> entries = {};  // of a batch, with the receipts used
    bool receive = false, cancelled = false, renewal = false;
  };
  struct Outbox {  // entries that wait for their batch
    std::vector<HeldId> entries;
    Nanos since{};
    std::size_t in_flight = 0;  // batches
  };
  struct Queue {
    Bytes name;
    OpId receiving = 0;  // 0: no request under way
    Nanos receive_at{};  // not before
    std::uint32_t failures = 0;
    bool async = false;  // all tasks that it brought last are, at first all that are declared for it
    std::size_t async_came = 0, plain_came = 0;  // by the last answer
    Nanos typical = kUnknown;  // what its tasks took lately, rather too much than too little
    Outbox deletes, returns;
  };
  struct DoneJob {
    Bytes id;
    std::int64_t sent = 0;
  };
  struct DoneHash {
    using is_transparent = void;
    std::size_t operator()(const auto& job) const { return std::hash<Bytes>()(job.id); }
  };
  struct DoneSame {
    using is_transparent = void;
    bool operator()(const auto& a, const auto& b) const { return a.sent == b.sent && a.id == b.id; }
  };
  static constexpr Nanos kUnknown = std::chrono::hours(24);
  static constexpr std::size_t kOutboxBatches = 4;  // of one outbox, under way

  // pool.cc: the whole
  void settle(Instant now);  // after every report: start, receive, grow, leave
  void say(Severity severity, Bytes event, std::vector<Field> fields);
  void say(Severity severity, Bytes event, const Held& held, std::vector<Field> fields = {});
  OpId new_op(Op op);
  void learn(const Ready& ready);
  void learn_queue(Queue& queue) const;
  TaskSpecPtr find_task(const Held& held) const;
  void tick_drain(Instant now);
  void leave(Exit::How how, Bytes message);

  // pool_receive.cc: leases
  void receive_more(Instant now);
  std::size_t room(const Queue& queue, Instant now) const;
  void cancel_receives(Instant now);
  void accept(Message&& message, std::size_t queue, Nanos asked, Instant now);
  void adopt(Held& held, const Message& message, Nanos asked, Instant now);
  Result<task::MessageJobs> read(const Message& message, const Queue& queue) const;
  void renew(Instant now);
  void renew_batch(std::size_t queue, std::span<Held* const> with, Instant now);
  void renew_at(Held& held, Nanos when);
  void renewed(Held& held, Nanos asked);
  void renewal_answered(const Op& op, const Outcome<std::vector<Outcome<void>>>& entries, Instant now);
  void check_leases(Instant now);
  void lose(Held& held, std::string_view why, Instant now);

  // pool_steps.cc: the requests of one message
  void enter(Held& held, Step step);
  void suspect(Held& held, std::uint32_t unexplained);
  void go(Held& held, Step step, Instant now);
  void perform(Held& held, Instant now);
  void request(Held& held, Duration timeout, Instant now);
  void perform_waiting(Instant now);
  void flush(Instant now);
  void flush(std::size_t queue, Outbox& box, bool deletes, Instant now);
  Duration linger() const;
  void erase_spent(const Held& held);
  Duration time_left(const Held& held, Instant now) const;
  void batch_answered(OpId op, Outcome<std::vector<Outcome<void>>> entries, bool deletes, Instant now);
  void step_done(Held& held, const Bytes& answer, Instant now);
  void start_marked(Held& held, Instant now);
  void step_failed(Held& held, const Failure& failure, Instant now);
  void returned(Held& held, const Bytes& receipt, Instant now);
  void forget(HeldId id, Instant now);

  // pool_held.cc: what is known about a message's job, and how it ends
  void begin(Held& held, Instant now);
  void let_go_of_job(const Held& held, Instant now);
  void return_unlooked(Held& held, Instant now);
  void judge(Held& held, Instant now);
  void make_ready(Held& held, Instant now);
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
  void keep_line(Held& held, const Bytes& line);
  Bytes later_text(const Held& held) const;
  Bytes result_text(const Held& held, Instant now) const;
  codec::Pairs dead_attributes(const Held& held) const;
  bool known_done(const task::Job& job) const;
  void remember_done(const task::Job& job);

  // pool_control.cc: what people ask for
  bool is_paused(const Queue& queue) const;
  void end_receives();
  bool is_cancelled(const Held& held) const;
  void cancel(Held& held, Instant now);
  void end_running(Child& child, Held& held, Instant now);
  void end_cancelled(Held& held, Instant now);
  std::string_view state_of(const Held& held) const;

  // pool_given.cc: which child gets which job, and getting it back
  void start_ready(Instant now);
  void fill_children(Instant now);
  bool start(Held& held, Child& child, Instant now);
  bool open(const Child& child, bool async, Instant now) const;
  void run(Held& held, Child& child, Instant now);
  void advance(Child& child, Instant now);
  void end_late(Child& child, Instant now);
  void drop(Child& child, const std::deque<Given>::const_iterator& given, Instant now);
  void recall(Child& child);
  void stop(Child& child, Instant now);
  void learn_time(const Held& held, Nanos took);
  Nanos expected(const Held& held) const;
  void update_lease(Child& child);
  void free_child(Child& child, Instant now);
  void give_back_late(Instant now);

  // pool_children.cc: processes
  void spawn(Instant now);
  void kill(Child& child, Instant now);
  void child_said(Child& child, ByteView frame, Instant now);
  void job_said(Child& child, const Bytes& job, ChildMessage& message, Instant now);
  void child_ready(Child& child, const Ready& ready, Instant now);
  void start_failed(const Bytes& message, Exit::How how, Instant now);
  void job_ended_with_child(Held& held, ChildId child, ChildEnd how, Instant now);
  void tick_children(Instant now);
  void tick_child(Child& child, Instant now);
  void grow_and_shrink(Instant now);
  std::size_t live_children() const;

  PoolOptions options_;
  os::Entropy& entropy_;
  std::vector<Action> actions_;
  std::vector<Queue> queues_;
  std::size_t batch_max_ = 10;
  std::map<HeldId, Held> held_;  // in the order received
  std::map<ChildId, Child> children_;
  std::unordered_map<OpId, Op> ops_;

  // Of held_, so that no report has to look at all of it:
  std::unordered_map<Bytes, HeldId> by_message_;
  std::unordered_map<Bytes, HeldId> by_job_;            // the one whose turn it is
  std::unordered_multimap<Bytes, HeldId> behind_;       // the others of the same job
  std::unordered_map<Bytes, std::uint32_t> busy_jobs_;  // with a child, or past kReady
  std::set<HeldId> ready_, suspects_;
  std::set<HeldId> waiting_;          // for retry_at, or the end of a renewal
  std::deque<HeldId> without_place_;  // for one of requests_max
  std::size_t requests_ = 0;          // under way
  std::size_t before_run_ = 0;        // in a step up to kReady
  Nanos lease_floor_ = Nanos::max();  // no lease ends before
  Nanos renew_floor_ = Nanos::max();  // no renewal is due before
  Nanos late_floor_ = Nanos::max();   // no ready one has waited too long before

  std::map<Bytes, TaskSpecPtr> tasks_;       // by name and alias
  std::map<Bytes, Nanos> took_;              // by name: as Queue::typical
  std::map<Bytes, Bytes> by_configuration_;  // notification id -> task
  std::map<Bytes, std::set<Bytes>> by_trigger_queue_;
  std::map<Bytes, Bytes> consumers_;  // queue -> task
  std::set<Bytes> paused_;            // queues
  std::set<Bytes> cancelled_;         // ids of jobs
  std::optional<Severity> log_level_;
  std::unordered_set<DoneJob, DoneHash, DoneSame> done_;  // here, lately
  std::deque<const DoneJob*> done_order_;
  PoolCounts counts_;
  HeldId next_held_ = 1;
  OpId next_op_ = 1;
  ChildId next_child_ = 1;
  bool ever_ready_ = false, prepared_ = false, draining_ = false, left_ = false, stopping_ = false,
       resting_ = false;
  bool hungry_ = false;   // the last receive brought all it asked for
  Nanos busy_since_{};    // since then no child was free; 0: one is
  Nanos excess_since_{};  // since then more is asked for than children are free; 0: not so
  Nanos spawn_at_{};      // the next start after a death
  Duration spawn_backoff_{};
  std::uint32_t start_failures_ = 0;
  Nanos drain_end_{}, stop_end_{};
  Nanos settled_{};      // when it was last looked at
  Nanos renew_pause_{};  // after a failed renewal
};

// The id under which a trigger's notification is kept in its bucket: "headrace-TASK", numbered from the
// second trigger of one task on.
Bytes configuration_id(const std::vector<TriggerSpec>& triggers, std::size_t index);

}  // namespace hr::worker
