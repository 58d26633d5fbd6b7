// From a message's number to its slot, for one queue. Numbers are added in ascending order and erased in any,
// so they are kept densely: leaves of 64 numbers below nodes of 64 leaves, freed as soon as they are empty. A
// number that stays behind while millions pass costs its leaf, its node and 8 bytes per 4,096 that passed.
#pragma once

#include "queue/slab.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace hr::queue {

class SeqMap {
 public:
  SeqMap() = default;
  SeqMap(SeqMap&& other) noexcept { *this = std::move(other); }
  SeqMap& operator=(SeqMap&& other) noexcept;  // leaves `other` empty

  Slot find(Seq seq) const;      // kNoSlot
  void add(Seq seq, Slot slot);  // `seq` above every one added before
  void erase(Seq seq);           // must be there
  // Into a map that add() and erase() have not seen yet: in any order. False: there is one of that number.
  bool load(Seq key, Slot slot) {
    const auto seq = static_cast<std::uint64_t>(key);
    const std::uint64_t number = seq / (kFan * kFan);
    if (number - base_ >= nodes_.size()) make_node(number);
    return put(nodes_[number - base_], seq, slot);
  }
  std::optional<Seq> at_or_after(Seq seq) const;
  std::uint64_t size() const { return size_; }

 private:
  static constexpr std::uint64_t kFan = 64;
  using Leaf = std::array<Slot, kFan>;
  struct Node {
    std::array<std::unique_ptr<Leaf>, kFan> leaves;
    std::array<std::uint8_t, kFan> numbers{};  // in each
    std::uint8_t used = 0;                     // leaves
  };

  const Node* node_of(std::uint64_t seq) const;
  void make_node(std::uint64_t number);
  bool put(std::unique_ptr<Node>& node, std::uint64_t seq, Slot slot) {
    if (node == nullptr) node = std::make_unique<Node>();
    auto& leaf = node->leaves[seq / kFan % kFan];
    if (leaf == nullptr) {
      leaf = std::make_unique<Leaf>();
      leaf->fill(kNoSlot);
      ++node->used;
    }
    if ((*leaf)[seq % kFan] != kNoSlot) return false;
    (*leaf)[seq % kFan] = slot;
    ++node->numbers[seq / kFan % kFan];
    ++size_;
    return true;
  }
  void trim();

  std::vector<std::unique_ptr<Node>> nodes_;  // of the numbers from base_ * kFan * kFan on
  std::uint64_t base_ = 0;
  std::uint64_t gone_ = 0;  // nodes at the front that are empty for good
  std::uint64_t size_ = 0;
};

}  // namespace hr::queue
