// The queue engine: every rule of SQS about queues, messages, leases and waiting receivers, as a pure state
// machine. A command decides at `now` and leaves its outcome in two places: the return value (what to answer)
// and Effects (what to log first, and which waiting receivers it has answered). restore() takes the logged
// records back in order and arrives at the same state; it decides nothing.
//
// A step of the caller, nothing of the engine in between: log.admit(bound) -> command -> log.append(records)
// -> place() -> answers. `now` that runs backwards counts as the latest one seen. A refused command leaves
// Effects as they were.
//
// Messages are received in the order in which they became visible: a returned one goes behind those that
// wait. In a FIFO queue that is the order of the groups, by their first messages; a group's messages keep
// theirs, and none is handed out past one that is delayed or leased. In a standard queue whose messages have
// groups, those of noisy tenants come after all others (queue/tenants.h). That order, like all state, follows
// from the records and the time alone, however often tick() ran.
//
// No clock, thread, file, allocation of ids or unordered iteration inside. Not thread-safe: the sequencing
// thread owns it. Message bodies stay in the log: the engine keeps where.
// Source of the rules: Amazon SQS API Reference (2012-11-05) and Developer Guide.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "base/uuid.h"
#include "queue/moves.h"
#include "queue/queue.h"
#include "storage/log/record.h"
#include "storage/state/block.h"

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hr::queue {

// Why a command was refused. Each is one error of SQS.
enum class Fault : std::uint8_t {
  kNoSuchQueue,     // QueueDoesNotExist
  kNameExists,      // QueueNameExists: same name, different attributes
  kTooManyQueues,   // our own limit
  kTooManyTags,     // more than kTagsMax (InvalidParameterValue)
  kThrottled,       // RequestThrottled: five minutes' deduplication ids fill their table
  kOverLimit,       // OverLimit: in-flight quota of the queue
  kReceiptInvalid,  // ReceiptHandleIsInvalid: of another queue, or never given out
  kReceiptExpired,  // of a FIFO queue: the lease is over (InvalidParameterValue)
  kNotInflight,     // MessageNotInflight
  kNotDeadLetter,   // a move task needs a dead-letter queue (InvalidParameterValue)
  kMoveRunning,     // one at a time for a queue (InvalidParameterValue)
  kNoSuchMove,      // ResourceNotFoundException
  kMoveEnded,       // UnsupportedOperation
  kLeaseTooLong,    // visibility past 12 hours from the receive (InvalidParameterValue)
  kUnsupported,     // known to SQS, not done here
  kInvalid,         // a value out of its range: the front end refuses it first, with better words
};

// A message placed into a record of this step: where that record lands is told by place().
struct Placement {
  std::size_t record = 0;  // index into Effects::records
  QueueId queue{};
  Seq seq{};
};

// A waiting receive that is now answered: with messages, or with none when its time was up.
struct Wakeup {
  WaiterId waiter{};
  std::vector<Delivery> deliveries;
};

struct Effects {
  std::vector<storage::Record> records;  // one group: durable together or not at all
  std::vector<Placement> placements;
  std::vector<Wakeup> wakeups;
};

struct SendEntry {
  Uuid id;                          // MessageId
  std::string content;              // encoded by queue/message.h: attributes, MD5s, sender, body
  std::optional<Duration> delay{};  // 0 to 900 s; none: the queue's. Not in FIFO queues
  // In FIFO queues, both. Else the group is the tenant of a fair queue, and the other tells a producer's
  // retry.
  GroupKey group{};
  std::optional<Fingerprint> deduplication{};  // within its DeduplicationScope
};

struct Sent {
  Seq seq{};
  Uuid id;                 // of the message that is in the queue
  bool duplicate = false;  // it was sent before, within five minutes: nothing was added
};

struct ReceiveRequest {
  int max_messages = 1;                  // 1 to 10 (a local client may ask for up to 1,000)
  std::optional<Duration> visibility{};  // 0 to 12 h; none: the queue's
  Time wait_until{};                     // <= now: do not wait
  WaiterId waiter{};                     // chosen by the caller, unique among those waiting
  // FIFO queues: asked again within five minutes, the same messages are answered, with new leases, as long as
  // none of them has been deleted, returned or received by another.
  std::optional<Fingerprint> attempt{};
};

// Either deliveries (possibly none), or parked: a Wakeup with this waiter follows from a later step.
struct Received {
  bool parked = false;
  std::vector<Delivery> deliveries;
};

struct Limits {  // each at least 1
  std::size_t queues_max = 100'000;
  std::size_t inflight_max = 120'000;         // per queue (SQS quota)
  std::size_t noisy_inflight = 30;            // a tenant with fewer is not noisy for what it has in flight
  std::size_t waiters_max = 20'000;           // all queues together; full: receives do not wait
  std::size_t deduplication_max = 1'000'000;  // ids of the last five minutes, all queues; about 90 bytes each
  std::size_t retries_max = 100'000;          // the oldest are forgotten early; about 90 bytes each
  std::size_t attempts_max = 100'000;         // the oldest receive attempts are forgotten early
  // What one step may do besides what it was asked: delays and leases that ended, messages past retention or
  // moved to a dead-letter queue, deliveries to waiting receivers. The rest is due at once (next_deadline()).
  std::size_t tick_messages_max = 1'000;
};

// A part of a captured state.
struct CapturedBlock {
  storage::BlockKey key;
  Bytes bytes;
};
inline constexpr std::uint8_t kMessageBlocks = 3;  // the kind of those that a capture may leave out

// Where a message stands in the log.
struct Standing {
  QueueId queue{};
  Seq seq{};
  storage::Location at;
};
inline constexpr std::uint32_t kWalkEnded = UINT32_MAX;
inline constexpr std::uint64_t kCopyOverheadMax =
    20;  // a copy's record may be longer by its queue and number

// At most this much is appended to Effects::records by one command or tick: for the log's admit().
struct Bound {
  std::size_t records = 0;
  std::uint64_t bytes = 0;
};

// Records are of kinds 1 to 63 of the log; their payloads: docs/formats/queue-records.md
template <class T>
using Outcome = std::expected<T, Fault>;

class Engine {
 public:
  explicit Engine(Limits limits);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // --- questions ---
  const Queue* find(std::string_view account, std::string_view name) const;
  const Queue* find(QueueId id) const;
  // Queues of the account whose names begin with `prefix` and come after `after`, in name order, at most
  // `max`.
  std::vector<const Queue*> list(std::string_view account, std::string_view prefix, std::string_view after,
                                 std::size_t max) const;
  std::size_t queue_count() const;
  // Exact as of the latest tick() that left nothing due; of no queue: zeros.
  Counts counts(QueueId id) const;
  // Messages with a number above `after`, in its order, at most `max`: looked at, not received. Those that
  // are leased or delayed only if asked for. The receipts are none.
  std::vector<Delivery> browse(QueueId id, Seq after, std::size_t max, bool leased, bool delayed) const;
  // Where the message's Sent record stands; none if the message is gone or not placed yet.
  std::optional<storage::Location> location(QueueId id, Seq seq) const;
  const Limits& limits() const;

  // --- how much a step may log ---
  Bound bound(const CreateQueue& request) const;
  Bound bound(QueueId id, const AttributeChange& change) const;
  Bound bound(QueueId id, const TagChange& change) const;
  Bound bound(std::span<const SendEntry> entries) const;
  // Of every other command, with the number of receipts or of max_messages; of tick(), with 0.
  Bound bound(std::size_t items) const;

  // --- commands ---
  // The same name answers the queue that is there, if the attributes asked for are those it has.
  Outcome<QueueId> create(const CreateQueue& request, Time now, Effects& out);
  Outcome<void> set_attributes(QueueId id, const AttributeChange& change, Time now, Effects& out);
  Outcome<void> tag(QueueId id, const TagChange& change, Time now, Effects& out);
  Outcome<void> remove(QueueId id, Time now, Effects& out);  // its waiters are answered with nothing
  Outcome<void> purge(QueueId id, Time now, Effects& out);   // messages sent before now are gone
  Outcome<std::vector<Sent>> send(QueueId id, std::span<const SendEntry> entries, Time now, Effects& out);
  // At the in-flight limit: kOverLimit, or parked where it may wait, or nothing (FIFO). With all waiting
  // places taken it does not wait.
  Outcome<Received> receive(QueueId id, const ReceiveRequest& request, Time now, Effects& out);
  // Deleting what is gone is fine; a receipt of an older receive is kReceiptInvalid, also when its lease is
  // over. One outcome per receipt.
  Outcome<std::vector<Outcome<void>>> erase(QueueId id, std::span<const Receipt> receipts, Time now,
                                            Effects& out);
  struct Visibility {
    Receipt receipt;
    Duration timeout{};  // 0 to 12 h, from now
  };
  // kNotInflight: gone, or visible again. kLeaseTooLong: ends later than 12 h after the receive.
  Outcome<std::vector<Outcome<void>>> change_visibility(QueueId id, std::span<const Visibility> changes,
                                                        Time now, Effects& out);
  // kNotDeadLetter: no queue's dead letters go to the source. kMoveRunning: one task for each source at a
  // time. kOverLimit: kMovesRunning. kInvalid: the rate, or a destination of another kind.
  Outcome<void> start_move(const StartMove& request, Time now, Effects& out);
  // Returns how many messages it has moved. kNoSuchMove, kMoveEnded.
  Outcome<std::uint64_t> cancel_move(const Uuid& id, Time now, Effects& out);
  std::vector<MoveTask> moves(QueueId source) const;  // the newest first, at most kMovesListed
  void cancel(WaiterId waiter);                       // its client has gone; nothing was leased to it

  // --- time ---
  // Delays and leases that ended by `now`, waits that are over, messages past retention; bounded by
  // Limits::tick_messages_max (then next_deadline() <= now: call again).
  void tick(Time now, Effects& out);
  Time next_deadline() const;  // Time::max() when nothing is due ever

  // --- log ---
  // Tells where the records of a step landed (`at[i]`: records[i]), before the next step.
  void place(std::span<const Placement> placements, std::span<const storage::Location> at);
  // The same, and completes Delivery::content of the wakeups of this step: what a send hands to a waiting
  // receiver has no location before. (Received::deliveries are always complete.)
  void place(Effects& step, std::span<const storage::Location> at);
  // A record of a kind that is ours, in log order. kCorrupt when it cannot be one of ours.
  Status restore(const storage::RecoveredRecord& record);

  // --- capture: the state as of one moment, copied in blocks while commands go on ---

  // Between two commands. The blocks are those of a whole state, or without the messages' blocks that are as
  // they were at the capture before. One at a time: until end_capture().
  void begin_capture(bool whole);
  // A block costs about as much as a thousand messages' bytes. None: that was all. Empty bytes: the block has
  // nothing in it any more.
  std::optional<CapturedBlock> next_block();
  // `kept`: it is durable, and the next one may build on it.
  void end_capture(bool kept);

  // Into an engine that is new: every block, in the order of the keys, then loaded(), then the records after
  // it.
  Status load(storage::BlockKey key, ByteView bytes);
  Status loaded();

  // --- keeping the log short ---

  // Of the records in which messages stand, with what the log adds to each.
  std::uint64_t live_bytes() const;
  // The first segment in which a message stands; UINT32_MAX: there is none.
  std::uint32_t oldest_segment() const;
  // The messages that stand in a segment before `segment`, a part of the walk from cursor 0 on; at its end
  // the cursor is kWalkEnded. Messages sent or copied meanwhile stand behind all of them.
  std::vector<Standing> standing_before(std::uint32_t segment, std::uint32_t& cursor,
                                        std::size_t chunks) const;
  // Its `record`, as read from where it stands, to the head of the log; nothing if it is gone or stands
  // elsewhere by now. kCorrupt: it is not the message's.
  Status copy(const Standing& message, ByteView record, Effects& out);

  // A recount of everything by the slow way; an error names the first counter that differs. For tests and
  // `headrace store check`.
  Status audit() const;
  // One line for each queue, message and attribute, in a fixed order that depends on nothing but records: two
  // engines with the same lines behave the same. Waiting receivers are not part of it.
  void describe(const std::function<void(std::string_view line)>& line) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hr::queue
