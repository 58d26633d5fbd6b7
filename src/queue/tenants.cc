#include "queue/tenants.h"

#include "base/check.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace hr::queue {

// --- processing time ---

void ProcessingTime::roll(Time now) {
  const std::int64_t number = now.time_since_epoch() / kNoisyFor;
  if (number == number_) return;
  before_ = number == number_ + 1 ? std::move(latest_) : Window{};
  latest_ = {};
  number_ = number;
}

// A new key takes the place of the smallest share, and its time with it.
void ProcessingTime::add(GroupKey key, Duration spent, Time now) {
  roll(now);
  latest_.total_ms += spent.count();
  if (key == GroupKey::kNone) return;
  auto& shares = latest_.shares;
  auto share = std::ranges::find(shares, key, &Share::key);
  if (share == shares.end() && shares.size() < kSharesKept) {
    share = shares.insert(share, Share{key});
  } else if (share == shares.end()) {
    share = std::ranges::min_element(shares, {}, &Share::ms);
    share->key = key;
  }
  share->ms += spent.count();
}

std::int64_t ProcessingTime::of(const Window& window, GroupKey key) {
  const auto share = std::ranges::find(window.shares, key, &Share::key);
  return share == window.shares.end() ? 0 : share->ms;
}

bool ProcessingTime::above_tenth(GroupKey key, Time now) {
  roll(now);
  return 10 * (of(latest_, key) + of(before_, key)) > latest_.total_ms + before_.total_ms;
}

// --- tenants ---

std::pair<bool, std::uint64_t> Tenants::TurnOrder::rank(Index index) const {
  const Slab& slab = *tenants.slab_;
  const Turn turn = turn_of(slab[tenants.tenants_[index].lane.head(slab)]);
  return {turn.by_command, turn.order};
}

GroupIndex Tenants::join(GroupKey key, Time sent) {
  const GroupIndex group = groups_->join(owner_, key);
  if ((*groups_)[group].messages == 1) {
    if (free_ == kNone) {
      free_ = static_cast<Index>(tenants_.size());
      tenants_.emplace_back();
    }
    const Index index = free_;
    free_ = tenants_[index].next_free;
    tenants_[index] = Tenant{.group = group, .lane = {}, .used = true};
    (*groups_)[group].first = index;
    ++used_;
  }
  Tenant& tenant = at(group);
  tenant.last_sent = std::max(tenant.last_sent, sent);
  return group;
}

void Tenants::leave(GroupIndex group) {
  const Index index = (*groups_)[group].first;
  look(group);
  if (groups_->leave(group)) return;
  HR_CHECK(tenants_[index].lane.empty() && !tenants_[index].placed);
  tenants_[index] = Tenant{.group = 0, .lane = {}, .next_free = free_};
  free_ = index;
  if (--used_ > 0) return;
  std::deque<Tenant>().swap(tenants_);
  quiet_.clear();
  free_ = kNone;
}

// Before any other tenant is looked at: the heap compares heads.
void Tenants::place(Index index) {
  Tenant& tenant = tenants_[index];
  const bool wanted = !tenant.noisy && !tenant.lane.empty();
  const TurnOrder order{*this};
  if (wanted) {
    const Time due = (*slab_)[tenant.lane.head(*slab_)].visible_at;
    if (tenant.placed) {
      quiet_.change(order, tenant.position, due);
    } else {
      quiet_.push(order, due, index);
    }
  } else if (tenant.placed) {
    quiet_.remove(order, tenant.position);
  }
  tenant.placed = wanted;
}

void Tenants::linked(GroupIndex group, Slot slot, Where where) {
  Tenant& tenant = at(group);
  ++(where == Where::kLeased ? tenant.in_flight : tenant.waiting);
  if (!is_visible(where)) return;
  tenant.lane.add(*slab_, slot);
  place((*groups_)[group].first);
}

void Tenants::unlinked(GroupIndex group, Slot slot, Where where) {
  Tenant& tenant = at(group);
  --(where == Where::kLeased ? tenant.in_flight : tenant.waiting);
  if (!is_visible(where)) return;
  // Out of the heap first, while its head is what it stands under.
  const Index index = (*groups_)[group].first;
  if (tenant.placed) quiet_.remove(TurnOrder{*this}, tenant.position);
  tenant.placed = false;
  tenant.lane.remove(*slab_, slot);
  place(index);
}

void Tenants::look(GroupIndex group) {
  const Tenant& tenant = at(group);
  if (tenant.noisy && tenant.waiting == 0) quiet((*groups_)[group].first);
}

void Tenants::quiet(Index index) {
  std::erase(noisy_, index);
  tenants_[index].noisy = false;
  place(index);
}

Slot Tenants::quiet_head() const {
  return quiet_.empty() ? kNoSlot : tenants_[quiet_.top().item].lane.head(*slab_);
}

Slot Tenants::noisy_head() const {
  Slot best = kNoSlot;
  std::uint32_t fewest = 0;
  for (const Index index : noisy_) {
    const Tenant& tenant = tenants_[index];
    const Slot head = tenant.lane.head(*slab_);
    if (head == kNoSlot) continue;
    const auto key = [&](std::uint32_t in_flight, Slot slot) {
      return std::pair(in_flight, turn_of((*slab_)[slot]));
    };
    if (best != kNoSlot && key(fewest, best) < key(tenant.in_flight, head)) continue;
    best = head;
    fewest = tenant.in_flight;
  }
  return best;
}

void Tenants::judge(GroupIndex group, std::uint64_t in_flight, std::size_t noisy_inflight, Time now) {
  const Index index = (*groups_)[group].first;
  Tenant& tenant = tenants_[index];
  if (tenant.noisy || tenant.waiting == 0 || tenant.last_sent + kNoisyFor <= now) return;
  const bool many = tenant.in_flight >= noisy_inflight && std::uint64_t{10} * tenant.in_flight > in_flight;
  if (!many && !processing_.above_tenth((*groups_)[group].key, now)) return;
  if (noisy_.size() >= kNoisyMax) return;
  tenant.noisy = true;
  noisy_.push_back(index);
  place(index);
}

void Tenants::hush(Time now) {
  for (std::size_t i = 0; i < noisy_.size();) {
    if (tenants_[noisy_[i]].last_sent + kNoisyFor <= now) {
      quiet(noisy_[i]);
    } else {
      ++i;
    }
  }
}

std::vector<const Lane*> Tenants::lanes() const {
  std::vector<const Lane*> out;
  for (const Tenant& tenant : tenants_) {
    if (tenant.used) out.push_back(&tenant.lane);
  }
  return out;
}

const char* Tenants::audit() const {
  std::uint64_t used = 0, placed = 0;
  for (Index index = 0; index < tenants_.size(); ++index) {
    const Tenant& tenant = tenants_[index];
    if (!tenant.used) continue;
    ++used;
    const Group& group = (*groups_)[tenant.group];
    if (group.owner != owner_ || group.first != index) return "a tenant of another queue";
    if (group.messages != tenant.in_flight + tenant.waiting) return "the messages of a tenant";
    if (tenant.placed != (!tenant.noisy && !tenant.lane.empty())) return "a tenant's place among the quiet";
    if (tenant.noisy != (std::ranges::find(noisy_, index) != noisy_.end())) return "a noisy tenant";
    if (tenant.noisy && tenant.waiting == 0) return "a noisy tenant that waits for nothing";
    if (!tenant.placed) continue;
    ++placed;
    if (quiet_.entries()[tenant.position].item != index) return "a tenant does not know its place";
  }
  for (std::size_t i = 1; i < quiet_.size(); ++i) {
    const auto head = [&](std::size_t n) {
      return turn_of((*slab_)[tenants_[quiet_.entries()[n].item].lane.head(*slab_)]);
    };
    if (head(i) < head((i - 1) / 4)) return "tenants out of order";
  }
  if (placed != quiet_.size() || used != used_ || noisy_.size() > kNoisyMax) return "the number of tenants";
  return nullptr;
}

}  // namespace hr::queue
