// One simulated life of a store of objects, from a seed: clients that read the index and decide later, a log
// that becomes durable and is applied some time behind them, power cuts, and the model asked the same. Ends
// at the first difference.
#pragma once

#include "object_subject.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace hr::sim {

using MakeObjectSubject = std::function<std::unique_ptr<ObjectSubject>(object::Limits)>;

struct ObjectRun {
  std::uint64_t operations = 0;  // commands and reads
  std::uint64_t stale = 0;       // commands told to read again
  std::uint64_t crashes = 0;
  std::uint64_t swept = 0;
  std::optional<std::string> difference;  // none: subject and model agree
};

ObjectRun run_objects(std::uint64_t seed, std::uint64_t operations, const MakeObjectSubject& make);

}  // namespace hr::sim
