// One simulated life of a queue engine, from a seed: random commands, a virtual clock, restarts, and the
// model asked the same. Ends at the first difference.
#pragma once

#include "queue_subject.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace hr::sim {

using MakeSubject = std::function<std::unique_ptr<QueueSubject>(queue::Limits)>;

struct QueueRun {
  std::uint64_t operations = 0;
  std::uint64_t messages = 0;
  std::uint64_t restarts = 0;
  std::optional<std::string> difference;  // none: engine and model agree
};

QueueRun run_queue(std::uint64_t seed, std::uint64_t operations, const MakeSubject& make);

// Damaged logs: restore() of bytes that are random or one of the run's records changed a little must end in
// an error or in a state that audit() finds sound. The number of accepted records is returned.
struct DamageRun {
  std::uint64_t tried = 0;
  std::uint64_t accepted = 0;
  std::optional<std::string> difference;
};
DamageRun run_damage(std::uint64_t seed, std::uint64_t operations);

}  // namespace hr::sim
