// The queues of an application as people look at them: how much waits, runs, is delayed and has died, and
// since when the oldest waits. Asked of the services, on the reactor of an Operator.
#pragma once

#include "headrace/operator.h"
#include "headrace/queue_look.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hr {

struct QueueRow {
  api::QueueCounts counts;
  std::int64_t oldest = 0;                // sent then, Unix ms; 0: nothing waits, or it cannot be known
  std::int64_t oldest_untouched = 0;      // the same of those that nobody has received yet
  std::optional<std::int64_t> dead = {};  // in its dead-letter queue; none: it has none
  bool paused = false;
};

// `first`: those that wait for longest, in their order. Pure.
void add_ages(QueueRow& row, const std::vector<SeenMessage>& first);

// These, or all but the dead-letter queues of others. kNotFound: no queue of that name; kUnavailable.
net::Task<Result<std::vector<QueueRow>>> queue_rows(Operator& here, std::vector<std::string> names);

}  // namespace hr
