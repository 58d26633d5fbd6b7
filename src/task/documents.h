// The two objects that tell how a job went. mark/JOB is written on every outcome but success and is the only
// source of attempt counts; result/JOB is what the job returned, or why it died. Values, and their JSON.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstddef>
#include <cstdint>

namespace hr::task {

inline constexpr std::size_t kTracebackBytesMax = 64 * 1024;  // longer ones lose their middle
inline constexpr std::size_t kErrorTextBytesMax = 1024;       // "Type: message" of a dead letter

struct TaskError {
  Bytes type;
  Bytes message;
  Bytes traceback;
  Bytes log = {};  // the last lines that the attempt logged

  bool empty() const { return type.empty() && message.empty(); }
  bool operator==(const TaskError&) const = default;
};

// "Type: message", at most kErrorTextBytesMax bytes of whole characters that a message attribute may carry.
Bytes error_text(const TaskError& error);

enum class MarkState : std::uint8_t {
  kRetrying,  // the last receive is accounted for
  kStarted,   // an attempt began and nothing was heard of it yet
  kDead,      // the dead letter may not have been sent
};

struct Mark {
  Bytes id;
  std::uint32_t receives = 0;  // of the message, up to which this mark explains them
  std::uint32_t attempts = 0;  // that ended in failure, crashes among them
  std::uint32_t crashes = 0;
  std::uint32_t releases = 0;   // handed back without an attempt
  std::int64_t not_before = 0;  // Unix ms
  TaskError last_error;
  MarkState state = MarkState::kRetrying;
  Bytes reason;  // of a dead one

  bool operator==(const Mark&) const = default;
};

Bytes write_mark(const Mark& mark);
Result<Mark> parse_mark(ByteView text);

enum class JobState : std::uint8_t { kDone, kDead, kCancelled };

struct JobResult {
  Bytes id, task, queue;
  JobState state = JobState::kDone;
  Bytes result = "null";  // JSON text
  TaskError error;
  std::uint32_t attempts = 0;
  std::int64_t sent = 0, started = 0, ended = 0;  // Unix ms
  Bytes request_id, host, worker;
};

Bytes write_result(const JobResult& result);

// A message that is sent when its time is near: the object later/YYYYMMDDHHMM/JOB.
struct Later {
  Bytes queue;
  Bytes message;
  std::int64_t due = 0;      // Unix ms
  std::int64_t claimed = 0;  // a worker was about to send it then; 0: none yet
  Bytes by = {};             // which
};
Bytes write_later(const Later& later);
Result<Later> parse_later(ByteView text);

}  // namespace hr::task
