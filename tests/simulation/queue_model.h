// The queue engine's rules a second time, in the simplest form that can be right: vectors, walked from end to
// end for every question. Slow, without a log, and the judge of the engine in the simulation.
#pragma once

#include "queue/engine.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace hr::sim {

class QueueModel {
 public:
  explicit QueueModel(queue::Limits limits) : limits_(limits) {}

  queue::Outcome<queue::QueueId> create(const queue::CreateQueue& request, Time now);
  queue::Outcome<void> set_attributes(queue::QueueId id, const queue::AttributeChange& change, Time now);
  queue::Outcome<void> tag(queue::QueueId id, const queue::TagChange& change, Time now);
  queue::Outcome<void> remove(queue::QueueId id, Time now);
  queue::Outcome<void> purge(queue::QueueId id, Time now);
  queue::Outcome<std::vector<queue::Sent>> send(queue::QueueId id, std::span<const queue::SendEntry> entries,
                                                Time now);
  queue::Outcome<queue::Received> receive(queue::QueueId id, const queue::ReceiveRequest& request, Time now);
  queue::Outcome<std::vector<queue::Outcome<void>>> erase(queue::QueueId id,
                                                          std::span<const queue::Receipt> receipts, Time now);
  queue::Outcome<std::vector<queue::Outcome<void>>> change_visibility(
      queue::QueueId id, std::span<const queue::Engine::Visibility> changes, Time now);
  void cancel(queue::WaiterId waiter);
  void tick(Time now);
  void restart();  // the waiting receivers are gone

  std::map<std::string, std::string> tags(queue::QueueId id) const;
  queue::Counts counts(queue::QueueId id) const;
  Time next_deadline() const;
  std::vector<queue::QueueId> queues() const;
  bool fifo(queue::QueueId id) const;
  std::vector<queue::Wakeup> take_wakeups();

 private:
  struct Message {
    Uuid id;
    std::uint64_t seq = 0;
    Time sent, visible_at, first, received;
    std::uint32_t count = 0, here = 0;
    std::uint64_t by_command = 0;  // numbers the commands that made it visible; 0: a delay or lease does
    bool noticed = false;          // that such a delay or lease has ended
    queue::GroupKey group{};
    bool moved = false;
    queue::QueueId source{};
  };
  // What FIFO queues remember for five minutes.
  struct Known {
    queue::QueueId queue{};
    queue::Fingerprint deduplication;
    Time at;
    queue::Sent sent;
  };
  struct Attempt {
    queue::QueueId queue{};
    queue::Fingerprint id;
    Time at;
    std::vector<std::pair<queue::Receipt, Time>> given;  // until when
  };
  // A tenant of a standard queue, for as long as it has a message there.
  struct Tenant {
    bool noisy = false;
    Time last_sent;
  };
  // Of processing, in the window of 5 minutes with that number and the one before.
  struct Spent {
    std::int64_t window = 0;
    Duration latest{}, before{};
  };
  struct Waiting {
    queue::ReceiveRequest request;
  };
  struct Queue {
    queue::Queue queue;
    std::uint64_t next_seq = 1;
    std::vector<Message> messages;
    std::vector<Waiting> waiting;
    std::map<queue::GroupKey, Tenant> tenants;
    std::map<queue::GroupKey, Spent> spent;  // kNone: by all together
    bool fair = false;                       // a message with a group has been here

    bool fifo() const { return queue.name.ends_with(".fifo"); }
  };

  Queue* find(queue::QueueId id);
  const Queue* find(queue::QueueId id) const { return const_cast<QueueModel*>(this)->find(id); }
  Message* find(Queue& q, queue::Seq seq);
  Message* next(Queue& q);
  bool expired(const Queue& q, const Message& m) const;
  Time due(const Queue& q) const;
  Queue* first_due();
  void start(Queue& q, Time now);
  void finish(Queue& q);
  void finish();
  void serve(Queue& q);
  std::vector<queue::Delivery> take(Queue& q, std::size_t max, Duration lease,
                                    const std::optional<queue::Fingerprint>& attempt);
  bool in_flight(const Message& m) const { return m.visible_at > now_ && m.count > 0; }
  std::size_t in_flight(const Queue& q, queue::GroupKey group) const;
  void arrive(Queue& q, const Message& m);
  void look(Queue& q);
  void judge(Queue& q, const Message& m);
  void spend(Queue& q, const Message& m);
  Duration spent(const Queue& q, queue::GroupKey group) const;
  bool first_of_group(const Queue& q, const Message& m) const;
  std::optional<std::uint64_t> follower(const Queue& q, const Message& m) const;
  bool good_target(const Queue& q, const queue::Attributes& a);
  bool fits(const Queue& q, const queue::SendEntry& entry) const;
  const Known* known(queue::QueueId id, const queue::Fingerprint& deduplication) const;
  std::vector<queue::Delivery> repeat(Queue& q, const queue::Fingerprint& attempt, Duration lease);
  queue::Delivery delivery(const Queue& q, const Message& m) const;
  void place(Message& m, Time visible_at);
  void drop(Queue& q, std::uint64_t seq);
  void expire(Queue& q);
  std::size_t waiting() const;

  queue::Limits limits_;
  Time now_{};
  std::vector<Queue> queues_;  // in order of creation
  std::uint64_t next_queue_ = 1;
  std::uint64_t commands_ = 0;
  std::vector<Known> known_;
  std::vector<Attempt> attempts_;
  std::vector<queue::QueueId> touched_;
  std::vector<queue::Wakeup> wakeups_;
};

}  // namespace hr::sim
