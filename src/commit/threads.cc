#include "commit/threads.h"

#include <iterator>
#include <utility>

namespace hr::commit {
namespace {

// How long the log thread waits before it writes an idle mark, and the applier before it looks at its clock.
constexpr Duration kIdle = 1s;

}  // namespace

Threads::Threads(Parts parts) : parts_(std::move(parts)) {}

Threads::~Threads() { stop(); }

void Threads::start() {
  log_thread_ = std::thread([this] { run_log(); });
  applier_thread_ = std::thread([this] { run_applier(); });
}

void Threads::stop() {
  if (!log_thread_.joinable()) return;
  stopping_ = true;
  parts_.log.wake();
  log_thread_.join();
  deliver();
  {
    const std::lock_guard lock(mutex_);
    applier_stopping_ = true;
  }
  wake_applier_.notify_one();
  applier_thread_.join();
  deliver();
}

void Threads::run_log() {
  while (true) {
    const bool work = parts_.log.wait(kIdle);
    if (auto status = work ? log_step() : parts_.log.mark(); !status) return die(status.error());
    if (!work && stopping_) return;
  }
}

Status Threads::log_step() {
  HR_ASSIGN(const storage::Lsn written, parts_.log.write());
  written_ = written;
  report();
  if (!parts_.log.wants_sync()) return {};
  HR_ASSIGN(const storage::Lsn durable, parts_.log.sync());
  durable_ = durable;
  report();
  return {};
}

void Threads::run_applier() {
  while (true) {
    std::vector<object::AppliedRecord> batch;
    storage::Lsn upto = 0;
    bool last = false;
    {
      std::unique_lock lock(mutex_);
      wake_applier_.wait_for(lock, kIdle, [&] { return applier_stopping_ || !to_apply_.empty(); });
      batch = std::exchange(to_apply_, {});
      upto = apply_upto_;
      last = applier_stopping_;
    }
    if (!batch.empty()) {
      auto applied = parts_.applier.apply(batch, upto);
      if (!applied) return die(applied.error());
      applied_ = *applied;
      report();
    }
    if (auto flushed = parts_.applier.maybe_flush(parts_.clock.now()); !flushed) return die(flushed.error());
    if (last && batch.empty()) break;
  }
  flush();
}

void Threads::flush() {
  if (auto flushed = parts_.applier.flush(); !flushed) die(flushed.error());
}

void Threads::report() {
  if (report_pending_.exchange(true)) return;
  parts_.post([this] { deliver(); });
}

void Threads::deliver() {
  report_pending_ = false;
  const storage::Lsn durable = durable_;
  parts_.store.on_written(written_);
  parts_.store.on_durable(durable);
  if (auto records = parts_.store.take_applicable(); !records.empty()) hand_over(std::move(records), durable);
  parts_.store.on_applied(applied_);
}

void Threads::hand_over(std::vector<object::AppliedRecord> records, storage::Lsn upto) {
  {
    const std::lock_guard lock(mutex_);
    apply_upto_ = upto;
    if (to_apply_.empty()) {
      to_apply_ = std::move(records);
    } else {
      std::move(records.begin(), records.end(), std::back_inserter(to_apply_));
    }
  }
  wake_applier_.notify_one();
}

void Threads::die(const Error& error) {
  parts_.post([this, error] {
    parts_.store.on_failed(error);
    parts_.failed(error);
  });
}

}  // namespace hr::commit
