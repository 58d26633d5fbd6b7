#include "queue/backlog.h"

#include "base/check.h"

#include <algorithm>
#include <iterator>
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
  return where == Where::kBehindDelayed || where == Where::kBehindLeased ? behind_ : hidden_;
}

// Its place among those that commands made visible in that millisecond.
std::uint32_t Backlog::next_place(Time at) {
  if (at != ready_at_) ready_places_ = 0;
  ready_at_ = at;
  return ready_places_++;
}

void Backlog::link(Slot slot, Where where) {
  Message& m = (*slab_)[slot];
  m.where = where;
  ++counter(where);
  if (where == Where::kReady) m.lease_ms = next_place(m.visible_at);
  const bool visible = is_visible(where);
  const bool tenant = has_tenant(slot);
  if (visible && !tenant) {
    own_.add(*slab_, slot);
  } else if (!visible && where != Where::kBehind) {
    heap_of(where).push(SlotOrder{*slab_}, m.visible_at, slot);
  }
  if (tenant) tenants_->linked(m.group_next, slot, where);
}

void Backlog::unlink(Slot slot) {
  Message& m = (*slab_)[slot];
  --counter(m.where);
  const bool visible = is_visible(m.where);
  const bool tenant = has_tenant(slot);
  if (visible && !tenant) {
    own_.remove(*slab_, slot);
  } else if (!visible && m.where != Where::kBehind) {
    heap_of(m.where).remove(SlotOrder{*slab_}, m.prev);
  }
  if (tenant) tenants_->unlinked(m.group_next, slot, m.where);
  m.where = Where::kNowhere;
}

bool Backlog::is_first(Slot slot) const { return !fifo_ || (*groups_)[(*slab_)[slot].group].first == slot; }

GroupKey Backlog::group_of(Slot slot) const {
  const Message& m = (*slab_)[slot];
  if (fifo_) return (*groups_)[m.group].key;
  return has_tenant(slot) ? (*groups_)[m.group_next].key : GroupKey::kNone;
}

Slot Backlog::follower(Slot slot, Time now) const {
  if (!fifo_) return kNoSlot;
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

void Backlog::join_group(Slot slot, GroupKey group) {
  Message& m = (*slab_)[slot];
  if (fifo_) return join(slot, group);
  m.group = queue_;
  m.group_next = kNoTenant;
  if (group == GroupKey::kNone) return;
  if (tenants_ == nullptr) tenants_ = std::make_unique<Tenants>(*slab_, *groups_, owner_);
  m.group_next = tenants_->join(group, m.sent);
}

void Backlog::add(Slot slot, GroupKey group, Time now) {
  Message& m = (*slab_)[slot];
  m.seq = Seq{next_seq_++};
  seqs_.add(m.seq, slot);
  if (m.moved) note_moved(m);
  join_group(slot, group);
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

// What has no group stands in its place at once, if it comes in the order of the turns: nearly all do.
bool Backlog::load(Slot slot, GroupKey group) {
  Message& m = (*slab_)[slot];
  if (!seqs_.load(m.seq, slot)) return false;
  next_seq_ = std::max(next_seq_, static_cast<std::uint64_t>(m.seq) + 1);
  if (m.moved) note_moved(m);
  if (group != GroupKey::kNone) return true;
  if (fifo_ || m.where == Where::kNowhere || m.where >= Where::kBehind) return false;
  m.group = queue_;
  m.group_next = kNoTenant;
  if (m.where != Where::kReady) {
    link(slot, m.where);
  } else if (m.visible_at < ready_at_ || (m.visible_at == ready_at_ && m.lease_ms < ready_places_)) {
    late_.push_back(slot);
  } else {
    ready_at_ = m.visible_at;
    ready_places_ = m.lease_ms + 1;
    ++counts_.visible;
    own_.add(*slab_, slot);
  }
  return true;
}

void Backlog::load_group(Slot slot, GroupKey group) {
  join_group(slot, group);
  late_.push_back(slot);
}

// As what it was, in the place among those of its millisecond that it had: those before it may be gone.
void Backlog::link_ready(Slot slot) {
  const Message& m = (*slab_)[slot];
  ready_at_ = m.visible_at;
  ready_places_ = m.lease_ms;
  link(slot, Where::kReady);
}

// Some came late: the ready list is made again, of them and of those that are in it.
void Backlog::relink_ready(std::vector<Slot> ready) {
  const std::size_t late = ready.size();
  for (Slot slot = own_.first(); slot != kNoSlot; slot = (*slab_)[slot].next) ready.push_back(slot);
  counts_.visible -= ready.size() - late;
  own_.clear_ready();
  std::ranges::sort(ready, {},
                    [&](Slot slot) { return std::pair((*slab_)[slot].visible_at, (*slab_)[slot].lease_ms); });
  for (const Slot slot : ready) link_ready(slot);
}

bool Backlog::loaded(Seq next_seq) {
  if (static_cast<std::uint64_t>(next_seq) < next_seq_) return false;
  next_seq_ = static_cast<std::uint64_t>(next_seq);
  std::vector<Slot> ready;
  for (const Slot slot : std::exchange(late_, {})) {
    const Where where = (*slab_)[slot].where;
    if (where == Where::kNowhere || is_first(slot) != (where < Where::kBehind)) return false;
    if (where == Where::kReady) {
      ready.push_back(slot);
    } else {
      link(slot, where);
    }
  }
  if (!ready.empty()) relink_ready(std::move(ready));
  return true;
}

void Backlog::release(Slot slot, Time now) {
  slab_->touch(slot);
  unlink(slot);
  if (fifo_) leave(slot, now);
  if (has_tenant(slot)) tenants_->leave((*slab_)[slot].group_next);
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
  if (has_tenant(slot)) tenants_->look((*slab_)[slot].group_next);
}

void Backlog::judge(Slot slot, std::size_t noisy_inflight, Time now) const {
  if (has_tenant(slot)) tenants_->judge((*slab_)[slot].group_next, counts_.in_flight, noisy_inflight, now);
}

void Backlog::processed(Slot slot, Time now) const {
  const Message& m = (*slab_)[slot];
  if (tenants_ == nullptr || m.where != Where::kLeased) return;
  tenants_->spent(group_of(slot), now - (m.visible_at - Duration(m.lease_ms)), now);
}

Slot Backlog::peek(Time now) const {
  Slot best = own_.head(*slab_);
  const auto consider = [&](Slot slot) {
    if (slot == kNoSlot) return;
    if (best == kNoSlot || turn_of((*slab_)[slot]) < turn_of((*slab_)[best])) best = slot;
  };
  const Slot hidden = hidden_.empty() || hidden_.top().due > now ? kNoSlot : hidden_.top().item;
  if (tenants_ == nullptr) return consider(hidden), best;
  consider(tenants_->quiet_head());
  if (hidden != kNoSlot && !(has_tenant(hidden) && tenants_->noisy((*slab_)[hidden].group_next))) {
    consider(hidden);
  }
  if (best == kNoSlot) best = tenants_->noisy_head();
  return best == kNoSlot ? hidden : best;
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
  own_.clear();
  hidden_.clear();
  behind_.clear();
  group_count_ = 0;
  tenants_.reset();
  owner_ = groups_->new_owner(queue_);  // the groups go with their last messages
  counts_ = {};
  std::vector<MovedIn>().swap(moved_in_);
  moved_ = 0;
  first_own_ = floor_ = Seq{next_seq_};
  return std::move(seqs_);
}

std::vector<Slot> Backlog::in_order() const {
  std::vector<Slot> slots;
  slots.reserve(seqs_.size());
  std::vector<const Lane*> lanes = {&own_};
  if (tenants_ != nullptr) std::ranges::copy(tenants_->lanes(), std::back_inserter(lanes));
  for (const Lane* lane : lanes) {
    for (Slot s = lane->first(); s != kNoSlot; s = (*slab_)[s].next) slots.push_back(s);
  }
  std::ranges::sort(slots, {}, [&](Slot slot) { return turn_of((*slab_)[slot]); });
  const auto sorted_from = static_cast<std::ptrdiff_t>(slots.size());
  const auto add = [&](const DeadlineHeap<Slot>& heap) {
    for (const auto& entry : heap.entries()) slots.push_back(entry.item);
  };
  for (const Lane* lane : lanes) add(lane->due());
  add(hidden_), add(behind_);
  for (auto seq = fifo_ ? seqs_.at_or_after(Seq{1}) : std::nullopt; seq;
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
  std::vector<const DeadlineHeap<Slot>*> heaps = {&own_.due(), &hidden_, &behind_};
  if (tenants_ != nullptr) {
    for (const Lane* lane : tenants_->lanes()) heaps.push_back(&lane->due());
  }
  for (const auto* heap : heaps) {
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
  if (fifo_) return audit_groups();
  return tenants_ == nullptr ? nullptr : tenants_->audit();
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
