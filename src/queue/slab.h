// Where every message of every queue is kept: slots of one fixed size in chunks of 1,024, named by a 32-bit
// index that stays valid until the slot is freed. A chunk whose slots are all free goes back to the system.
// Owned by the engine; the order in which indexes are given out depends on the calls alone.
//
// It knows which chunks have changed since the last capture of the state (queue/capture.h): whoever changes
// what is captured of a message calls touch() before.
#pragma once

#include "base/time.h"
#include "base/uuid.h"
#include "queue/chunk_memory.h"
#include "queue/queue.h"
#include "storage/log/record.h"

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

namespace hr::queue {

using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = UINT32_MAX;

// Which of its queue's structures holds a message (queue/backlog.h).
enum class Where : std::uint8_t {
  kNowhere,
  kReady,    // visible since the command that put it there: in the ready list
  kDue,      // visible since a delay or lease ended: in the heap of those
  kDelayed,  // not visible before `visible_at`, not received since
  kLeased,   // received, and not visible before `visible_at`
  // Not the first of its group (FIFO queues), so nobody is given it yet: visible, delayed, leased.
  kBehind,
  kBehindDelayed,
  kBehindLeased,
};
inline bool is_visible(Where where) { return where == Where::kReady || where == Where::kDue; }

// 88 bytes: what a waiting message costs besides its body and 4 bytes in the queue's SeqMap.
struct Message {
  Uuid id;
  Time sent;
  Time visible_at;  // since when, or from when on, it may be received
  Seq seq{};
  storage::Location at;                 // of the Sent record; bytes 0 until place()
  std::uint32_t receive_count = 0;      // over its whole life
  std::uint32_t first_received_ms = 0;  // after `sent`; meaningful once receive_count > 0
  std::uint32_t lease_ms = 0;           // visible_at - the latest receive. kReady: which of those that became
                                        // visible at visible_at, from 0
  std::uint32_t prev = 0;               // ready list: the slot before; heaps: the position
  std::uint32_t next = 0;               // ready list: the slot after; free: the next free
                                        // one; kBehind...: the slot before it in its group
  std::uint32_t group = 0;              // FIFO queues: GroupIndex. Others: the queue's number
  std::uint32_t group_next = 0;     // the slot after it in its group. Others: the GroupIndex of its tenant
  std::uint32_t source = 0;         // the queue it was moved from; 0: none that fits
  std::uint16_t receives_here = 0;  // in this queue, for its redrive policy; stops at its maximum
  Where where = Where::kNowhere;
  bool moved : 1 = false;    // came from another queue: `sent` is not in the order of `seq`
  bool renamed : 1 = false;  // by a move task: its record has an older id
};
static_assert(sizeof(Message) == 88);

class Slab {
 public:
  Slab() : memory_(sizeof(Chunk)) {}
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  static constexpr Slot kChunk = 1024;

  Slot take();
  void give_back(Slot slot);
  Message& operator[](Slot slot) { return chunks_[slot / kChunk]->slots[slot % kChunk]; }
  const Message& operator[](Slot slot) const { return chunks_[slot / kChunk]->slots[slot % kChunk]; }

  std::uint64_t used() const { return used_; }
  std::uint64_t chunk_count() const { return alive_; }

  // --- capture ---

  // Whether a slot that is in use holds a message of a queue, or only waits to be given back, its caller
  // knows.
  bool in_use(Slot slot) const;
  Slot chunks_end() const { return static_cast<Slot>(chunks_.size()); }  // above every chunk there is
  // The chunks changed since the last call, ascending; all there are after change_all().
  std::vector<Slot> take_changed();
  void change_all();
  // The slot is about to change, or to be taken or given back.
  void touch(Slot slot) {
    changed_[slot / kChunk] = true;
    if (before_change) before_change(slot);
  }
  std::function<void(Slot)> before_change;

  // --- loading: every slot that was in use, then loaded(), before any other call ---

  bool load(Slot slot, const Message& message) {  // false: in use already
    Chunk& chunk = loading_chunk(slot / kChunk);
    Message& m = chunk.slots[slot % kChunk];
    if (m.seq != Seq{}) return false;
    m = message;
    ++chunk.used;
    ++used_;
    return true;
  }
  void loaded();

 private:
  // Made of zeros by ChunkMemory: a slot of zeros is free.
  struct Chunk {
    std::array<Message, kChunk> slots;
    Slot free;  // first free slot of the chunk, linked by `next`
    Slot used;
    Slot before, after;  // among the chunks with a free slot
  };

  Chunk& loading_chunk(Slot index) {
    if (index < chunks_.size() && chunks_[index] != nullptr) return *chunks_[index];
    return make_chunk(index);
  }
  Chunk& make_chunk(Slot index);
  Slot add_chunk();
  Chunk* new_chunk() { return static_cast<Chunk*>(memory_.take()); }
  void open(Slot chunk);   // now has a free slot
  void close(Slot chunk);  // has none, or is gone

  ChunkMemory memory_;
  std::vector<Chunk*> chunks_;  // null: given back
  std::vector<bool> changed_;   // as many as chunks_
  std::vector<Slot> holes_;     // indexes of chunks_ that were given back
  Slot open_ = kNoSlot;
  std::uint64_t used_ = 0;
  std::uint64_t alive_ = 0;
};

}  // namespace hr::queue
