// Message groups of FIFO queues: for each (owner, key) the messages of that group, first to last, as a list
// that the backlog keeps. One table for all queues, in 1,024 parts that grow one at a time, so that no step
// pays for all of it. An owner is one life of one queue's contents: after a purge the queue has a new one,
// and the old groups end with the last of their messages. Its upper half is the queue's number.
#pragma once

#include "queue/queue.h"
#include "queue/slab.h"

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace hr::queue {

using GroupIndex = std::uint32_t;

// 32 bytes, and about 7 in the table.
struct Group {
  GroupKey key{};
  std::uint64_t owner = 0;
  Slot first = kNoSlot, last = kNoSlot;
  std::uint32_t messages = 0;
  std::uint32_t next_free = 0;
};

class Groups {
 public:
  Groups() = default;
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;

  std::uint64_t new_owner(std::uint32_t queue) { return std::uint64_t{queue} << 32 | ++owners_; }
  static std::uint32_t queue_of(std::uint64_t owner) { return static_cast<std::uint32_t>(owner >> 32); }
  // The group, made when it is not there, with one message more.
  GroupIndex join(std::uint64_t owner, GroupKey key);
  // One message less; without messages the group is gone, and the answer false.
  bool leave(GroupIndex index);
  Group& operator[](GroupIndex index) { return (*chunks_[index / kChunk])[index % kChunk]; }
  const Group& operator[](GroupIndex index) const { return (*chunks_[index / kChunk])[index % kChunk]; }

  GroupIndex end() const { return static_cast<GroupIndex>(chunks_.size() * kChunk); }
  std::uint64_t used() const { return used_; }
  std::uint64_t bytes() const;  // of memory held

 private:
  static constexpr GroupIndex kChunk = 1024;
  static constexpr GroupIndex kNone = UINT32_MAX;
  static constexpr std::size_t kParts = 1024;
  using Chunk = std::array<Group, kChunk>;
  struct Part {
    std::vector<GroupIndex> table;  // open addressing, linear; of a power of two, at most 3/4 full
    std::uint32_t used = 0;
  };

  Part& part_of(std::uint64_t hash) { return parts_[hash >> 54]; }
  static std::uint64_t hash_of(std::uint64_t owner, GroupKey key);
  void insert(Part& part, GroupIndex index);
  void grow(Part& part);
  void remove(GroupIndex index);

  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<Part> parts_ = std::vector<Part>(kParts);
  GroupIndex free_ = kNone;
  std::uint64_t used_ = 0;
  std::uint32_t owners_ = 0;
};

}  // namespace hr::queue
