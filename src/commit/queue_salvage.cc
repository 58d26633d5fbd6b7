#include "commit/queue_salvage.h"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <variant>

namespace hr::commit {
namespace {

using queue::QueueId;
using queue::Seq;

std::uint64_t number_of(Seq seq) { return static_cast<std::uint64_t>(seq); }
std::uint64_t number_of(QueueId id) { return static_cast<std::uint64_t>(id); }

}  // namespace

std::string LostMessage::text() const {
  return id.empty() ? fmt::format("message {} of queue {} (its id went with its record)", number, queue)
                    : fmt::format("message {} of queue {}", id, queue);
}

// --- the state ---

Status QueueSalvage::load(storage::BlockKey key, ByteView bytes) {
  if (key.kind == static_cast<std::uint8_t>(queue::BlockKind::kHead)) {
    HR_ASSIGN(const queue::HeadImage head, queue::decode_head(bytes));
    now_ = head.now;
  }
  if (key.kind == static_cast<std::uint8_t>(queue::BlockKind::kQueues)) {
    HR_ASSIGN(const auto queues, queue::decode_queues(bytes));
    for (const queue::QueueImage& image : queues) next_[number_of(image.queue.id)] = number_of(image.next);
  }
  return engine_.load(key, bytes);
}

// Whoever is in the log is followed from there to its end: its delete, if there was one, is behind it.
void QueueSalvage::note(const storage::RecoveredRecord& record) {
  const auto any = queue::decode(record.kind, record.payload);
  if (!any) return;
  const auto sent = [&](const queue::MessageSent& r) {
    queue::MessageImage image;
    image.queue = r.queue;
    image.group = r.group;
    image.message.id = r.id;
    image.message.sent = r.sent;
    image.message.visible_at = r.sent + r.delay;
    image.message.seq = r.seq;
    image.message.at = record.at;
    image.message.where = queue::Where::kReady;
    candidates_.insert_or_assign({number_of(r.queue), number_of(r.seq)}, image);
  };
  const auto gone = [&](QueueId queue, Seq seq) { candidates_.erase({number_of(queue), number_of(seq)}); };
  const auto moved = [&](QueueId from, QueueId to, const auto& entries) {
    for (const auto& entry : entries) {
      auto node = candidates_.extract({number_of(from), number_of(entry.from)});
      if (node.empty()) continue;
      node.key() = {number_of(to), number_of(entry.to)};
      node.mapped().queue = to;
      node.mapped().message.seq = entry.to;
      node.mapped().message.moved = true;
      candidates_.insert(std::move(node));
    }
  };
  std::visit(
      [&]<class R>(const R& r) {
        if constexpr (std::is_same_v<R, queue::MessageSent>) sent(r);
        if constexpr (std::is_same_v<R, queue::MessageCopied>) sent(r.sent);
        if constexpr (std::is_same_v<R, queue::MessagesErased> || std::is_same_v<R, queue::MessagesExpired>) {
          for (const Seq seq : r.messages) gone(r.queue, seq);
        }
        if constexpr (std::is_same_v<R, queue::MessagesDeadLettered>) {
          moved(r.queue, r.dead_letter, r.messages);
        }
        if constexpr (std::is_same_v<R, queue::QueuePurged> || std::is_same_v<R, queue::QueueRemoved>) {
          candidates_.erase(candidates_.lower_bound({number_of(r.queue), 0}),
                            candidates_.lower_bound({number_of(r.queue) + 1, 0}));
        }
      },
      *any);
}

// They come as pages of their own, behind those there are; of one number that is there already the engine
// says so, so those are left out first.
Status QueueSalvage::loaded(std::uint32_t pages) {
  std::uint32_t in_page = 0;
  Bytes block;
  const auto hand_over = [&]() -> Status {
    if (in_page == 0) return {};
    in_page = 0;
    return engine_.load({.kind = queue::kMessageBlocks, .page = pages++}, std::exchange(block, {}));
  };
  std::uint32_t order = 0;
  for (auto& [key, image] : candidates_) {
    if (engine_.location(image.queue, image.message.seq)) continue;
    const auto next = next_.find(key.first);  // a queue of today, and sent before the state was taken
    if (next == next_.end() || key.second >= next->second) continue;
    if (in_page == 0) queue::begin_block(block);
    image.index = static_cast<std::uint16_t>(in_page);
    image.message.lease_ms = order++;  // its place, if many were sent in one millisecond
    queue::append_message(block, image);
    if (++in_page == queue::Slab::kChunk) HR_TRY(hand_over());
  }
  HR_TRY(hand_over());
  candidates_.clear();
  return engine_.loaded();
}

// --- the records ---

bool QueueSalvage::restore(const queue::AnyRecord& decoded, const storage::RecoveredRecord& record) {
  if (!engine_.restore(record)) return false;
  const auto moved = [&](QueueId to, const auto& entries) {
    if (!entries.empty()) next_[number_of(to)] = number_of(entries.back().to) + 1;
  };
  std::visit(
      [&]<class R>(const R& r) {
        if constexpr (requires { r.at; }) now_ = std::max(now_, r.at);
        if constexpr (std::is_same_v<R, queue::QueueCreated>) next_[number_of(r.queue.id)] = 1;
        if constexpr (std::is_same_v<R, queue::MessageSent>) {
          next_[number_of(r.queue)] = number_of(r.seq) + 1;
          now_ = std::max(now_, r.sent);
        }
        if constexpr (std::is_same_v<R, queue::MessagesDeadLettered>) moved(r.dead_letter, r.messages);
        if constexpr (std::is_same_v<R, queue::MessagesRedriven>) moved(r.destination, r.messages);
      },
      decoded);
  return true;
}

bool QueueSalvage::feed(const queue::AnyRecord& record, const storage::Location& at) {
  const storage::Record bytes = queue::encode(record);
  return restore(record, {0, bytes.kind, bytes.payload, at});
}

void QueueSalvage::lose(QueueId queue, Seq seq, std::string id) {
  const queue::Queue* const known = engine_.find(queue);
  const std::string name = known != nullptr ? known->name : fmt::format("number {}", number_of(queue));
  lost_.push_back({name, number_of(seq), std::move(id)});
}

// The numbers of messages whose records are gone: each is given out and taken back at once.
void QueueSalvage::fill(QueueId queue, Seq until, Time now) {
  const queue::Queue* const known = engine_.find(queue);
  if (known == nullptr) return;
  for (Seq seq{next_[number_of(queue)]}; seq < until; seq = Seq{number_of(seq) + 1}) {
    queue::MessageSent sent{.queue = queue, .seq = seq, .id = {}, .sent = now, .content = {}};
    if (queue::is_fifo(*known)) {
      sent.group = queue::GroupKey{1};
      sent.deduplication.emplace();
    }
    if (!feed(sent, {.segment = 1, .offset = 0, .bytes = 1})) return;
    feed(queue::MessagesErased{.queue = queue, .at = now, .messages = {seq}}, {});
    if (stayed_.erase({number_of(queue), number_of(seq)}) == 0) lose(queue, seq, {});
  }
}

Status QueueSalvage::take(const storage::RecoveredRecord& record) {
  auto any = queue::decode(record.kind, record.payload);
  if (!any && any.error().code == Errc::kUnsupported) return std::unexpected(any.error());
  if (any && !tolerant_ && restore(*any, record)) return {};
  tolerant_ = true;
  if (any) std::visit([&](const auto& r) { pass(r, record.at); }, *any);
  return {};
}

void QueueSalvage::pass(const queue::MessageSent& r, const storage::Location& at) {
  if (number_of(r.seq) < next_[number_of(r.queue)]) return;
  fill(r.queue, r.seq, r.sent);
  if (!feed(r, at)) lose(r.queue, r.seq, r.id.text());
}

// Entry by entry: what is not there any more does not hold up the others.
void QueueSalvage::pass(const queue::MessagesReceived& r, const storage::Location& at) {
  for (const auto& entry : r.messages) {
    feed(queue::MessagesReceived{r.queue, r.at, r.lease, r.attempt, {entry}}, at);
  }
}

void QueueSalvage::pass(const queue::MessagesErased& r, const storage::Location& at) {
  for (const Seq seq : r.messages) feed(queue::MessagesErased{r.queue, r.at, {seq}}, at);
}

void QueueSalvage::pass(const queue::VisibilityChanged& r, const storage::Location& at) {
  for (const auto& entry : r.messages) feed(queue::VisibilityChanged{r.queue, r.at, {entry}}, at);
}

void QueueSalvage::pass(const queue::MessagesExpired& r, const storage::Location& at) {
  for (const Seq seq : r.messages) feed(queue::MessagesExpired{r.queue, r.at, {seq}}, at);
}

void QueueSalvage::pass(const queue::MessagesDeadLettered& r, const storage::Location& at) {
  for (const auto& entry : r.messages) {
    fill(r.dead_letter, entry.to, r.at);
    if (feed(queue::MessagesDeadLettered{r.queue, r.dead_letter, r.at, {entry}}, at)) continue;
    if (engine_.location(r.queue, entry.from))
      stayed_.insert({number_of(r.dead_letter), number_of(entry.to)});
  }
}

void QueueSalvage::pass(const queue::MessagesRedriven& r, const storage::Location& at) {
  for (const auto& entry : r.messages) {
    fill(r.destination, entry.to, r.at);
    // Where the task is not known, neither is its source: a number left open is listed as lost.
    feed(queue::MessagesRedriven{r.task, r.destination, r.at, {entry}}, at);
  }
}

void QueueSalvage::give_up(const queue::Standing& message) {
  const Seq before{number_of(message.seq) - 1};
  const auto found = engine_.browse(message.queue, before, 1, true, true);
  lose(message.queue, message.seq,
       found.empty() || found.front().receipt.seq != message.seq ? std::string() : found.front().id.text());
  feed(queue::MessagesErased{.queue = message.queue, .at = now_, .messages = {message.seq}}, {});
}

}  // namespace hr::commit
