// The engine's state as bytes: the blocks of a checkpoint. Format and its version rule:
// docs/formats/state.md. Decoding accepts every byte string and answers kCorrupt for those that are none of
// ours; whether the parts fit together, the engine finds out.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "queue/memory.h"
#include "queue/moves.h"
#include "queue/queue.h"
#include "queue/slab.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace hr::queue {

// kinds of storage::BlockKey, loaded in this order.
enum class BlockKind : std::uint8_t {
  kHead = 1,
  kQueues,
  kMessages,
  kOriginals,
  kRetries,
  kAttempts,
  kMoves
};

struct HeadImage {
  Time now;
  std::uint64_t next_queue = 1;
};

struct QueueImage {
  Queue queue;
  Seq floor{};  // messages below it were purged, though a block may still hold them
  Seq next{};   // the number of the next message
};

// Of `message`, what its links say is not part of it: prev, next, group, group_next.
struct MessageImage {
  std::uint16_t index = 0;  // in its chunk
  QueueId queue{};
  GroupKey group{};
  Message message;
};

// One place in the order of a Memory; none where its key was put again later.
template <class Value>
struct PlaceImage {
  QueueId queue{};
  Fingerprint print;
  Time at;
  std::optional<Value> value;
};

Bytes encode_head(const HeadImage& head);
Result<HeadImage> decode_head(ByteView block);

// A block is its beginning and its entries, one after the other.
void begin_block(Bytes& out);
Bytes encode_definition(const Queue& queue);
void append_queue(Bytes& out, ByteView definition, Seq floor, Seq next);
void append_message(Bytes& out, const MessageImage& image);
void append_place(Bytes& out, const PlaceImage<Original>& place);
void append_place(Bytes& out, const PlaceImage<std::vector<Handed>>& place);

void append_move(Bytes& out, const MoveTask& task);

Result<std::vector<QueueImage>> decode_queues(ByteView block);
Result<std::vector<MoveTask>> decode_moves(ByteView block);
Result<std::vector<PlaceImage<Original>>> decode_originals(ByteView block);
Result<std::vector<PlaceImage<std::vector<Handed>>>> decode_attempts(ByteView block);

// A block of messages, one after the other: most of what a start reads.
class MessageBlock {
 public:
  explicit MessageBlock(ByteView block);

  // False: that was the last one, or the bytes are not ours (status()). Leaves the message's links alone.
  bool next(MessageImage& out);
  Status status() const;

 private:
  ByteView rest_;
  std::uint8_t version_ = 0;
  bool good_ = false;
};

}  // namespace hr::queue
