// What a pool asks the outside to do, as values. Whoever carries them out reports back under the same number.
#pragma once

#include "base/log.h"
#include "codec/uri.h"
#include "worker/child_protocol.h"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <variant>
#include <vector>

namespace hr::worker {

using OpId = std::uint64_t;     // of one request; never used twice
using ChildId = std::uint32_t;  // of one process; never used twice

// Two clocks: `wall` is written into documents, `boot` (CLOCK_BOOTTIME) is what leases and limits run on.
struct Instant {
  Time wall;
  Nanos boot{};
};

// --- actions

struct Receive {
  OpId op = 0;
  std::size_t queue = 0;  // index into the pool's queues
  int max = 1;
  bool attributes = false;  // those of the messages too
};
struct CancelReceive {  // what had been answered is reported all the same
  OpId op = 0;
};
struct Visibility {
  Bytes receipt;
  int seconds = 0;
};
struct ChangeVisibility {
  OpId op = 0;
  std::size_t queue = 0;
  std::vector<Visibility> entries = {};  // 1 to the pool's batch_max
  Duration timeout{};
};
struct DeleteMessages {
  OpId op = 0;
  std::size_t queue = 0;
  std::vector<Bytes> receipts = {};  // 1 to the pool's batch_max
  Duration timeout{};
};
struct PutObject {  // in the application's own bucket
  OpId op = 0;
  Bytes key, body, request_id;
  Duration timeout{};
};
struct GetObject {
  OpId op = 0;
  Bytes key;
  Duration timeout{};
};
struct EraseObject {  // of the same bucket
  OpId op = 0;
  Bytes key;
  Duration timeout{};
};
struct SendDead {  // to the queue's dead-letter queue
  OpId op = 0;
  std::size_t queue = 0;
  Bytes body;
  codec::Pairs attributes;
  Bytes job;
  Bytes dedup_id;  // the same for one ending of one message, however often it is sent
  Bytes request_id;
  Duration timeout{};
};
struct Prepare {  // make the queues, buckets and notifications that these tasks need, then say prepared()
  Ready ready;
};
struct Spawn {
  ChildId child = 0;
};
struct Kill {  // its whole process group
  ChildId child = 0;
};
struct Recall {  // what it has not begun up to this ordinal does not begin any more; recalled() tells
  ChildId child = 0;
  std::uint64_t given = 0;
};
struct SetLease {  // into the memory that the child watches; 0: none
  ChildId child = 0;
  Nanos end{};
};
struct WriteFrame {
  ChildId child = 0;
  Bytes frame;
};
struct Say {
  Severity severity = Severity::kInfo;
  Bytes event;
  std::vector<Field> fields;  // names are literals
};
struct Exit {
  enum class How : std::uint8_t { kDone, kFailed, kConfiguration };
  How how = How::kDone;
  Bytes message;  // one sentence; empty when done
};

using Action =
    std::variant<Receive, CancelReceive, ChangeVisibility, DeleteMessages, PutObject, GetObject, EraseObject,
                 SendDead, Prepare, Spawn, Kill, Recall, SetLease, WriteFrame, Say, Exit>;

// --- reports

struct Failure {
  enum class Kind : std::uint8_t {
    kTransient,  // later may be better; whether it was carried out may be unknown
    kMissing,    // no such key or queue
    kLost,       // the receipt is not, or no longer, valid
    kRefused,    // the same request will fail again
  };
  Kind kind = Kind::kTransient;
  Bytes text;

  bool operator==(const Failure&) const = default;
};
template <class T>
using Outcome = std::expected<T, Failure>;

struct Message {
  Bytes id;
  Bytes receipt;
  Bytes body;
  std::uint32_t receives = 1;
  std::int64_t sent = 0;         // Unix ms
  codec::Pairs attributes = {};  // text ones
};

// How a process ended.
struct ChildEnd {
  int status = 0;           // of exit; meaningless with a signal
  int signal = 0;           // 0: it exited
  std::uint64_t begun = 0;  // the ordinal of the last job it began
};

}  // namespace hr::worker
