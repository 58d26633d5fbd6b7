// A copy of the engine's state in the making, and a state being taken back. Private to the layer's
// engine_*.cc.
#pragma once

#include "queue/image.h"
#include "queue/slab.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace hr::queue {

// What is being copied. Chunks of messages that were not copied when one of theirs changes keep what it was
// before in `saved`: so the copy is of one moment.
struct Capture {
  struct Definition {
    std::shared_ptr<const Bytes> bytes;
    Seq floor{}, next{};
  };
  // Of a Memory: the places that were there. Those dropped since then would be dropped by the log's records.
  struct Places {
    std::uint64_t next = 0, end = 0;
    std::uint32_t page = 0;
  };

  Bytes head;
  Bytes moves;  // may be empty
  std::vector<Definition> queues;
  std::size_t next_queue = 0;
  std::uint32_t queue_page = 0;
  std::vector<Slot> chunks;
  std::size_t next_chunk = 0;
  std::vector<bool> waiting;  // by chunk: not copied yet
  std::unordered_map<Slot, std::optional<MessageImage>> saved;
  Places originals, retries, attempts;
};

// What has been loaded and waits for the rest.
struct Loading {
  struct Entry {
    std::uint64_t queue;
    Seq seq;
    Slot slot;
    GroupKey group;
  };
  std::vector<Entry> grouped;
  std::unordered_map<std::uint64_t, Seq> next;
};

}  // namespace hr::queue
