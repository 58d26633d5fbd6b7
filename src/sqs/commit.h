// Service::commit(), for the files that hold its actions. Internal to this layer.
#pragma once

#include "base/check.h"
#include "net/runtime.h"
#include "sqs/faults.h"
#include "sqs/service.h"

#include <optional>
#include <type_traits>
#include <utility>

namespace hr::sqs {

template <class T>
net::Task<Outcome<T>> Service::commit(commit::Cost cost, storage::Release release, Decide<T> decide) {
  std::optional<queue::Outcome<T>> decided;
  const Status status = co_await net::await_call<Status>([&](auto done) {
    parts_.store.change_queues(
        cost, release,
        [&](queue::Engine& engine, Time now, queue::Effects& effects) {
          decided.emplace(decide(engine, now, effects));
        },
        std::move(done));
  });
  if (!status) co_return std::unexpected(to_error(status.error()));
  HR_CHECK(decided.has_value());
  if (!*decided) co_return std::unexpected(to_error(decided->error()));
  if constexpr (std::is_void_v<T>) {
    co_return Outcome<void>();
  } else {
    co_return std::move(**decided);
  }
}

// The parts of a queue::Bound and the space it may use.
inline commit::Cost cost_of(const queue::Bound& bound, storage::Space space) {
  return {.records = bound.records, .bytes = bound.bytes, .space = space};
}

}  // namespace hr::sqs
