// How things are called in the two services: the application's own bucket and its keys, the queues of
// triggers, dead-letter queues, and ids made from messages. Pure functions of their arguments.
#pragma once

#include "base/bytes.h"
#include "base/uuid.h"

#include <cstddef>
#include <cstdint>

namespace hr::task {

inline constexpr std::size_t kJobIdBytesMax = 128;

Bytes system_bucket(ByteView app);                   // "headrace-APP"
Bytes result_key(ByteView job);                      // "result/JOB"
Bytes mark_key(ByteView job);                        // "mark/JOB"
Bytes body_key(ByteView job);                        // "body/JOB"
Bytes cancel_key(ByteView job);                      // "cancel/JOB": somebody asked that it does not run
Bytes later_key(std::int64_t due_ms, ByteView job);  // "later/YYYYMMDDHHMM/JOB", in UTC
inline constexpr ByteView kLaterPrefix = "later/";
inline constexpr ByteView kControlKey = "control";  // what operators have said about the queues

// The task of `headrace doctor` and `headrace host apply`: every child answers it with its only argument.
inline constexpr ByteView kCanaryTask = "headrace.canary";

// "on-TASK", with what a queue's name cannot carry as '-'; a long name ends in a digest of the whole, so that
// its dead-letter queue has room and two tasks never share one.
Bytes trigger_queue(ByteView task);
Bytes dead_queue(ByteView queue);  // "QUEUE-dead"

// 1 to 128 of A-Z a-z 0-9 . _ : -
bool valid_job_id(ByteView id);

// Version 5 (RFC 9562, section 5.5): the same name always has the same id. In the namespace of object ids.
Uuid name_uuid(ByteView name);

}  // namespace hr::task
