// The messages of one queue and the order in which they are received: by the time since when they are
// visible, and in a standard queue whose messages have groups by tenant before that (queue/tenants.h).
//
// A message is in exactly one place. Visible ones stand in a lane (queue/lane.h): the queue's, or that of
// their tenant. Delayed and leased messages are in the `hidden` heap by the end of that; settle() takes those
// that are over into their lane, a bounded number at a time. peek() looks at the hidden too, so its answer
// does not depend on how far settle() is; where there are noisy tenants and more than that bound became
// visible in one moment, those left over may come late.
//
// In a FIFO queue that is so for the first message of each group alone. The others stand behind it, in a heap
// of their own while they are delayed or leased; a message that becomes the first of its group because the
// one before it has gone is visible since then, or from its own time on.
#pragma once

#include "queue/deadline_heap.h"
#include "queue/groups.h"
#include "queue/lane.h"
#include "queue/queue.h"
#include "queue/seq_map.h"
#include "queue/slab.h"
#include "queue/tenants.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace hr::queue {

class Backlog {
 public:
  // `queue`: its number.
  Backlog(std::uint32_t queue, Slab& slab, Groups& groups, bool fifo)
      : queue_(queue), slab_(&slab), groups_(&groups), fifo_(fifo), owner_(groups.new_owner(queue)) {}
  Backlog(const Backlog&) = delete;
  Backlog& operator=(const Backlog&) = delete;

  Slot find(Seq seq) const { return seqs_.find(seq); }
  std::optional<Seq> after(Seq seq) const {  // the number of the next message
    return seqs_.at_or_after(Seq{static_cast<std::uint64_t>(seq) + 1});
  }
  Seq next_seq() const { return Seq{next_seq_}; }
  std::uint64_t size() const { return seqs_.size(); }
  const Counts& counts() const { return counts_; }

  // Takes in a slot that is in no queue, under next_seq(); as the last of its group. kNone: of no group, in
  // standard queues alone.
  void add(Slot slot, GroupKey group, Time now);
  // Out of the queue; the slot is the caller's.
  void release(Slot slot, Time now);
  // Puts the message where its new `visible_at` belongs. `leased`: as a receive, not as a delay.
  void hide(Slot slot, Time visible_at, Time now);

  Slot peek(Time now) const;  // the message to be received next, or kNoSlot
  // Takes up to `budget` messages that became visible by `now` out of the hidden ones, and lowers it by
  // those.
  void settle(Time now, std::size_t& budget);
  Time next_visible() const;  // of the hidden; Time::max() if there are none
  // The one after `slot` in its group, if it is visible: to be handed out in the same receive.
  Slot follower(Slot slot, Time now) const;
  GroupKey group_of(Slot slot) const;
  std::uint64_t groups() const { return fifo_ || tenants_ == nullptr ? group_count_ : tenants_->size(); }
  bool has_tenants() const { return tenants_ != nullptr; }

  // --- tenants of a standard queue; without any, nothing happens ---

  // Before messages are handed out at `now`.
  void hush(Time now) const {
    if (tenants_ != nullptr) tenants_->hush(now);
  }
  // The message was handed out, or is about to be deleted by its receiver.
  void judge(Slot slot, std::size_t noisy_inflight, Time now) const;
  void processed(Slot slot, Time now) const;
  Slot oldest();  // the message sent first, or kNoSlot

  // Every message at once: the queue is empty, the slots are to be given back by the caller.
  SeqMap clear();
  // The first number that is not of a message cleared away.
  Seq floor() const { return floor_; }

  // Takes back what was captured: every slot in any order; then, ascending by number, those with a group
  // once more; then the end of it. False: that cannot be the state of a queue.
  void load_floor(Seq floor) { floor_ = first_own_ = floor; }
  bool load(Slot slot, GroupKey group);
  void load_group(Slot slot, GroupKey group);
  bool loaded(Seq next_seq);

  // A recount; the name of what differs, or nullptr.
  const char* audit() const;
  // The ready list, then the others by (visible_at, seq).
  std::vector<Slot> in_order() const;

 private:
  struct MovedIn {
    Time sent;
    Seq seq{};
  };

  void link(Slot slot, Where where);
  bool has_tenant(Slot slot) const { return !fifo_ && (*slab_)[slot].group_next != kNoTenant; }
  void join_group(Slot slot, GroupKey group);
  void link_ready(Slot slot);
  void relink_ready(std::vector<Slot> ready);
  std::uint32_t next_place(Time at);
  DeadlineHeap<Slot>& heap_of(Where where);
  bool is_first(Slot slot) const;
  void join(Slot slot, GroupKey key);
  void leave(Slot slot, Time now);
  void promote(Slot slot, Time now);
  const char* audit_groups() const;
  void note_moved(const Message& message);
  void unlink(Slot slot);
  std::uint64_t& counter(Where where);
  Slot oldest_moved();

  std::uint32_t queue_;
  Slab* slab_;
  Groups* groups_;
  bool fifo_;
  std::uint64_t owner_;
  std::uint64_t group_count_ = 0;     // of a FIFO queue
  std::unique_ptr<Tenants> tenants_;  // since the first message with a group; null in a FIFO queue
  SeqMap seqs_;
  std::uint64_t next_seq_ = 1;
  Counts counts_;
  Lane own_;                // of what has no tenant
  std::vector<Slot> late_;  // while loading: what has a group, or is not the last of the ready list
  Time ready_at_{};         // of the latest message that a command made visible, and how many there were then
  std::uint32_t ready_places_ = 0;
  DeadlineHeap<Slot> hidden_, behind_;
  // Retention: what was sent here is in the order of seq, so the first one left is the oldest. What was moved
  // here is in a heap that may still name messages that have gone.
  Seq first_own_{1};
  Seq floor_{1};
  std::vector<MovedIn> moved_in_;
  std::uint64_t moved_ = 0;  // of them still here
};

}  // namespace hr::queue
