#include "queue/slab.h"

#include "base/check.h"

namespace hr::queue {

Slot Slab::add_chunk() {
  Slot index;
  if (holes_.empty()) {
    HR_CHECK(chunks_.size() < kNoSlot / kChunk);
    index = static_cast<Slot>(chunks_.size());
    chunks_.emplace_back();
  } else {
    index = holes_.back();
    holes_.pop_back();
  }
  auto chunk = std::make_unique<Chunk>();
  for (Slot i = 0; i < kChunk; ++i) chunk->slots[i].next = i + 1;
  chunks_[index] = std::move(chunk);
  ++alive_;
  open(index);
  return index;
}

void Slab::open(Slot index) {
  Chunk& chunk = *chunks_[index];
  chunk.before = kNoSlot;
  chunk.after = open_;
  if (open_ != kNoSlot) chunks_[open_]->before = index;
  open_ = index;
}

void Slab::close(Slot index) {
  Chunk& chunk = *chunks_[index];
  if (chunk.before != kNoSlot) chunks_[chunk.before]->after = chunk.after;
  if (chunk.after != kNoSlot) chunks_[chunk.after]->before = chunk.before;
  if (open_ == index) open_ = chunk.after;
}

Slot Slab::take() {
  const Slot index = open_ != kNoSlot ? open_ : add_chunk();
  Chunk& chunk = *chunks_[index];
  const Slot i = chunk.free;
  chunk.free = chunk.slots[i].next;
  ++chunk.used;
  ++used_;
  if (chunk.free == kChunk) close(index);
  chunk.slots[i] = Message{};
  return index * kChunk + i;
}

void Slab::give_back(Slot slot) {
  const Slot index = slot / kChunk;
  Chunk& chunk = *chunks_[index];
  if (chunk.free == kChunk) open(index);
  chunk.slots[slot % kChunk].next = chunk.free;
  chunk.slots[slot % kChunk].where = Where::kNowhere;
  chunk.free = slot % kChunk;
  --chunk.used;
  --used_;
  // The last chunk stays, so that a queue that is filled and drained does not allocate each time.
  if (chunk.used == 0 && alive_ > 1) {
    close(index);
    chunks_[index].reset();
    holes_.push_back(index);
    --alive_;
  }
}

}  // namespace hr::queue
