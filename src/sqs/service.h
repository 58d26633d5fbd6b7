// The actions of SQS, each a command or a question to the store: typed request in, typed answer out. No HTTP
// and no text of either protocol here. Runs on the sequencing thread; owned by the front.
#pragma once

#include "base/bytes.h"
#include "base/log.h"
#include "base/result.h"
#include "commit/store.h"
#include "net/runtime.h"
#include "os/entropy.h"
#include "queue/engine.h"
#include "queue/message.h"
#include "sqs/access.h"
#include "sqs/caller.h"
#include "sqs/names.h"
#include "sqs/receipt.h"
#include "sqs/recent.h"
#include "wire/sqs_answer.h"
#include "wire/sqs_error.h"
#include "wire/sqs_request.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace hr::sqs {

template <class T>
using Outcome = wire::sqs::Outcome<T>;
using Answered = net::Task<Outcome<wire::sqs::Answer>>;

struct PeekRequest {
  Bytes queue_url;
  queue::Seq after{};
  std::size_t max = 0;
  bool leased = false, delayed = false;
};
struct Peeked {
  wire::sqs::ReceivedAnswer answer;
  std::optional<std::uint64_t> next{};  // there may be more after this number
};

struct MessageCounters {
  std::uint64_t sent = 0, received = 0, deleted = 0, empty_receives = 0;
  std::uint64_t sent_bytes = 0;
};

class Service {
 public:
  struct Parts {
    commit::Store& store;
    os::Entropy& entropy;
    ReceiptSeal seal;
    Bytes region;
    bool strict = false;  // AWS's waiting times
    hr::Log diary;
  };
  explicit Service(Parts parts);

  // `caller` and `request` must live until the task ends; the request is used up.
  Answered call(const Caller& caller, wire::sqs::Request& request);

  // Messages as they are, none of them received.
  Outcome<Peeked> peek(const Caller& caller, const PeekRequest& request) const;

  const MessageCounters& messages() const { return messages_; }

 private:
  Answered run(const Caller& caller, wire::sqs::CreateQueue& request);
  Answered run(const Caller& caller, wire::sqs::ListQueues& request);
  Answered run(const Caller& caller, wire::sqs::GetQueueUrl& request);
  Answered run(const Caller& caller, wire::sqs::DeleteQueue& request);
  Answered run(const Caller& caller, wire::sqs::GetQueueAttributes& request);
  Answered run(const Caller& caller, wire::sqs::SetQueueAttributes& request);
  Answered run(const Caller& caller, wire::sqs::PurgeQueue& request);
  Answered run(const Caller& caller, wire::sqs::ListQueueTags& request);
  Answered run(const Caller& caller, wire::sqs::TagQueue& request);
  Answered run(const Caller& caller, wire::sqs::UntagQueue& request);
  Answered run(const Caller& caller, wire::sqs::AddPermission& request);
  Answered run(const Caller& caller, wire::sqs::RemovePermission& request);
  Answered run(const Caller& caller, wire::sqs::ListDeadLetterSourceQueues& request);
  Answered run(const Caller& caller, wire::sqs::StartMessageMoveTask& request);
  Answered run(const Caller& caller, wire::sqs::CancelMessageMoveTask& request);
  Answered run(const Caller& caller, wire::sqs::ListMessageMoveTasks& request);
  Answered run(const Caller& caller, wire::sqs::SendMessage& request);
  Answered run(const Caller& caller, wire::sqs::SendMessageBatch& request);
  Answered run(const Caller& caller, wire::sqs::ReceiveMessage& request);
  Answered run(const Caller& caller, wire::sqs::DeleteMessage& request);
  Answered run(const Caller& caller, wire::sqs::DeleteMessageBatch& request);
  Answered run(const Caller& caller, wire::sqs::ChangeMessageVisibility& request);
  Answered run(const Caller& caller, wire::sqs::ChangeMessageVisibilityBatch& request);

  // One command, answered at its release point.
  template <class T>
  using Decide = std::function<queue::Outcome<T>(queue::Engine&, Time, queue::Effects&)>;
  template <class T>
  net::Task<Outcome<T>> commit(commit::Cost cost, storage::Release release, Decide<T> decide);

  // --- queues ---
  // The queue, if the caller may do with it what it asks for.
  Outcome<const queue::Queue*> find(const Caller& caller, ByteView url) const;
  // `parameter`: the one that holds the ARN, for the error. `action`: what is done to that queue.
  Outcome<const queue::Queue*> find_arn(const Caller& caller, ByteView arn, ByteView parameter,
                                        wire::sqs::Action action) const;
  // `has`: the attributes of the queue as it is; null for one that is to be made.
  Outcome<queue::AttributeChange> to_change(wire::sqs::QueueAttributes& attributes, const QueueName& of,
                                            const queue::Attributes* has);
  net::Task<Outcome<void>> set(queue::QueueId queue, const queue::AttributeChange& change);
  net::Task<Outcome<void>> set_tags(queue::QueueId queue, const queue::TagChange& change);
  Outcome<queue::Redrive> resolve(const wire::sqs::RedrivePolicy& policy, const QueueName& of) const;
  std::optional<Bytes> attribute(const queue::Queue& queue, ByteView name) const;
  Bytes url_of(const Caller& caller, const queue::Queue& queue) const;

  // --- messages ---
  struct Prepared {
    queue::SendEntry entry;
    wire::sqs::SentAnswer answer;
  };
  Outcome<Prepared> prepare(const Caller& caller, const queue::Queue& queue, wire::sqs::Message&& message);
  net::Task<Outcome<std::vector<queue::Sent>>> send(queue::QueueId queue,
                                                    std::span<const queue::SendEntry> entries);
  Outcome<queue::Receipt> open(ByteView handle, queue::QueueId queue) const;
  void add_system_attributes(wire::sqs::ReceivedMessage& message, const queue::Queue& queue,
                             const queue::Delivery& delivery, const queue::MessageContent& content,
                             std::span<const Bytes> names) const;
  Outcome<wire::sqs::ReceivedMessage> read(const queue::Queue& queue, const queue::Delivery& delivery,
                                           const wire::sqs::ReceiveMessage& request) const;
  using EachOutcome = std::vector<queue::Outcome<void>>;
  net::Task<Outcome<EachOutcome>> erase(queue::QueueId queue, std::span<const queue::Receipt> receipts);
  net::Task<Outcome<EachOutcome>> change(queue::QueueId queue,
                                         std::span<const queue::Engine::Visibility> changes);

  Parts parts_;
  Access access_;
  Recent recent_;
  MessageCounters messages_;
};

}  // namespace hr::sqs
