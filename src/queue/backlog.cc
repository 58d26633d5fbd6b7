#include "queue/backlog.h"

#include "base/check.h"

#include <algorithm>
#include <utility>

namespace hr::queue {
namespace {

constexpr auto kLater = [](const auto& a, const auto& b) {
  return a.sent != b.sent ? a.sent > b.sent : a.seq > b.seq;
};

}  // namespace

std::uint64_t& Backlog::counter(Where where) {
  HR_CHECK(where != Where::kNowhere);
  if (where == Where::kLeased || where == Where::kBehindLeased) return counts_.in_flight;
  return where == Where::kDelayed || where == Where::kBehindDelayed ? counts_.delayed : counts_.visible;
}

DeadlineHeap<Slot>& Backlog::heap_of(Where where) {
  if (where == Where::kBehindDelayed || where == Where::kBehindLeased) return behind_;
  return where == Where::kDue ? due_ : hidden_;
}

void Backlog::link(Slot slot, Where where) {
  Message& m = (*slab_)[slot];
  m.where = where;
  ++counter(where);
  if (where == Where::kReady) {
    const Message* const last = ready_last_ == kNoSlot ? nullptr : &(*slab_)[ready_last_];
    m.lease_ms = last != nullptr && last->visible_at == m.visible_at ? last->lease_ms + 1 : 0;
    m.prev = ready_last_;
    m.next = kNoSlot;
    (ready_last_ == kNoSlot ? ready_first_ : (*slab_)[ready_last_].next) = slot;
    ready_last_ = slot;
  } else if (where != Where::kBehind) {
    heap_of(where).push(Order{*slab_}, m.visible_at, slot);
  }
}

void Backlog::unlink(Slot slot) {
  Message& m = (*slab_)[slot];
  --counter(m.where);
  if (m.where == Where::kReady) {
    (m.prev == kNoSlot ? ready_first_ : (*slab_)[m.prev].next) = m.next;
    (m.next == kNoSlot ? ready_last_ : (*slab_)[m.next].prev) = m.prev;
  } else if (m.where != Where::kBehind) {
    heap_of(m.where).remove(Order{*slab_}, m.prev);
  }
  m.where = Where::kNowhere;
}

bool Backlog::is_first(Slot slot) const {
  return groups_ == nullptr || (*groups_)[(*slab_)[slot].group].first == slot;
}

GroupKey Backlog::group_of(Slot slot) const {
  return groups_ == nullptr ? GroupKey::kNone : (*groups_)[(*slab_)[slot].group].key;
}

Slot Backlog::follower(Slot slot, Time now) const {
  if (groups_ == nullptr) return kNoSlot;
  const Slot next = (*slab_)[slot].group_next;
  return next != kNoSlot && (*slab_)[next].visible_at <= now ? next : kNoSlot;
}

// The first of its group now.
void Backlog::promote(Slot slot, Time now) {
  slab_->touch(slot);
  Message& m = (*slab_)[slot];
  const bool leased = m.where == Where::kBehindLeased;
  unlink(slot);
  if (m.visible_at <= now) {
    m.visible_at = now;
    link(slot, Where::kReady);
  } else {
    link(slot, leased ? Where::kLeased : Where::kDelayed);
  }
}

void Backlog::join(Slot slot, GroupKey key) {
  Message& m = (*slab_)[slot];
  m.group = groups_->join(owner_, key);
  m.group_next = kNoSlot;
  Group& group = (*groups_)[m.group];
  if (group.last == kNoSlot) ++group_count_;
  m.next = group.last;
  (group.last == kNoSlot ? group.first : (*slab_)[group.last].group_next) = slot;
  group.last = slot;
}

void Backlog::leave(Slot slot, Time now) {
  const Message& m = (*slab_)[slot];
  Group& group = (*groups_)[m.group];
  const bool first = group.first == slot;
  const Slot before = first ? kNoSlot : m.next;
  (first ? group.first : (*slab_)[before].group_next) = m.group_next;
  if (group.last == slot) {
    group.last = before;
  } else if (!first) {
    (*slab_)[m.group_next].next = before;
  }
  if (!groups_->leave(m.group)) {
    --group_count_;
  } else if (first) {
    promote(group.first, now);
  }
}

void Backlog::add(Slot slot, GroupKey group, Time now) {
  Message& m = (*slab_)[slot];
  m.seq = Seq{next_seq_++};
  seqs_.add(m.seq, slot);
  if (m.moved) note_moved(m);
  if (groups_ == nullptr) {
    m.group = queue_;
  } else {
    join(slot, group);
  }
  if (is_first(slot)) {
    link(slot, m.visible_at <= now ? Where::kReady : Where::kDelayed);
  } else {
    link(slot, m.visible_at <= now ? Where::kBehind : Where::kBehindDelayed);
  }
}

void Backlog::note_moved(const Message& m) {
  if (moved_in_.size() > 2 * moved_ + 64) {
    std::erase_if(moved_in_, [&](const MovedIn& in) { return seqs_.find(in.seq) == kNoSlot; });
    std::make_heap(moved_in_.begin(), moved_in_.end(), kLater);
  }
  moved_in_.push_back({m.sent, m.seq});
  std::push_heap(moved_in_.begin(), moved_in_.end(), kLater);
  ++moved_;
}

bool Backlog::load(Slot slot, GroupKey group) {
  Message& m = (*slab_)[slot];
  if (static_cast<std::uint64_t>(m.seq) < next_seq_) return false;  // ascending, each once
  next_seq_ = static_cast<std::uint64_t>(m.seq) + 1;
  seqs_.add(m.seq, slot);
  if (m.moved) note_moved(m);
  if (groups_ == nullptr) {
    m.group = queue_;
  } else {
    join(slot, group);
  }
  return true;
}

bool Backlog::loaded(Seq next_seq) {
  if (static_cast<std::uint64_t>(next_seq) < next_seq_) return false;
  next_seq_ = static_cast<std::uint64_t>(next_seq);
  std::vector<Slot> ready;
  for (auto seq = seqs_.at_or_after(Seq{1}); seq;
       seq = seqs_.at_or_after(Seq{static_cast<std::uint64_t>(*seq) + 1})) {
    const Slot slot = seqs_.find(*seq);
    const Where where = (*slab_)[slot].where;
    if (where == Where::kNowhere || is_first(slot) != (where < Where::kBehind)) return false;
    if (where == Where::kReady) {
      ready.push_back(slot);
    } else {
      link(slot, where);
    }
  }
  std::ranges::sort(ready, {},
                    [&](Slot slot) { return std::pair((*slab_)[slot].visible_at, (*slab_)[slot].lease_ms); });
  for (const Slot slot : ready) {
    const std::uint32_t place = (*slab_)[slot].lease_ms;  // those before it may be gone
    link(slot, Where::kReady);
    (*slab_)[slot].lease_ms = place;
  }
  return true;
}

void Backlog::release(Slot slot, Time now) {
  slab_->touch(slot);
  unlink(slot);
  if (groups_ != nullptr) leave(slot, now);
  seqs_.erase((*slab_)[slot].seq);
  if ((*slab_)[slot].moved) --moved_;
}

void Backlog::hide(Slot slot, Time visible_at, Time now) {
  slab_->touch(slot);
  unlink(slot);
  (*slab_)[slot].visible_at = visible_at;
  if (is_first(slot)) {
    link(slot, visible_at <= now ? Where::kReady : Where::kLeased);
  } else {
    link(slot, visible_at <= now ? Where::kBehind : Where::kBehindLeased);
  }
}

Slot Backlog::peek(Time now) const {
  Slot best = ready_first_;
  const auto consider = [&](const DeadlineHeap<Slot>& heap) {
    if (heap.empty() || heap.top().due > now) return;
    const Slot slot = heap.top().item;
    // At the same moment: what was hidden before what a command made visible; among the hidden, by seq.
    const auto key = [&](Slot s) {
      const Message& m = (*slab_)[s];
      return std::tuple(m.visible_at, m.where == Where::kReady, m.seq);
    };
    if (best == kNoSlot || key(slot) < key(best)) best = slot;
  };
  consider(due_);
  consider(hidden_);
  return best;
}

void Backlog::settle(Time now, std::size_t& budget) {
  while (budget > 0 && !hidden_.empty() && hidden_.top().due <= now) {
    const Slot slot = hidden_.top().item;
    unlink(slot);
    link(slot, Where::kDue);
    --budget;
  }
  while (budget > 0 && !behind_.empty() && behind_.top().due <= now) {
    const Slot slot = behind_.top().item;
    unlink(slot);
    link(slot, Where::kBehind);
    --budget;
  }
}

Time Backlog::next_visible() const {
  const Time first = hidden_.empty() ? Time::max() : hidden_.top().due;
  return behind_.empty() ? first : std::min(first, behind_.top().due);
}

Slot Backlog::oldest_moved() {
  while (!moved_in_.empty() && seqs_.find(moved_in_.front().seq) == kNoSlot) {
    std::pop_heap(moved_in_.begin(), moved_in_.end(), kLater);
    moved_in_.pop_back();
  }
  return moved_in_.empty() ? kNoSlot : seqs_.find(moved_in_.front().seq);
}

Slot Backlog::oldest() {
  const Slot moved = oldest_moved();
  if (seqs_.size() == moved_) return moved;
  Slot own = seqs_.find(first_own_);
  while (own == kNoSlot || (*slab_)[own].moved) {
    first_own_ = *seqs_.at_or_after(Seq{static_cast<std::uint64_t>(first_own_) + 1});
    own = seqs_.find(first_own_);
  }
  return moved == kNoSlot || (*slab_)[own].sent <= (*slab_)[moved].sent ? own : moved;
}

SeqMap Backlog::clear() {
  ready_first_ = ready_last_ = kNoSlot;
  hidden_.clear();
  due_.clear();
  behind_.clear();
  group_count_ = 0;
  if (groups_ != nullptr) owner_ = groups_->new_owner(queue_);  // the groups go with their last messages
  counts_ = {};
  std::vector<MovedIn>().swap(moved_in_);
  moved_ = 0;
  first_own_ = floor_ = Seq{next_seq_};
  return std::move(seqs_);
}

std::vector<Slot> Backlog::in_order() const {
  std::vector<Slot> slots;
  slots.reserve(seqs_.size());
  for (Slot s = ready_first_; s != kNoSlot; s = (*slab_)[s].next) slots.push_back(s);
  const auto sorted_from = static_cast<std::ptrdiff_t>(slots.size());
  for (const auto* heap : {&due_, &hidden_, &behind_}) {
    for (const auto& entry : heap->entries()) slots.push_back(entry.item);
  }
  for (auto seq = groups_ == nullptr ? std::nullopt : seqs_.at_or_after(Seq{1}); seq;
       seq = seqs_.at_or_after(Seq{static_cast<std::uint64_t>(*seq) + 1})) {
    const Slot slot = seqs_.find(*seq);
    if ((*slab_)[slot].where == Where::kBehind) slots.push_back(slot);
  }
  std::sort(slots.begin() + sorted_from, slots.end(), [&](Slot a, Slot b) {
    const Message &x = (*slab_)[a], &y = (*slab_)[b];
    return x.visible_at != y.visible_at ? x.visible_at < y.visible_at : x.seq < y.seq;
  });
  return slots;
}

const char* Backlog::audit() const {
  Counts recount;
  std::uint64_t moved = 0;
  const std::vector<Slot> slots = in_order();
  for (const Slot slot : slots) {
    const Message& m = (*slab_)[slot];
    if (seqs_.find(m.seq) != slot) return "a message is not found by its number";
    if (static_cast<std::uint64_t>(m.seq) >= next_seq_) return "a message's number was not given out";
    if (m.where == Where::kNowhere) return "a message stands nowhere";
    const bool leased = m.where == Where::kLeased || m.where == Where::kBehindLeased;
    const bool delayed = m.where == Where::kDelayed || m.where == Where::kBehindDelayed;
    ++(leased ? recount.in_flight : delayed ? recount.delayed : recount.visible);
    if (leased && m.receive_count == 0) return "a lease without a receive";
    if (m.moved) ++moved;
  }
  for (const auto* heap : {&due_, &hidden_, &behind_}) {
    for (std::size_t i = 0; i < heap->size(); ++i) {
      const auto& entry = heap->entries()[i];
      if ((*slab_)[entry.item].prev != i) return "a message does not know its place";
      if ((*slab_)[entry.item].visible_at != entry.due) return "a message stands under another time";
      if (i > 0 && heap->entries()[(i - 1) / 4].due > entry.due) return "deadlines out of order";
    }
  }
  if (slots.size() != seqs_.size()) return "messages without a place";
  if (!(recount == counts_)) return "visible, in flight, delayed";
  if (moved != moved_) return "messages moved in";
  return groups_ == nullptr ? nullptr : audit_groups();
}

// Every group from its first message to its last: together they are all there are.
const char* Backlog::audit_groups() const {
  std::uint64_t walked = 0, groups = 0;
  for (const Slot first : in_order()) {
    if (!is_first(first)) continue;
    const Group& group = (*groups_)[(*slab_)[first].group];
    if (group.owner != owner_) return "a group of another queue";
    std::uint32_t messages = 0;
    Slot before = kNoSlot;
    for (Slot slot = first; slot != kNoSlot; before = slot, slot = (*slab_)[slot].group_next) {
      const Message& m = (*slab_)[slot];
      if (m.group != (*slab_)[first].group) return "a message in another's group";
      if ((m.where >= Where::kBehind) != (slot != first))
        return "the first of a group, and what is behind it";
      if (slot != first && (m.next != before || m.seq <= (*slab_)[before].seq)) return "a group out of order";
      if (++messages > group.messages) break;
    }
    if (messages != group.messages || group.last != before) return "the messages of a group";
    walked += messages;
    ++groups;
  }
  if (groups != group_count_) return "the number of groups";
  return walked == seqs_.size() ? nullptr : "messages without a group";
}

}  // namespace hr::queue
