// What the engine holds, and the steps that its commands, tick() and restore() share. Private to the layer's
// engine_*.cc.
#pragma once

#include "queue/backlog.h"
#include "queue/capture.h"
#include "queue/engine.h"
#include "queue/groups.h"
#include "queue/memory.h"
#include "queue/records.h"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace hr::queue {

struct QueueState;

// A parked receive: in its queue's list, in order of arrival, and in the heap of all waiters by its end.
struct Waiter {
  WaiterId id{};
  QueueState* queue = nullptr;
  std::size_t max_messages = 0;
  std::optional<Duration> visibility;
  std::optional<Fingerprint> attempt;
  std::uint64_t arrival = 0;
  Waiter* before = nullptr;
  Waiter* after = nullptr;
  std::uint32_t position = 0;
};

struct QueueState {
  QueueState(Queue q, Slab& slab, Groups& groups)
      : queue(std::move(q)),
        fifo(is_fifo(queue)),
        backlog(static_cast<std::uint32_t>(queue.id), slab, groups, fifo) {}

  Queue queue;
  const bool fifo;
  Backlog backlog;
  std::shared_ptr<const Bytes> definition;  // the queue as bytes (queue/image.h); null once it has changed
  Waiter* first = nullptr;
  Waiter* last = nullptr;
  Time deadline = Time::max();  // in the heap of all queues, unless Time::max()
  std::uint32_t position = 0;
};

// One command or tick: where its outcome goes and what it may still do on the side.
struct Step {
  Effects& out;
  Time now;
  std::size_t budget;
  std::vector<QueueState*> touched;  // their waiters are to be served, their deadlines set, before it ends

  void log(AnyRecord&& record) { out.records.push_back(encode(record)); }
  // A message sent in this very step may be received, returned at once (a lease of 0 ms) and moved.
  void moved(QueueId from, Seq was, QueueId to, Seq is) {
    for (Placement& p : out.placements) {
      if (p.queue == from && p.seq == was) p = {p.record, to, is};
    }
  }
  void touch(QueueState& q) {
    if (touched.empty() || touched.back() != &q) touched.push_back(&q);
  }
};

struct Engine::State {
  explicit State(Limits l) : limits(l) {}

  // --- engine.cc ---
  Time clock(Time at);  // never backwards
  Step step(Time at, Effects& out) { return Step{out, clock(at), limits.tick_messages_max, {}}; }
  QueueState* find(QueueId id) const;
  QueueState& add_queue(Queue queue);
  void drop_queue(QueueState& q);
  void free(Slot slot);
  void empty(QueueState& q);
  bool valid(const Attributes& attributes, QueueId own, bool fifo) const;
  Slot admit(QueueState& q, const MessageSent& record);

  // --- engine_deliver.cc ---
  bool expired(const QueueState& q, const Message& m) const {
    return m.sent + q.queue.attributes.retention <= now;
  }
  bool deliverable(const QueueState& q) const;
  QueueState* redrive_target(const QueueState& q, const Message& m) const;
  void erase(QueueState& q, Slot slot);
  void move(QueueState& from, QueueState& to, Slot slot);
  Delivery lease(QueueState& q, Slot slot, Duration length);
  std::vector<Delivery> deliver(QueueState& q, std::size_t max, Duration length,
                                const std::optional<Fingerprint>& attempt, Step& step);
  void note(QueueState& q, const Fingerprint& attempt, Slot slot);
  std::vector<Delivery> repeat(QueueState& q, const ReceiveRequest& request, Duration length, Step& step);
  void extend(QueueState& q, Slot slot, Duration length);
  void serve(QueueState& q, Step& step);
  void park(QueueState& q, const ReceiveRequest& request);
  void unpark(Waiter& waiter);
  void finish(Step& step);

  // --- engine_tick.cc ---
  Time due(QueueState& q);
  void reschedule(QueueState& q);
  void expire(QueueState& q, Step& step);
  void bury(std::size_t at_most);

  // --- engine_moves.cc ---
  MoveTask* find_move(const Uuid& id);
  void add_move(MoveTask task);
  void drop_moves(QueueId source);
  void redrive(QueueState& from, QueueState& to, Slot slot, MoveTask& task);
  void end_move(MoveTask& task, MoveStatus status, std::string failure, Step& step);
  void carry_on(MoveTask& task, Step& step);
  void carry_on_moves(Step& step);
  Time next_move() const;

  // --- engine_restore.cc ---
  Status apply(QueueCreated& r);
  Status apply(QueueChanged& r);
  Status apply(QueueRemoved& r);
  Status apply(QueuePurged& r);
  Status apply(MessageSent& r, const storage::Location& at);
  Status apply(MessagesReceived& r);
  Status apply(MessagesErased& r);
  Status apply(VisibilityChanged& r);
  Status apply(MessagesExpired& r);
  Status apply(MessagesDeadLettered& r);
  Status apply(ReceiveRepeated& r);
  Status apply(MessageCopied& r, const storage::Location& at);
  Status apply(MoveStarted& r);
  Status apply(MessagesRedriven& r);
  Status apply(MoveEnded& r);
  Result<QueueState*> at(QueueId id, Time when);
  struct Rescheduled;

  struct Buried {  // messages that are gone, and whose slots are not given back yet
    SeqMap seqs;
    bool grouped = false;
    Seq next{0};
  };

  // --- engine_capture.cc ---
  void place(Slot slot, const storage::Location& at);
  void stand(std::uint32_t segment, std::uint32_t messages, std::uint64_t bytes);
  void leave(const storage::Location& at);
  std::optional<MessageImage> image_of(Slot slot) const;
  const char* audit_places() const;
  Status load_head(ByteView block);
  Status load_queues(ByteView block);
  Status load_messages(std::uint32_t chunk, ByteView block);

  Limits limits;
  Time now{};
  Time shown{};  // of what was loaded, the latest time that some message waited for and that had come
  Slab slab;
  Groups groups;
  Originals originals;  // of FIFO queues, by deduplication id
  Originals retries;    // of standard queues, by what tells a producer's retry from another message
  Attempts attempts;    // by ReceiveRequestAttemptId
  std::uint64_t next_queue = 1;
  std::map<std::pair<std::string_view, std::string_view>, QueueState*>
      by_name;                                                           // account, name: the queue's own
  std::unordered_map<std::uint64_t, std::unique_ptr<QueueState>> by_id;  // looked up, never walked
  DeadlineHeap<QueueState*> deadlines;
  std::unordered_map<std::uint64_t, std::unique_ptr<Waiter>> waiters;  // looked up, never walked
  DeadlineHeap<Waiter*> waits;
  std::uint64_t arrivals = 0;
  std::vector<Buried> buried;
  std::vector<MoveTask> moves;     // as they were started
  std::uint64_t placed_bytes = 0;  // of the records that messages stand in
  // By segment, from first_standing on: how many. The first is not 0, unless nothing stands anywhere.
  std::deque<std::uint32_t> standing;
  std::uint32_t first_standing = 0;
  std::unique_ptr<Capture> capture;
  std::unique_ptr<Loading> loading;
};

struct QueueOrder {
  QueueId rank(const QueueState* q) const { return q->queue.id; }
  void set_position(QueueState* q, std::uint32_t position) const { q->position = position; }
};
struct WaiterOrder {
  std::uint64_t rank(const Waiter* w) const { return w->arrival; }
  void set_position(Waiter* w, std::uint32_t position) const { w->position = position; }
};

// `change` made to `attributes`.
Attributes changed(Attributes attributes, const AttributeChange& change);

}  // namespace hr::queue
