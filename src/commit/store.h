// The commit path: what ties the log, the queue engine and the object engine into one store.
//
//   sequence   a command decides against the engines and leaves one group of records, which is appended
//   written    the log thread has handed the group to the operating system
//   durable    ... and fdatasync returned
//   applied    the group's object records are in the index
//
// Each answer leaves at its release point and not before: a `done` callback is called exactly once, on the
// sequencing thread, with success at that point or with the error that refused the command (then nothing
// changed). Commands that change nothing still wait for what they saw: a second delete of a message is not
// answered before the first one is durable.
//
// Store is the single-threaded core: the sequencing thread owns it; nothing here blocks, sleeps or reads a
// clock but through os::Clock. The threads around it: commit/threads.h. Simulation drives it directly.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "base/time.h"
#include "object/applier.h"
#include "object/engine.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "queue/engine.h"
#include "storage/log/log.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace hr::commit {

using Done = std::move_only_function<void(Status)>;

// What a command may append at most (queue::Engine::bound(), or the object records' sizes), so that the log
// can refuse before an engine has decided.
struct Cost {
  std::size_t records = 1;
  std::uint64_t bytes = 0;  // of payload
  storage::Space space = storage::Space::kGrow;
  std::size_t events = 0;  // changes of objects that may be announced to a queue
};

// A receive that may wait. Empty deliveries: the wait is over (or the queue was deleted).
using ReceiveDone = std::move_only_function<void(Result<queue::Outcome<std::vector<queue::Delivery>>>)>;

struct StoreStats {
  std::uint64_t commands = 0, refused = 0, groups = 0, waiting_answers = 0, waiters = 0,
                events_undeliverable = 0;
};

class Store {
 public:
  struct Parts {
    storage::SegmentedLog& log;
    queue::Engine& queues;
    object::Engine& objects;
    const os::Clock& clock;
    os::Entropy& entropy;  // message ids of events
    hr::Log diary;
    // Called when next_deadline() has become earlier than at the last tick() or call.
    std::function<void(Time)> deadline_moved;
    storage::Lsn recovered = 0;  // of the last group that recovery found: it is durable and applied
  };
  explicit Store(Parts parts);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Questions may be put to the engines at any time.
  const queue::Engine& queues() const { return parts_.queues; }
  object::Engine& objects() { return parts_.objects; }
  Result<Bytes> read(const storage::Location& at) const { return parts_.log.read(at); }
  Time now() const { return parts_.clock.now(); }
  storage::Lsn appended() const { return appended_; }  // of the newest group
  storage::Lsn durable() const;

  // --- queues. `decide(engine, now, effects)` runs before this returns, unless the log refuses. ---
  using DecideQueues = std::function<void(queue::Engine&, Time, queue::Effects&)>;
  void change_queues(const Cost& cost, storage::Release release, const DecideQueues& decide, Done done);

  // Waits as the request says (its `waiter` is filled in here). Returns 0 when it was answered or will be
  // without waiting, else a handle for cancel().
  queue::WaiterId receive(queue::QueueId queue, queue::ReceiveRequest request, ReceiveDone done);
  // Its client has gone: nothing is leased to it any more, and its `done` is called with kClosed (unless it
  // was answered before).
  void cancel(queue::WaiterId waiter);

  // --- objects. Events go to their queues in the same group. ---
  using DecideObjects = std::function<void(object::Engine&, Time, object::Effects&)>;
  // Applied: whoever reads the index after the answer sees the change. Durable: he sees it after
  // when_applied(), and need not ask while the engine says that the key is not pending. Where the applier is
  // far behind, even these answers wait for it.
  enum class Answered : std::uint8_t { kDurable, kApplied };
  void change_objects(const Cost& cost, const DecideObjects& decide, Done done,
                      Answered when = Answered::kApplied);
  // Called when all that was decided before is in the index.
  void when_applied(Done done);

  // The disk has little room left (or has it again): only what makes room is taken, the rest is kNoSpace.
  void set_space_low(bool low) { space_low_ = low; }
  bool space_low() const { return space_low_; }

  // --- time ---
  // What is due. Call at next_deadline(), or sooner. False: the log takes nothing now.
  bool tick();
  Time next_deadline() const { return parts_.queues.next_deadline(); }

  // --- the release points, reported by the log thread and the applier in order ---
  void on_written(storage::Lsn upto);
  void on_durable(storage::Lsn upto);
  void on_applied(storage::Lsn upto);
  // The log is dead: every answer that waits, and every later command, fails with this.
  void on_failed(const Error& error);

  // How the log thread hears of what was appended: `soon` is called when there is something new, and calls
  // kick() once what else is at hand has been sequenced, which one flush may carry. Where the sequencing
  // takes longer than that flush (`flush_takes`), half of it is written while the other half is sequenced.
  // Without it every group is told at once.
  void kick_through(std::function<void()> soon, std::function<Nanos()> flush_takes) {
    kick_soon_ = std::move(soon);
    flush_takes_ = std::move(flush_takes);
  }
  void kick();

  // Object groups up to `durable` that the applier has not been given yet, in log order.
  std::vector<object::AppliedRecord> take_applicable(storage::Lsn durable);

  StoreStats stats() const;

  // Finds the queue an ARN names (arn:aws:sqs:REGION:ACCOUNT:NAME). Events for queues that are gone are
  // counted and dropped, as S3 does.
  const queue::Queue* queue_of_arn(std::string_view arn) const;

 private:
  enum class Point : std::uint8_t { kWritten, kDurable, kApplied };
  struct Answer {
    storage::Lsn lsn = 0;
    Done done;
  };

  // One command's way through: what both engines left, appended as one group.
  struct Group {
    queue::Effects queues = {};
    object::Effects objects = {};
    Time now;
  };

  Status admit(const Cost& cost);
  Status append(Group& group, storage::Space space, storage::Release release);
  void appended_one();
  bool kicks_now() const;
  void watch_deadline();
  void send_events(Group& group);
  void wake(Group& group);
  void answer_at(Point point, storage::Lsn lsn, Done done);
  void reach(Point point, storage::Lsn upto);

  Parts parts_;
  std::deque<Answer> waiting_[3];  // by Point, each in lsn order
  storage::Lsn reached_[3] = {0, 0, 0};
  storage::Lsn appended_ = 0;                     // of the newest group
  storage::Lsn durable_appended_ = 0;             // of the newest group released when durable
  storage::Lsn objects_appended_ = 0;             // of the newest group with object records
  std::deque<object::AppliedRecord> applicable_;  // appended object records, in order
  std::map<queue::WaiterId, ReceiveDone> receivers_;
  std::uint64_t next_waiter_ = 1;
  std::function<void()> kick_soon_;
  std::function<Nanos()> flush_takes_;
  std::size_t not_kicked_ = 0;  // groups
  Nanos first_not_kicked_{};    // when it was appended
  std::size_t at_once_ = 0;     // answers that lately waited for the log at one moment
  std::optional<Error> failed_;
  Time deadline_ = Time::max();  // as last told by deadline_moved
  bool space_low_ = false;
  StoreStats stats_;
};

}  // namespace hr::commit
