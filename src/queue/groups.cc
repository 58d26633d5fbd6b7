#include "queue/groups.h"

#include "base/check.h"

#include <utility>

namespace hr::queue {

std::uint64_t Groups::hash_of(std::uint64_t owner, GroupKey key) {
  std::uint64_t h = static_cast<std::uint64_t>(key) + owner * 0x9E3779B97F4A7C15;
  h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9;  // SplitMix64's finish
  h = (h ^ (h >> 27)) * 0x94D049BB133111EB;
  return h ^ (h >> 31);
}

void Groups::insert(Part& part, GroupIndex index) {
  const std::size_t mask = part.table.size() - 1;
  const Group& g = (*this)[index];
  std::size_t at = hash_of(g.owner, g.key) & mask;
  while (part.table[at] != kNone) at = (at + 1) & mask;
  part.table[at] = index;
}

void Groups::grow(Part& part) {
  std::vector<GroupIndex> old = std::exchange(
      part.table, std::vector<GroupIndex>(part.table.empty() ? 4 : part.table.size() * 2, kNone));
  for (const GroupIndex index : old) {
    if (index != kNone) insert(part, index);
  }
}

GroupIndex Groups::join(std::uint64_t owner, GroupKey key) {
  const std::uint64_t hash = hash_of(owner, key);
  Part& part = part_of(hash);
  if (!part.table.empty()) {
    const std::size_t mask = part.table.size() - 1;
    for (std::size_t at = hash & mask; part.table[at] != kNone; at = (at + 1) & mask) {
      Group& g = (*this)[part.table[at]];
      if (g.owner != owner || g.key != key) continue;
      ++g.messages;
      return part.table[at];
    }
  }
  if ((part.used + 1) * 4 > part.table.size() * 3) grow(part);
  if (free_ == kNone) {
    chunks_.push_back(std::make_unique<Chunk>());
    const auto base = static_cast<GroupIndex>((chunks_.size() - 1) * kChunk);
    for (GroupIndex i = kChunk; i > 0; --i) {
      (*chunks_.back())[i - 1].next_free = free_;
      free_ = base + i - 1;
    }
  }
  const GroupIndex index = free_;
  Group& g = (*this)[index];
  free_ = g.next_free;
  g = {.key = key, .owner = owner, .messages = 1};
  insert(part, index);
  ++part.used;
  ++used_;
  return index;
}

// Backward shift: what stands behind the hole, and not where it belongs, moves up.
void Groups::remove(GroupIndex index) {
  const auto hash_at = [&](GroupIndex i) { return hash_of((*this)[i].owner, (*this)[i].key); };
  Part& part = part_of(hash_at(index));
  const std::size_t mask = part.table.size() - 1;
  std::size_t hole = hash_at(index) & mask;
  while (part.table[hole] != index) {
    HR_CHECK(part.table[hole] != kNone);
    hole = (hole + 1) & mask;
  }
  for (std::size_t at = (hole + 1) & mask; part.table[at] != kNone; at = (at + 1) & mask) {
    const std::size_t home = hash_at(part.table[at]) & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    part.table[hole] = part.table[at];
    hole = at;
  }
  part.table[hole] = kNone;
  if (--part.used == 0) std::vector<GroupIndex>().swap(part.table);
}

bool Groups::leave(GroupIndex index) {
  Group& g = (*this)[index];
  HR_CHECK(g.messages > 0);
  if (--g.messages > 0) return true;
  remove(index);
  g.next_free = free_;
  free_ = index;
  if (--used_ > 0) return false;
  std::vector<std::unique_ptr<Chunk>>().swap(chunks_);
  free_ = kNone;
  return false;
}

std::uint64_t Groups::bytes() const {
  std::uint64_t bytes = chunks_.size() * sizeof(Chunk) + parts_.size() * sizeof(Part);
  for (const Part& part : parts_) bytes += part.table.capacity() * sizeof(GroupIndex);
  return bytes;
}

}  // namespace hr::queue
