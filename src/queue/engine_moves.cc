// Message move tasks: started and cancelled by a command, carried on by the passing of time.
#include "queue/state.h"

#include <algorithm>
#include <utility>

namespace hr::queue {
namespace {

constexpr Duration kMovePause =
    100ms;                          // between two portions of a task, or longer where its rate is below 10
constexpr Duration kMoveWait = 1s;  // when all that is left is leased or delayed

Duration pause_of(const MoveTask& task) {
  return std::max(kMovePause, Duration(1'000 / task.asked.per_second));
}

// A new id for the message that is now `seq` in its new queue: no two messages get the same, and replay finds
// it again.
Uuid moved_id(const Uuid& task, QueueId to, Seq seq) {
  std::array<std::uint8_t, 16> bytes = task.bytes;
  const std::uint64_t number = static_cast<std::uint64_t>(seq) ^ static_cast<std::uint64_t>(to) << 40;
  for (std::size_t i = 0; i < 8; ++i) bytes[i] ^= static_cast<std::uint8_t>(number >> (8 * i));
  return Uuid::v4(bytes);
}

}  // namespace

MoveTask* Engine::State::find_move(const Uuid& id) {
  const auto at = std::ranges::find(moves, id, [](const MoveTask& task) { return task.asked.id; });
  return at == moves.end() ? nullptr : &*at;
}

// The oldest of those of its source that have ended is forgotten for it.
void Engine::State::add_move(MoveTask task) {
  const auto same = [&](const MoveTask& other) { return other.asked.source == task.asked.source; };
  if (static_cast<std::size_t>(std::ranges::count_if(moves, same)) >= kMovesListed) {
    moves.erase(std::ranges::find_if(moves, same));  // only the newest of a source can be running
  }
  moves.push_back(std::move(task));
}

void Engine::State::drop_moves(QueueId source) {
  std::erase_if(moves, [&](const MoveTask& task) { return task.asked.source == source; });
}

// The message becomes a new one, in another queue.
void Engine::State::redrive(QueueState& from, QueueState& to, Slot slot, MoveTask& task) {
  const GroupKey group = from.backlog.group_of(slot);
  from.backlog.release(slot, now);
  Message& m = slab[slot];
  m.moved = false;
  m.renamed = true;
  m.source = 0;
  m.receives_here = 0;
  m.receive_count = 0;
  m.first_received_ms = 0;
  m.lease_ms = 0;
  m.sent = m.visible_at = now;
  to.backlog.add(slot, group, now);
  m.id = moved_id(task.asked.id, to.queue.id, m.seq);
  ++task.moved;
}

void Engine::State::end_move(MoveTask& task, MoveStatus status, std::string failure, Step& step) {
  task.status = status;
  task.failure = std::move(failure);
  step.log(MoveEnded{task.asked.id, now, status, task.failure});
}

void Engine::State::carry_on(MoveTask& task, Step& step) {
  QueueState& from = *find(task.asked.source);
  expire(from, step);
  const Duration pause = pause_of(task);
  auto portion =
      static_cast<std::uint64_t>(std::max<std::int64_t>(1, pause.count() * task.asked.per_second / 1'000));
  MessagesRedriven record{task.asked.id, {}, now, {}};
  const auto flush = [&] {
    if (!record.messages.empty()) step.log(record);
    record.messages.clear();
  };
  for (; portion > 0 && step.budget > 0 && task.moved < task.to_move; --portion, --step.budget) {
    const Slot slot = from.backlog.peek(now);
    if (slot == kNoSlot || expired(from, slab[slot])) break;
    const bool own = task.asked.destination == QueueId{};
    QueueState* const to = find(own ? QueueId{slab[slot].source} : task.asked.destination);
    if (to == nullptr || to == &from || to->fifo != from.fifo) {
      flush();
      return end_move(task, MoveStatus::kFailed,
                      own ? "CouldNotDetermineMessageSource" : "AWS.SimpleQueueService.NonExistentQueue",
                      step);
    }
    if (record.destination != to->queue.id) flush();
    record.destination = to->queue.id;
    const Seq was = slab[slot].seq;
    redrive(from, *to, slot, task);
    record.messages.push_back({was, slab[slot].seq});
    step.touch(*to);
  }
  flush();
  step.touch(from);
  if (step.budget > 0 && (task.moved == task.to_move || from.backlog.size() == 0)) {
    --step.budget;
    return end_move(task, MoveStatus::kCompleted, {}, step);
  }
  task.next = now + (from.backlog.peek(now) == kNoSlot ? kMoveWait : pause);
}

void Engine::State::carry_on_moves(Step& step) {
  for (MoveTask& task : moves) {
    if (task.status == MoveStatus::kRunning && task.next <= now && step.budget > 0) carry_on(task, step);
  }
  finish(step);
}

Time Engine::State::next_move() const {
  Time next = Time::max();
  for (const MoveTask& task : moves) {
    if (task.status == MoveStatus::kRunning) next = std::min(next, task.next);
  }
  return next;
}

// --- commands ---

Outcome<void> Engine::start_move(const StartMove& request, Time at, Effects& out) {
  State& s = *state_;
  const QueueState* const from = s.find(request.source);
  const QueueState* const to = s.find(request.destination);
  if (from == nullptr) return std::unexpected(Fault::kNoSuchQueue);
  if (request.destination != QueueId{} && to == nullptr) return std::unexpected(Fault::kNoSuchQueue);
  if (request.per_second > kMoveRateMax || to == from || (to != nullptr && to->fifo != from->fifo) ||
      s.find_move(request.id) != nullptr) {
    return std::unexpected(Fault::kInvalid);
  }
  const auto is_source = [&](const auto& entry) {
    const auto& redrive = entry.second->queue.attributes.redrive;
    return redrive && redrive->dead_letter == request.source;
  };
  if (std::ranges::none_of(s.by_name, is_source)) return std::unexpected(Fault::kNotDeadLetter);
  std::size_t running = 0;
  for (const MoveTask& task : s.moves) {
    if (task.status != MoveStatus::kRunning) continue;
    if (task.asked.source == request.source) return std::unexpected(Fault::kMoveRunning);
    ++running;
  }
  if (running >= kMovesRunning) return std::unexpected(Fault::kOverLimit);
  Step step = s.step(at, out);
  MoveTask task{.asked = request, .started = step.now, .to_move = from->backlog.size()};
  if (task.asked.per_second == 0) task.asked.per_second = kMoveRateMax;
  step.log(MoveStarted{task.asked, task.started, task.to_move});
  s.add_move(std::move(task));
  return {};
}

Outcome<std::uint64_t> Engine::cancel_move(const Uuid& id, Time at, Effects& out) {
  State& s = *state_;
  MoveTask* const task = s.find_move(id);
  if (task == nullptr) return std::unexpected(Fault::kNoSuchMove);
  if (task->status != MoveStatus::kRunning) return std::unexpected(Fault::kMoveEnded);
  Step step = s.step(at, out);
  s.end_move(*task, MoveStatus::kCancelled, {}, step);
  return task->moved;
}

std::vector<MoveTask> Engine::moves(QueueId source) const {
  std::vector<MoveTask> out;
  for (const MoveTask& task : state_->moves) {
    if (task.asked.source == source) out.push_back(task);
  }
  std::ranges::reverse(out);
  return out;
}

}  // namespace hr::queue
