// Copying the state block by block while commands go on, and taking it back; and what keeps the log short:
// which messages stand where, and copies of their records.
#include "base/check.h"
#include "queue/state.h"

#include <algorithm>
#include <utility>

namespace hr::queue {
namespace {

constexpr std::size_t kBlockBytes = 128U << 10;  // a block of queues or places ends when it is larger
constexpr std::size_t kPlacesPerBlock = 1'000;
constexpr std::uint64_t kRecordOverhead = 12;  // of the log, beside a record's payload

}  // namespace

void Engine::State::place(Slot slot, const storage::Location& at) {
  slab.touch(slot);
  Message& m = slab[slot];
  leave(m.at);
  m.at = at;
  stand(at.segment, 1, at.bytes);
}

void Engine::State::stand(std::uint32_t segment, std::uint32_t messages, std::uint64_t bytes) {
  placed_bytes += bytes;
  if (standing.empty()) first_standing = segment;
  while (segment < first_standing) {
    standing.push_front(0);
    --first_standing;
  }
  if (segment - first_standing >= standing.size()) standing.resize(segment - first_standing + 1);
  standing[segment - first_standing] += messages;
}

// Not placed yet, it stands nowhere.
void Engine::State::leave(const storage::Location& at) {
  if (at.bytes == 0) return;
  placed_bytes -= at.bytes;
  --standing[at.segment - first_standing];
  for (; !standing.empty() && standing.front() == 0; ++first_standing) standing.pop_front();
}

// None: the slot is free, or its queue was removed or purged and it only waits to be given back.
std::optional<MessageImage> Engine::State::image_of(Slot slot) const {
  if (!slab.in_use(slot)) return std::nullopt;
  const Message& m = slab[slot];
  MessageImage image{
      .index = static_cast<std::uint16_t>(slot % Slab::kChunk), .queue = {}, .group = {}, .message = m};
  // In a FIFO queue the number is that of a group; a standard queue's is its own.
  const auto holds = [&](const QueueState* q, bool fifo) {
    return q != nullptr && q->fifo == fifo && m.seq >= q->backlog.floor() && q->backlog.find(m.seq) == slot;
  };
  image.queue = QueueId{m.group};
  if (const QueueState* q = find(image.queue); holds(q, false)) {
    image.group = q->backlog.group_of(slot);
    return image;
  }
  if (m.group >= groups.end()) return std::nullopt;
  const Group& group = groups[m.group];
  image.queue = QueueId{Groups::queue_of(group.owner)};
  image.group = group.key;
  if (holds(find(image.queue), true)) return image;
  return std::nullopt;
}

// --- copying ---

void Engine::begin_capture(bool whole) {
  State& s = *state_;
  HR_CHECK(s.capture == nullptr);
  s.capture = std::make_unique<Capture>();
  auto& c = *s.capture;
  c.head = encode_head({s.now, s.next_queue});
  if (!s.moves.empty()) {
    begin_block(c.moves);
    for (const MoveTask& task : s.moves) append_move(c.moves, task);
  }
  for (const auto& [name, q] : s.by_name) {
    if (q->definition == nullptr) q->definition = std::make_shared<const Bytes>(encode_definition(q->queue));
    c.queues.push_back({q->definition, q->backlog.floor(), q->backlog.next_seq()});
  }
  if (whole) s.slab.change_all();
  c.chunks = s.slab.take_changed();
  c.waiting.assign(s.slab.chunks_end(), false);
  for (const Slot chunk : c.chunks) c.waiting[chunk] = true;
  c.originals = {s.originals.first(), s.originals.end()};
  c.retries = {s.retries.first(), s.retries.end()};
  c.attempts = {s.attempts.first(), s.attempts.end()};
  s.slab.before_change = [&s, &c](Slot slot) {
    const Slot chunk = slot / Slab::kChunk;
    if (chunk < c.waiting.size() && c.waiting[chunk] && !c.saved.contains(slot)) {
      c.saved.emplace(slot, s.image_of(slot));
    }
  };
}

namespace {

storage::BlockKey key(BlockKind kind, std::uint32_t page) { return {static_cast<std::uint8_t>(kind), page}; }

template <class Places, class Known>
Bytes copy_places(Places& places, const Known& known) {
  using Value = typename Known::value_type;
  Bytes block;
  begin_block(block);
  places.next = std::max(places.next, known.first());
  for (std::size_t n = 0; n < kPlacesPerBlock && places.next < places.end; ++n, ++places.next) {
    known.at(places.next, [&](Time at, QueueId queue, const Fingerprint& print, const Value* value) {
      PlaceImage<Value> place{queue, print, at, std::nullopt};
      if (value != nullptr) place.value = *value;
      append_place(block, place);
    });
  }
  return block;
}

}  // namespace

std::optional<CapturedBlock> Engine::next_block() {
  State& s = *state_;
  HR_CHECK(s.capture != nullptr);
  auto& c = *s.capture;
  if (!c.head.empty()) return CapturedBlock{key(BlockKind::kHead, 0), std::exchange(c.head, {})};
  if (!c.moves.empty()) return CapturedBlock{key(BlockKind::kMoves, 0), std::exchange(c.moves, {})};
  if (c.next_chunk < c.chunks.size()) {
    const Slot chunk = c.chunks[c.next_chunk++];
    Bytes block;
    begin_block(block);
    const std::size_t empty = block.size();
    for (Slot slot = chunk * Slab::kChunk; slot < (chunk + 1) * Slab::kChunk; ++slot) {
      const auto saved = c.saved.find(slot);
      const auto image = saved == c.saved.end() ? s.image_of(slot) : saved->second;
      if (image) append_message(block, *image);
      if (saved != c.saved.end()) c.saved.erase(saved);
    }
    c.waiting[chunk] = false;
    if (block.size() == empty) block.clear();
    return CapturedBlock{key(BlockKind::kMessages, chunk), std::move(block)};
  }
  if (c.next_queue < c.queues.size()) {
    Bytes block;
    begin_block(block);
    for (; c.next_queue < c.queues.size() && block.size() < kBlockBytes; ++c.next_queue) {
      const auto& queue = c.queues[c.next_queue];
      append_queue(block, *queue.bytes, queue.floor, queue.next);
    }
    return CapturedBlock{key(BlockKind::kQueues, c.queue_page++), std::move(block)};
  }
  const auto places = [&](BlockKind kind, auto& from, const auto& known) -> std::optional<CapturedBlock> {
    if (std::max(from.next, known.first()) >= from.end) return std::nullopt;
    return CapturedBlock{key(kind, from.page++), copy_places(from, known)};
  };
  if (auto block = places(BlockKind::kOriginals, c.originals, s.originals)) return block;
  if (auto block = places(BlockKind::kRetries, c.retries, s.retries)) return block;
  return places(BlockKind::kAttempts, c.attempts, s.attempts);
}

void Engine::end_capture(bool kept) {
  State& s = *state_;
  s.slab.before_change = nullptr;
  s.capture.reset();
  if (!kept) s.slab.change_all();
}

// --- taking it back ---

namespace {

std::unexpected<Error> corrupt(const char* what) {
  return fail(Errc::kCorrupt, std::string("queue state: ") + what);
}

}  // namespace

Status Engine::load(storage::BlockKey block, ByteView bytes) {
  State& s = *state_;
  if (s.loading == nullptr) s.loading = std::make_unique<Loading>();
  const auto put = [&](auto& known, auto&& places) {
    for (auto& place : places) {
      if (place.value) {
        known.put(place.queue, place.print, place.at, std::move(*place.value));
      } else {
        known.put_place(place.queue, place.print, place.at);
      }
    }
  };
  switch (static_cast<BlockKind>(block.kind)) {
    case BlockKind::kHead:
      return s.load_head(bytes);
    case BlockKind::kQueues:
      return s.load_queues(bytes);
    case BlockKind::kMessages:
      return s.load_messages(block.page, bytes);
    case BlockKind::kMoves: {
      HR_ASSIGN(s.moves, decode_moves(bytes));
      return {};
    }
    case BlockKind::kOriginals: {
      HR_ASSIGN(auto places, decode_originals(bytes));
      put(s.originals, places);
      return {};
    }
    case BlockKind::kRetries: {
      HR_ASSIGN(auto places, decode_originals(bytes));
      put(s.retries, places);
      return {};
    }
    case BlockKind::kAttempts: {
      HR_ASSIGN(auto places, decode_attempts(bytes));
      put(s.attempts, places);
      return {};
    }
  }
  return corrupt("a block of an unknown kind; was it written by a newer version of headrace?");
}

Status Engine::State::load_head(ByteView block) {
  HR_ASSIGN(const HeadImage head, decode_head(block));
  now = head.now;
  next_queue = head.next_queue;
  return {};
}

Status Engine::State::load_queues(ByteView block) {
  HR_ASSIGN(auto images, decode_queues(block));
  const std::uint64_t end = next_queue;
  for (QueueImage& image : images) {
    const Queue& queue = image.queue;
    const auto id = static_cast<std::uint64_t>(queue.id);
    if (id == 0 || id >= end || find(queue.id) != nullptr || by_name.contains({queue.account, queue.name})) {
      return corrupt("a queue that cannot be there");
    }
    loading->next.emplace(id, image.next);
    add_queue(std::move(image.queue)).backlog.load_floor(image.floor);
  }
  next_queue = end;
  return {};
}

Status Engine::State::load_messages(std::uint32_t chunk, ByteView block) {
  if (chunk >= kNoSlot / Slab::kChunk) return corrupt("a message in an impossible place");
  MessageBlock messages(block);
  MessageImage image;
  QueueState* q = nullptr;
  QueueId id{};
  struct Run {
    std::uint32_t segment = 0, messages = 0;
    std::uint64_t bytes = 0;
  } run;  // of those that stand in one segment
  while (messages.next(image)) {
    if (static_cast<std::uint64_t>(image.queue) >= next_queue)
      return corrupt("a message of an unknown queue");
    if (image.queue != id) q = find(image.queue);
    id = image.queue;
    // Removed or purged since its block was written; nothing has taken its slot yet.
    if (q == nullptr || image.message.seq < q->backlog.floor()) continue;
    if (q->fifo && image.group == GroupKey::kNone) return corrupt("a message of another kind of queue");
    const Slot slot = chunk * Slab::kChunk + image.index;
    if (!slab.load(slot, image.message)) return corrupt("two messages in one place");
    if (is_visible(image.message.where) || image.message.where == Where::kBehind)
      shown = std::max(shown, image.message.visible_at);
    const auto& at = image.message.at;
    if (at.segment != run.segment && run.messages > 0) {
      stand(run.segment, run.messages, run.bytes);
      run = {};
    }
    run = {at.segment, run.messages + 1, run.bytes + at.bytes};
    if (!q->backlog.load(slot, image.group)) return corrupt("a message that cannot be there");
    if (image.group == GroupKey::kNone) continue;
    loading->grouped.push_back({static_cast<std::uint64_t>(id), image.message.seq, slot, image.group});
  }
  if (run.messages > 0) stand(run.segment, run.messages, run.bytes);
  return messages.status();
}

Status Engine::loaded() {
  State& s = *state_;
  if (s.loading == nullptr) return {};
  s.slab.loaded();
  const auto loading = std::exchange(s.loading, nullptr);
  std::ranges::sort(loading->grouped, {}, [](const auto& m) { return std::pair(m.queue, m.seq); });
  for (const auto& m : loading->grouped) s.find(QueueId{m.queue})->backlog.load_group(m.slot, m.group);
  for (const MoveTask& task : s.moves) {
    if (s.find(task.asked.source) == nullptr) return corrupt("a move from a queue that is not there");
  }
  for (const auto& [name, queue] : s.by_name) {
    const auto next = loading->next.find(static_cast<std::uint64_t>(queue->queue.id));
    if (!queue->backlog.loaded(next->second)) return corrupt("messages that do not fit together");
    s.reschedule(*queue);
  }
  return {};
}

// --- keeping the log short ---

std::uint32_t Engine::oldest_segment() const {
  return state_->standing.empty() ? UINT32_MAX : state_->first_standing;
}

std::uint64_t Engine::live_bytes() const {
  return state_->placed_bytes + kRecordOverhead * state_->slab.used();
}

std::vector<Standing> Engine::standing_before(std::uint32_t segment, std::uint32_t& cursor,
                                              std::size_t chunks) const {
  const State& s = *state_;
  std::vector<Standing> out;
  for (; chunks > 0 && cursor < s.slab.chunks_end(); --chunks, ++cursor) {
    for (Slot slot = cursor * Slab::kChunk; slot < (cursor + 1) * Slab::kChunk; ++slot) {
      if (!s.slab.in_use(slot) || s.slab[slot].at.segment >= segment) continue;
      const auto image = s.image_of(slot);
      if (image) out.push_back({image->queue, image->message.seq, image->message.at});
    }
  }
  if (cursor >= s.slab.chunks_end()) cursor = kWalkEnded;
  return out;
}

Status Engine::copy(const Standing& message, ByteView record, Effects& out) {
  State& s = *state_;
  const QueueState* const q = s.find(message.queue);
  const Slot slot = q == nullptr ? kNoSlot : q->backlog.find(message.seq);
  if (slot == kNoSlot || s.slab[slot].at != message.at) return {};
  HR_ASSIGN(AnyRecord any, decode(kSentKind, record));
  auto& sent = std::get<MessageSent>(any);
  if (sent.id != s.slab[slot].id && !s.slab[slot].renamed)
    return corrupt("a message's place in the log holds another one");
  sent.queue = message.queue;
  sent.seq = message.seq;
  out.placements.push_back({out.records.size(), message.queue, message.seq});
  out.records.push_back(encode(MessageCopied{sent}));
  return {};
}

const char* Engine::State::audit_places() const {
  std::uint64_t bytes = 0;
  for (Slot slot = 0; slot < slab.chunks_end() * Slab::kChunk; ++slot) {
    if (slab.in_use(slot)) bytes += slab[slot].at.bytes;
  }
  std::uint64_t messages = 0;
  for (const std::uint32_t count : standing) messages += count;
  if (messages > slab.used()) return "messages by the segment in which they stand";
  return bytes == placed_bytes ? nullptr : "bytes of the records that messages stand in";
}

}  // namespace hr::queue
