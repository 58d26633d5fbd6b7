// Visible messages in the order of their turns: those that a command made visible (appended to, so in order
// already) and those whose delay or lease ended (a heap). One for a queue, and in a queue with tenants one
// more for each of them. Links are in the messages themselves.
#pragma once

#include "queue/deadline_heap.h"
#include "queue/slab.h"

#include <compare>
#include <cstdint>
#include <utility>

namespace hr::queue {

// When a message's turn is: the earlier it became visible; at one moment what was hidden before what a
// command made visible; the hidden by number, the others in the order of the commands.
struct Turn {
  Time visible_at;
  bool by_command = false;
  std::uint64_t order = 0;

  auto operator<=>(const Turn&) const = default;
};

inline Turn turn_of(const Message& m) {
  const bool ready = m.where == Where::kReady;
  return {m.visible_at, ready, ready ? m.lease_ms : static_cast<std::uint64_t>(m.seq)};
}

// Of the heaps of slots: a message knows its position.
struct SlotOrder {
  Slab& slab;
  Seq rank(Slot slot) const { return slab[slot].seq; }
  void set_position(Slot slot, std::uint32_t position) const { slab[slot].prev = position; }
};

class Lane {
 public:
  bool empty() const { return first_ == kNoSlot && due_.empty(); }
  Slot first() const { return first_; }
  const DeadlineHeap<Slot>& due() const { return due_; }

  Slot head(const Slab& slab) const {  // or kNoSlot
    if (due_.empty()) return first_;
    const Slot due = due_.top().item;
    return first_ == kNoSlot || turn_of(slab[due]) < turn_of(slab[first_]) ? due : first_;
  }
  // By its `where`: kReady or kDue.
  void add(Slab& slab, Slot slot) {
    Message& m = slab[slot];
    if (m.where == Where::kDue) return due_.push(SlotOrder{slab}, m.visible_at, slot);
    m.prev = last_;
    m.next = kNoSlot;
    (last_ == kNoSlot ? first_ : slab[last_].next) = slot;
    last_ = slot;
  }
  void remove(Slab& slab, Slot slot) {
    const Message& m = slab[slot];
    if (m.where == Where::kDue) return due_.remove(SlotOrder{slab}, m.prev);
    (m.prev == kNoSlot ? first_ : slab[m.prev].next) = m.next;
    (m.next == kNoSlot ? last_ : slab[m.next].prev) = m.prev;
  }
  void clear_ready() { first_ = last_ = kNoSlot; }
  void clear() {
    clear_ready();
    due_.clear();
  }

 private:
  Slot first_ = kNoSlot, last_ = kNoSlot;
  DeadlineHeap<Slot> due_;
};

}  // namespace hr::queue
