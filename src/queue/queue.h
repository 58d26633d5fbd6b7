// The values of the queue engine: ids, attributes, receipts, deliveries. Plain data, ranges named beside the
// fields; who makes them out of a request or a receipt handle checks the ranges.
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "base/uuid.h"
#include "storage/log/record.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hr::queue {

enum class QueueId : std::uint64_t {};  // never reused; at most kQueueIdMax
enum class Seq : std::uint64_t {};      // of a message in its queue: from 1, in order of sending
inline constexpr std::uint64_t kQueueIdMax = UINT32_MAX;
enum class WaiterId : std::uint64_t {};

// A message group, by a digest of its MessageGroupId. Two groups of one key would only wait for each other.
enum class GroupKey : std::uint64_t { kNone = 0 };

// 128 bits of a SHA-256: of a deduplication id, or of a ReceiveRequestAttemptId.
struct Fingerprint {
  std::array<std::uint8_t, 16> bytes{};

  ByteView view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  bool operator==(const Fingerprint&) const = default;
};

// Where a message goes that would be received once more after `max_receive_count` receives in this queue.
struct Redrive {
  QueueId dead_letter{};
  std::uint32_t max_receive_count = 0;  // 1 to 1,000
  bool operator==(const Redrive&) const = default;
};

// Seconds in SQS's API, milliseconds here. Ranges: CreateQueue in the API Reference.
struct Attributes {
  Duration delay = 0s;                            // DelaySeconds, 0 to 900
  Duration visibility_timeout = 30s;              // VisibilityTimeout, 0 to 43,200
  Duration retention = std::chrono::hours(96);    // MessageRetentionPeriod, 60 to 1,209,600
  Duration receive_wait = 0s;                     // ReceiveMessageWaitTimeSeconds, 0 to 20
  std::uint32_t maximum_message_size = 1U << 20;  // 1,024 to 1,048,576 bytes; the front end refuses more
  std::optional<Redrive> redrive;
  // Attributes that change nothing in the engine and are reported as they were set (Policy, KmsMasterKeyId,
  // ...), by SQS's names.
  std::map<std::string, std::string> stored;

  bool operator==(const Attributes&) const = default;
};

struct AttributeChange {
  std::optional<Duration> delay, visibility_timeout, retention, receive_wait;
  std::optional<std::uint32_t> maximum_message_size;
  std::optional<Redrive> redrive;             // a max_receive_count of 0 removes it
  std::map<std::string, std::string> stored;  // an empty value removes the attribute
};

struct CreateQueue {
  std::string account;  // 12 digits
  std::string name;     // 1 to 80 of [A-Za-z0-9_-]; ".fifo" at the end makes it a FIFO queue
  AttributeChange attributes;
  std::map<std::string, std::string> tags;
};

inline constexpr std::size_t kTagsMax = 50;

struct TagChange {
  std::map<std::string, std::string> set;
  std::vector<std::string> remove;  // those that are not there are no error
};

struct Queue {
  QueueId id{};
  std::string account;
  std::string name;
  Attributes attributes;
  std::map<std::string, std::string> tags;
  Time created;
  Time modified;
};

inline bool is_fifo(std::string_view queue_name) { return queue_name.ends_with(".fifo"); }
inline bool is_fifo(const Queue& queue) { return is_fifo(queue.name); }

struct Counts {
  std::uint64_t visible = 0, in_flight = 0, delayed = 0;
  bool operator==(const Counts&) const = default;
};

// What a receipt handle says, once its authenticity is checked (sqs/receipt.h).
struct Receipt {
  QueueId queue{};
  Seq seq{};
  std::uint32_t receive = 0;  // which receive of the message gave it out, from 1

  bool operator==(const Receipt&) const = default;
};

struct Delivery {
  Receipt receipt;
  Uuid id;
  Time sent;
  Time first_received;
  std::uint32_t receive_count = 0;
  bool moved = false;  // from another queue
  QueueId source{};    // that queue; 0: none, or its number is past 32 bits
  // Of the record that carries it; decoded by queue/message.h. While that record is in the same Effects
  // `bytes` is 0 and `offset` its index there; Engine::place() puts the location.
  storage::Location content;
};

}  // namespace hr::queue
