// One sent task as it travels in a message (envelope v1), and the jobs that a message asks for: an envelope
// is one, a notification of S3 is one per record. Arguments stay the JSON text they are.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "codec/uri.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace hr::task {

// Where arguments too long for a message are: the object is {"args":...,"kwargs":...}.
struct BodyRef {
  Bytes key;
  std::uint64_t size = 0;
  Bytes sha256;  // hexadecimal

  bool operator==(const BodyRef&) const = default;
};

inline constexpr std::uint64_t kBodyBytesMax = 60U << 20;  // of such an object: a frame to a child holds it

struct Envelope {
  Bytes id;
  Bytes task;
  Bytes args = "[]";            // JSON text of an array
  Bytes kwargs = "{}";          // JSON text of an object
  std::int64_t sent = 0;        // Unix ms
  std::int64_t not_before = 0;  // Unix ms; 0: at once
  std::int64_t expires = 0;     // Unix ms; 0: never
  std::uint32_t attempt = 0;    // failed ones before it was sent again; its mark has more
  bool keep_result = true;
  Bytes request_id;
  Bytes traceparent;  // W3C trace context; empty: none
  std::optional<BodyRef> body;

  bool operator==(const Envelope&) const = default;
};

// kInvalid: which member breaks which rule. kUnsupported: a promise of another version (once, flow).
Result<Envelope> parse_envelope(ByteView text);
Bytes write_envelope(const Envelope& envelope);

struct Arguments {
  Bytes args;
  Bytes kwargs;
};
// The object behind a BodyRef. kCorrupt: not the bytes that the envelope announced.
Result<Arguments> parse_body(ByteView object, const BodyRef& expected);

// One job of a message.
struct Job {
  Envelope call;
  Bytes event;          // of a trigger or consumer: JSON text of its argument; empty: a sent task
  Bytes configuration;  // of a trigger: the notification's configuration id
  Bytes dead_body;      // what a dead letter holds; empty: the whole message

  bool operator==(const Job&) const = default;
};

struct MessageJobs {
  std::vector<Job> jobs;  // none: nothing to do (s3:TestEvent)
};

// What a message asks for. `message_id` names the jobs of a notification: a redelivery has the same ones.
Result<MessageJobs> read_message(ByteView body, ByteView message_id);

// A message of somebody who knows nothing of envelopes.
struct RawMessage {
  Bytes id;
  Bytes body;
  std::int64_t sent = 0;  // Unix ms
  codec::Pairs attributes;
};
// The job of handling it; keeps no result.
Job raw_job(const Bytes& task, const RawMessage& message);

// The id a message is known by when it cannot be read: its envelope's if that much is there.
Bytes job_id_of_unreadable(ByteView body, ByteView message_id);

}  // namespace hr::task
