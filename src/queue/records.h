// What the queue engine writes into the log: one struct for each kind, their bytes, and nothing else. The
// format and its version rule: docs/formats/queue-records.md. Decoding accepts every byte string and answers
// kCorrupt for those that are none of ours.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "base/uuid.h"
#include "queue/moves.h"
#include "queue/queue.h"
#include "storage/log/record.h"

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

namespace hr::queue {

struct QueueCreated {
  Queue queue;
};
struct QueueChanged {
  QueueId queue{};
  Time at;
  Attributes attributes;  // all of them, as they are now
  std::map<std::string, std::string> tags;
};
struct QueueRemoved {
  QueueId queue{};
  Time at;
};
struct QueuePurged {
  QueueId queue{};
  Time at;
};
struct MessageSent {
  QueueId queue{};
  Seq seq{};
  Uuid id;
  Time sent;
  Duration delay{};
  // Both in FIFO queues; else each where there is one.
  GroupKey group{};
  std::optional<Fingerprint> deduplication{};
  ByteView content;  // encoded by queue/message.h
};
struct MessagesReceived {
  struct Entry {
    Seq seq{};
    std::uint32_t receive = 0;
  };
  QueueId queue{};
  Time at;
  Duration lease{};
  std::optional<Fingerprint> attempt{};
  std::vector<Entry> messages;
};
struct MessagesErased {
  QueueId queue{};
  Time at;
  std::vector<Seq> messages;
};
struct VisibilityChanged {
  struct Entry {
    Seq seq{};
    Duration timeout{};  // from `at`
  };
  QueueId queue{};
  Time at;
  std::vector<Entry> messages;
};
struct MessagesExpired {  // past retention
  QueueId queue{};
  Time at;
  std::vector<Seq> messages;
};
struct MessagesDeadLettered {
  struct Entry {
    Seq from{};
    Seq to{};
  };
  QueueId queue{};
  QueueId dead_letter{};
  Time at;
  std::vector<Entry> messages;
};

struct ReceiveRepeated {  // by its attempt id: the same receipts, leased again
  QueueId queue{};
  Time at;
  Duration lease{};
  Fingerprint attempt;
  std::vector<Seq> messages;
};

// The message's record again, so that the segment in which it stood can go: its queue and number as they are
// now, everything else as it was when it was sent. From here on its content is read here.
struct MessageCopied {
  MessageSent sent;
};

struct MoveStarted {
  StartMove asked;
  Time at;
  std::uint64_t to_move = 0;
};
// Messages of the task's source that are new ones in `destination` now.
struct MessagesRedriven {
  Uuid task;
  QueueId destination{};
  Time at;
  std::vector<MessagesDeadLettered::Entry> messages;
};
struct MoveEnded {
  Uuid task;
  Time at;
  MoveStatus status = MoveStatus::kCompleted;
  std::string failure;
};

using AnyRecord =
    std::variant<QueueCreated, QueueChanged, QueueRemoved, QueuePurged, MessageSent, MessagesReceived,
                 MessagesErased, VisibilityChanged, MessagesExpired, MessagesDeadLettered, ReceiveRepeated,
                 MessageCopied, MoveStarted, MessagesRedriven, MoveEnded>;

inline constexpr std::uint8_t kSentKind = 5;  // of MessageSent

storage::Record encode(const AnyRecord& record);
// Views in the answer point into `payload`.
Result<AnyRecord> decode(std::uint8_t kind, ByteView payload);

// The most bytes of one record without strings and entries, and of one entry in any of the lists.
inline constexpr std::uint64_t kRecordBytesMax = 96;
inline constexpr std::uint64_t kEntryBytesMax = 20;

// Whether every value stands in the range that queue.h names.
bool in_range(const Attributes& attributes);

inline constexpr Time kTimeMax = Time(Duration(253'402'300'799'999));  // the last moment of the year 9999
inline constexpr Duration kLeaseMax = 12h;
inline constexpr Duration kDelayMax = 900s;

}  // namespace hr::queue
