// What a pool parent and its children say to each other: frames of JSON, a length before each. Values and
// their text; pure. Arguments and results pass through as the text they are.
#pragma once

#include "base/bytes.h"
#include "base/log.h"
#include "base/result.h"
#include "base/time.h"
#include "task/documents.h"
#include "task/retry.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

namespace hr::worker {

inline constexpr std::size_t kFrameBytesMax = 64U << 20;
// A lease ends at the latest 12 h after its receive (SQS), and something must be left to store the outcome.
inline constexpr Duration kTimeoutMax = 11h + 30min;
inline constexpr std::size_t kTasksMax = 10'000;

struct TaskSpec {
  Bytes name;
  Bytes queue = "default";
  task::RetryPolicy retry;
  Duration timeout = 300s;  // of one attempt
  bool keep_result = true;
  bool async = false;  // a child runs several at once
  std::vector<Bytes> aliases;

  bool operator==(const TaskSpec&) const = default;
};

struct TriggerSpec {
  Bytes task;
  Bytes event;  // "s3:ObjectCreated:*"
  Bytes bucket, prefix, suffix;
  Bytes queue;  // never empty: named by the user or made from the task's name

  bool operator==(const TriggerSpec&) const = default;
};

struct ConsumerSpec {  // every message of the queue is the task's, whatever it holds
  Bytes task;
  Bytes queue;

  bool operator==(const ConsumerSpec&) const = default;
};

// --- child to parent

struct Ready {
  Bytes version;  // of the headrace package
  Bytes python;
  std::vector<TaskSpec> tasks;
  std::vector<TriggerSpec> triggers;
  std::vector<ConsumerSpec> consumers = {};  // each queue once
};
struct FailedStart {
  Bytes message, file, traceback;
  std::int64_t line = 0;
};
struct Done {
  Bytes id;
  Bytes result = "null";  // JSON text
  Nanos took{};
};
struct Failed {
  Bytes id;
  Nanos took{};
  task::TaskError error;
  bool retry = true;
  bool late = false;              // it was cancelled at its timeout
  bool tired = false;             // its process has used up something that others need
  std::optional<Duration> delay;  // asked for by the task
};
struct LogLine {
  Bytes id;  // of a job; may be empty
  Bytes level, logger, message;
};
using ChildMessage = std::variant<Ready, FailedStart, Done, Failed, LogLine>;

// kInvalid names the member that breaks a rule.
Result<ChildMessage> parse_child_message(ByteView frame);

// --- parent to child

struct RunCall {
  std::uint64_t ordinal = 1;  // of the job among those given to the child
  ByteView id, task;
  ByteView args, kwargs;  // JSON text
  ByteView event;         // JSON text; empty: none
  std::uint32_t attempt = 1;
  Duration timeout{};
  bool keep_result = true;
  ByteView queue, request_id, traceparent;
};
Bytes write_run(const RunCall& call);
Bytes write_stop();
Bytes write_cancel(const Bytes& job);   // whoever runs it is told so
Bytes write_log_level(Severity least);  // of what handlers log

// --- framing

void append_frame(Bytes& out, ByteView frame);  // the length, then the frame

// The first whole frame of `buffer` from byte `at` on, which moves past it; none: more bytes are needed.
// kLimit: too long.
Result<std::optional<ByteView>> take_frame(ByteView buffer, std::size_t& at);

}  // namespace hr::worker
