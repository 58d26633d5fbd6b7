#include "queue/slab.h"

#include "base/check.h"

#include <utility>

namespace hr::queue {

Slot Slab::add_chunk() {
  Slot index;
  if (holes_.empty()) {
    HR_CHECK(chunks_.size() < kNoSlot / kChunk);
    index = static_cast<Slot>(chunks_.size());
    chunks_.emplace_back();
    changed_.push_back(true);
  } else {
    index = holes_.back();
    holes_.pop_back();
  }
  Chunk* const chunk = new_chunk();
  for (Slot i = 0; i < kChunk; ++i) chunk->slots[i].next = i + 1;
  chunks_[index] = chunk;
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
  touch(index * kChunk + i);
  chunk.slots[i] = Message{};
  return index * kChunk + i;
}

void Slab::give_back(Slot slot) {
  touch(slot);
  const Slot index = slot / kChunk;
  Chunk& chunk = *chunks_[index];
  if (chunk.free == kChunk) open(index);
  chunk.slots[slot % kChunk].next = chunk.free;
  chunk.slots[slot % kChunk].where = Where::kNowhere;
  chunk.slots[slot % kChunk].seq = Seq{};
  chunk.free = slot % kChunk;
  --chunk.used;
  --used_;
  // The last chunk stays, so that a queue that is filled and drained does not allocate each time.
  if (chunk.used == 0 && alive_ > 1) {
    close(index);
    memory_.give_back(std::exchange(chunks_[index], nullptr));
    holes_.push_back(index);
    --alive_;
  }
}

// A free slot stands nowhere; so does one that waits to be given back, which touch() has still to see.
bool Slab::in_use(Slot slot) const {
  const Slot index = slot / kChunk;
  if (index >= chunks_.size() || chunks_[index] == nullptr) return false;
  return chunks_[index]->slots[slot % kChunk].seq != Seq{};
}

std::vector<Slot> Slab::take_changed() {
  std::vector<Slot> changed;
  for (Slot index = 0; index < changed_.size(); ++index) {
    if (changed_[index]) changed.push_back(index);
  }
  changed_.assign(changed_.size(), false);
  return changed;
}

void Slab::change_all() { changed_.assign(changed_.size(), true); }

Slab::Chunk& Slab::make_chunk(Slot index) {
  while (index >= chunks_.size()) {
    chunks_.emplace_back();
    changed_.push_back(false);
  }
  return *(chunks_[index] = new_chunk());
}

void Slab::loaded() {
  for (Slot index = 0; index < chunks_.size(); ++index) {
    if (chunks_[index] == nullptr) {
      holes_.push_back(index);
      continue;
    }
    Chunk& chunk = *chunks_[index];
    ++alive_;
    chunk.free = kChunk;
    if (chunk.used == kChunk) continue;
    for (Slot i = kChunk; i > 0; --i) {
      if (chunk.slots[i - 1].seq != Seq{}) continue;
      chunk.slots[i - 1].next = chunk.free;
      chunk.free = i - 1;
    }
    open(index);
  }
}

}  // namespace hr::queue
