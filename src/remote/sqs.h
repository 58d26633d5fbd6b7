// The calls of SQS that workers and operators need, in JSON 1.0. Each is one request; whoever calls decides
// about trying again. Strings and vectors are taken by value: they live in the call's own frame.
#pragma once

#include "remote/services.h"

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace hr::remote {

inline constexpr std::size_t kBatchMax = 10;  // that every service takes
inline constexpr std::size_t kQueuesMax = 10'000;

struct ReceivedMessage {
  Bytes id;
  Bytes receipt;
  Bytes body;
  std::uint32_t receives = 1;  // ApproximateReceiveCount
  std::int64_t sent = 0;       // SentTimestamp, Unix ms
  codec::Pairs attributes;     // text ones

  bool operator==(const ReceivedMessage&) const = default;
};

struct ReceiveCall {
  Bytes queue_url;
  int max = 1;             // 1 to batch_max()
  int visibility_s = 60;   // said each time: the queue's own default is not looked at
  int wait_s = 20;         // 0 to 20
  bool attributes = true;  // those of the messages too
};

struct VisibilityEntry {
  Bytes receipt;
  int seconds = 0;
};

// The outcome of each entry, in the order asked.
using EachOutcome = std::vector<std::expected<void, Fault>>;

struct SendCall {
  Bytes queue_url;
  Bytes body;
  codec::Pairs attributes = {};  // text, none empty
  int delay_s = 0;
  Bytes dedup_id = {};  // our store then removes a repeat of the same send (5 min)
};

// Notices queues of which so many messages are in flight that the service hands out no more. A standard queue
// says so (OverLimit), a FIFO queue answers with nothing, as if it were empty. Pure.
class InFlightWatch {
 public:
  static constexpr std::int64_t kFifoMax = 120'000;  // older texts say 20,000

  // After a receive that brought nothing from a FIFO queue: whether its counts should be looked at.
  bool wants_look(const Bytes& queue_url, bool nothing, Nanos now);
  // Whether that is worth telling a person now: once a minute and queue.
  bool tells(const Bytes& queue_url, Nanos now);

 private:
  struct Queue {
    int empty = 0;  // receives in a row
    std::optional<Nanos> looked, told;
  };
  std::map<Bytes, Queue> queues_;
};

class Sqs {
 public:
  explicit Sqs(Services& services) : services_(services) {}

  net::Task<Answer<Bytes>> queue_url(Bytes name, CallOptions options = {});
  net::Task<Answer<Bytes>> create_queue(Bytes name, codec::Pairs attributes, CallOptions options = {});
  // URLs, page after page: all of them, or the first kQueuesMax and the rest of a page.
  net::Task<Answer<std::vector<Bytes>>> list_queues(Bytes prefix, CallOptions options = {});
  net::Task<Answer<codec::Pairs>> attributes(Bytes queue_url, std::vector<Bytes> names,
                                             CallOptions options = {});
  // Waits up to wait_s; the deadline is that and options.timeout. Cancelled: kCancelled, or what had come.
  net::Task<Answer<std::vector<ReceivedMessage>>> receive(ReceiveCall call, CallOptions options = {},
                                                          Cancel* cancel = nullptr);
  net::Task<Answer<EachOutcome>> change_visibility(Bytes queue_url, std::vector<VisibilityEntry> entries,
                                                   CallOptions options = {});  // 1 to batch_max()
  net::Task<Answer<EachOutcome>> erase(Bytes queue_url, std::vector<Bytes> receipts,
                                       CallOptions options = {});          // 1 to batch_max()
  net::Task<Answer<Bytes>> send(SendCall call, CallOptions options = {});  // the message's id

  // Entries and messages of one request: Amazon's 10, or what the service has said that it takes.
  std::size_t batch_max() const { return batch_max_; }

 private:
  struct Manner {
    Repeat repeat = Repeat::kAlways;
    Pace pace = Pace::kKept;
  };
  net::Task<Answer<Bytes>> post(Bytes action, Bytes body, CallOptions options, Manner manner,
                                codec::Pairs headers = {}, Cancel* cancel = nullptr);
  net::Task<void> look_at_limits(Bytes queue_url, const Answer<std::vector<ReceivedMessage>>& answer);
  void tell_over_limit(const Bytes& queue_url, std::int64_t in_flight);

  Services& services_;
  InFlightWatch watch_;
  std::size_t batch_max_ = kBatchMax;
};

// The answers as values. Pure; kServer: not what SQS answers.
Answer<std::vector<ReceivedMessage>> read_received(ByteView json);
Answer<EachOutcome> read_each(ByteView json, std::size_t entries);

}  // namespace hr::remote
