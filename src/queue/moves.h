// Message move tasks (StartMessageMoveTask in the API Reference): a dead-letter queue's messages go back to
// where they came from, or to another queue, some each second, until as many have been moved as there were at
// the start. A moved message counts as new: another id, its retention and its receives begin again.
#pragma once

#include "base/time.h"
#include "base/uuid.h"
#include "queue/queue.h"

#include <cstdint>
#include <string>

namespace hr::queue {

enum class MoveStatus : std::uint8_t { kRunning, kCompleted, kCancelled, kFailed };

struct StartMove {
  Uuid id;  // chosen by the caller
  QueueId source{};
  QueueId destination{};         // 0: each message's own source
  std::uint32_t per_second = 0;  // 1 to kMoveRateMax; 0: kMoveRateMax
};

struct MoveTask {
  StartMove asked;
  Time started;
  std::uint64_t to_move = 0;  // messages in the source when it started
  std::uint64_t moved = 0;
  MoveStatus status = MoveStatus::kRunning;
  std::string failure{};  // FailureReason; of a failed one

  Time next{};  // not before then does it move more; no part of the state
};

inline constexpr std::uint32_t kMoveRateMax = 500;
inline constexpr std::size_t kMovesListed = 10;    // of one source, the newest: older ones are forgotten
inline constexpr std::size_t kMovesRunning = 100;  // of all queues

}  // namespace hr::queue
