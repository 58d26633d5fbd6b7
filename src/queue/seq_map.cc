#include "queue/seq_map.h"

#include "base/check.h"

#include <algorithm>
#include <utility>

namespace hr::queue {

SeqMap& SeqMap::operator=(SeqMap&& other) noexcept {
  nodes_ = std::move(other.nodes_);
  other.nodes_.clear();
  base_ = std::exchange(other.base_, 0);
  gone_ = std::exchange(other.gone_, 0);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

const SeqMap::Node* SeqMap::node_of(std::uint64_t seq) const {
  const std::uint64_t number = seq / (kFan * kFan);
  if (number < base_ || number - base_ >= nodes_.size()) return nullptr;
  return nodes_[number - base_].get();
}

Slot SeqMap::find(Seq key) const {
  const auto seq = static_cast<std::uint64_t>(key);
  const Node* node = node_of(seq);
  if (node == nullptr) return kNoSlot;
  const Leaf* leaf = node->leaves[seq / kFan % kFan].get();
  return leaf == nullptr ? kNoSlot : (*leaf)[seq % kFan];
}

void SeqMap::add(Seq key, Slot slot) {
  const auto seq = static_cast<std::uint64_t>(key);
  const std::uint64_t number = seq / (kFan * kFan);
  if (nodes_.empty()) {
    base_ = number;
    gone_ = 0;
  }
  HR_CHECK(number >= base_ + (nodes_.empty() ? 0 : nodes_.size() - 1));
  while (number - base_ >= nodes_.size()) nodes_.emplace_back();
  HR_CHECK(put(nodes_[number - base_], seq, slot));
}

void SeqMap::make_node(std::uint64_t number) {
  if (nodes_.empty()) base_ = number;
  if (number < base_) {
    std::vector<std::unique_ptr<Node>> wider(nodes_.size() + (base_ - number));
    std::ranges::move(nodes_, wider.begin() + static_cast<std::ptrdiff_t>(base_ - number));
    nodes_ = std::move(wider);
    base_ = number;
  }
  if (number - base_ >= nodes_.size()) nodes_.resize(number - base_ + 1);
}

void SeqMap::erase(Seq key) {
  const auto seq = static_cast<std::uint64_t>(key);
  HR_CHECK(find(key) != kNoSlot);
  auto& node = nodes_[seq / (kFan * kFan) - base_];
  auto& leaf = node->leaves[seq / kFan % kFan];
  (*leaf)[seq % kFan] = kNoSlot;
  --size_;
  if (--node->numbers[seq / kFan % kFan] != 0) return;
  leaf.reset();
  if (--node->used != 0) return;
  node.reset();
  trim();
}

// Drops empty nodes at the front, copying the directory only when half of it is gone.
void SeqMap::trim() {
  if (size_ == 0) {
    nodes_.clear();
    nodes_.shrink_to_fit();
    return;
  }
  while (nodes_[gone_] == nullptr) ++gone_;
  if (gone_ * 2 < nodes_.size()) return;
  nodes_.erase(nodes_.begin(), nodes_.begin() + static_cast<std::ptrdiff_t>(gone_));
  base_ += gone_;
  gone_ = 0;
}

std::optional<Seq> SeqMap::at_or_after(Seq key) const {
  if (size_ == 0) return std::nullopt;
  auto seq = std::max(static_cast<std::uint64_t>(key), (base_ + gone_) * kFan * kFan);
  while (seq / (kFan * kFan) - base_ < nodes_.size()) {
    const Node* node = node_of(seq);
    if (node == nullptr) {
      seq = (seq / (kFan * kFan) + 1) * kFan * kFan;
      continue;
    }
    const Leaf* leaf = node->leaves[seq / kFan % kFan].get();
    if (leaf == nullptr) {
      seq = (seq / kFan + 1) * kFan;
      continue;
    }
    if ((*leaf)[seq % kFan] != kNoSlot) return Seq{seq};
    ++seq;
  }
  return std::nullopt;
}

}  // namespace hr::queue
