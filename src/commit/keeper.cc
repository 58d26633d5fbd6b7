#include "commit/keeper.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

namespace hr::commit {
namespace {

constexpr std::size_t kWalkChunks = 16;  // of the engine's slots, in one step
constexpr Duration kRest = 1s;           // between looks at the log's length
constexpr Duration kWait = 10ms;         // for the log or the index to become durable

}  // namespace

Keeper::Keeper(Parts parts, Limits limits, std::uint64_t replayed)
    : parts_(std::move(parts)),
      limits_(limits),
      known_bytes_(parts_.log.stats().written_bytes),
      replayed_(replayed) {}

Keeper::Where Keeper::next() const {
  switch (stage_) {
    case Stage::kRead:
    case Stage::kOpen:
    case Stage::kAdd:
    case Stage::kCommit:
      return Where::kOwn;
    default:
      return Where::kSequencer;
  }
}

Duration Keeper::pause() const {
  if (!rest_) return 0ms;
  return stage_ == Stage::kIdle ? kRest : kWait;
}

Status Keeper::step() {
  rest_ = false;
  Status done = run();
  if (done || (done.error().code != Errc::kNoSpace && done.error().code != Errc::kBusy)) return done;
  return given_up(std::move(done));
}

Status Keeper::run() {
  switch (stage_) {
    case Stage::kIdle:
      decide();
      return {};
    case Stage::kWalk:
      walk();
      return {};
    case Stage::kRead:
      return read();
    case Stage::kCopy:
      return copy();
    case Stage::kBegin:
      begin();
      return {};
    case Stage::kOpen:
      return open();
    case Stage::kBlock:
      block();
      return {};
    case Stage::kAdd:
      return add();
    case Stage::kCommit:
      return commit();
    case Stage::kDurable:
      rest_ = parts_.store.durable() < position_;
      if (!rest_) stage_ = Stage::kCommit;
      return {};
    case Stage::kIndexed:
      cut();
      return {};
  }
  return {};
}

// What a step could not do is done in a later round; nothing is lost by that but space.
Status Keeper::given_up(Status why) {
  parts_.diary.warning("store.round_given_up", {{"reason", why.error().message}});
  if (capturing_) parts_.queues.end_capture(false);
  capturing_ = false;
  block_.reset();
  standing_.clear();
  records_.clear();
  stage_ = Stage::kIdle;
  rest_ = true;
  return {};
}

void Keeper::decide() {
  const auto log = parts_.log.stats();
  const std::uint64_t live = parts_.queues.live_bytes();
  const std::uint64_t since = log.written_bytes - known_bytes_ + replayed_;
  const std::uint64_t spare = 2 * limits_.segment_bytes;
  const bool too_long = log.bytes > 4 * live + spare && since > limits_.segment_bytes / 4;
  if (!too_long && since < limits_.checkpoint_bytes && !(log.space_refused && since > 0)) {
    rest_ = true;
    return;
  }
  stage_ = Stage::kBegin;
  if (!too_long || live == 0 || damaged_) return;
  // Once this much is gone, it takes as much garbage again before the next time.
  const std::uint64_t segments = (log.bytes - 2 * live - spare) / limits_.segment_bytes;
  clean_before_ = log.first_segment + static_cast<std::uint32_t>(std::max<std::uint64_t>(segments, 1));
  cursor_ = 0;
  stage_ = Stage::kWalk;
}

// --- copying ---

void Keeper::walk() {
  while (standing_.empty() && cursor_ != queue::kWalkEnded) {
    standing_ = parts_.queues.standing_before(clean_before_, cursor_, kWalkChunks);
  }
  if (standing_.empty()) {
    stage_ = Stage::kBegin;
    return;
  }
  // In the order of the log, from the back of the list.
  std::ranges::sort(standing_, std::greater(),
                    [](const queue::Standing& s) { return std::pair(s.at.segment, s.at.offset); });
  stage_ = Stage::kRead;
}

// The segments are still there: only a round cuts the log, and this one has not come to that.
Status Keeper::read() {
  for (std::uint64_t bytes = 0; !standing_.empty() && bytes < limits_.copy_bytes; standing_.pop_back()) {
    auto payload = parts_.log.read(standing_.back().at);
    if (payload) {
      bytes += payload->size();
      records_.push_back({standing_.back(), std::move(*payload)});
    } else if (payload.error().code == Errc::kCorrupt) {
      note_damage(payload.error());
    } else {
      return std::unexpected(std::move(payload).error());
    }
  }
  stage_ = Stage::kCopy;
  return {};
}

void Keeper::note_damage(const Error& error) {
  damaged_ = true;
  parts_.diary.error("store.damaged", {{"reason", error.message}});
}

Status Keeper::copy() {
  const std::span<const Record> records = records_;
  Cost cost{.records = records.size(), .bytes = 0, .space = storage::Space::kShrink};
  for (const Record& record : records) cost.bytes += record.payload.size() + queue::kCopyOverheadMax;
  const auto refused =
      std::make_shared<Status>();  // a refusal comes at once; what comes later does not matter
  parts_.store.change_queues(
      cost, storage::Release::kDurable,
      [&](queue::Engine& engine, Time, queue::Effects& out) {
        for (const Record& record : records) {
          if (Status copied = engine.copy(record.at, record.payload, out); !copied)
            note_damage(copied.error());
        }
      },
      [refused](Status status) { *refused = std::move(status); });
  HR_TRY(*refused);
  records_.clear();
  stage_ = standing_.empty() ? Stage::kWalk : Stage::kRead;
  return {};
}

// --- the checkpoint ---

void Keeper::begin() {
  position_ = parts_.store.appended();
  oldest_ = parts_.queues.oldest_segment();
  begun_bytes_ = parts_.log.stats().written_bytes;
  whole_ = parts_.files.position() == 0 || parts_.files.wasteful();
  parts_.queues.begin_capture(whole_);
  capturing_ = true;
  stage_ = Stage::kOpen;
}

Status Keeper::open() {
  stage_ = Stage::kBlock;
  return parts_.files.begin(whole_ ? std::nullopt : std::optional(queue::kMessageBlocks));
}

void Keeper::block() {
  block_ = parts_.queues.next_block();
  stage_ = block_ ? Stage::kAdd : Stage::kDurable;
}

Status Keeper::add() {
  stage_ = Stage::kBlock;
  return parts_.files.add(block_->key, block_->bytes);
}

Status Keeper::commit() {
  stage_ = Stage::kIndexed;
  return parts_.files.commit(position_);
}

void Keeper::cut() {
  if (capturing_) {
    parts_.queues.end_capture(true);
    capturing_ = false;
    known_bytes_ = begun_bytes_;
    replayed_ = 0;
  }
  if (parts_.index.durable() < position_) {
    parts_.flush_index();
    rest_ = parts_.index.durable() < position_;
    if (rest_) return;
  }
  parts_.drop_log(position_ + 1, oldest_);
  ++rounds_;
  stage_ = Stage::kIdle;
  rest_ = true;
}

}  // namespace hr::commit
