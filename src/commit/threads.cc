#include "commit/threads.h"

#include <iterator>
#include <utility>

namespace hr::commit {
namespace {

// How long the log thread waits before it writes an idle mark, and the applier before it looks at its clock.
constexpr Duration kIdle = 1s;

}  // namespace

Threads::Threads(Parts parts)
    : parts_(std::move(parts)),
      log_(*parts_.recovered.log),
      applier_(*parts_.recovered.applier),
      keeper_({.store = parts_.store,
               .queues = *parts_.recovered.queues,
               .log = *parts_.recovered.log,
               .files = *parts_.recovered.state,
               .index = *parts_.recovered.index,
               .flush_index =
                   [this] {
                     const std::lock_guard lock(mutex_);
                     flush_asked_ = true;
                     wake_applier_.notify_one();
                   },
               .drop_log =
                   [this](storage::Lsn lsn, std::uint32_t segment) {
                     {
                       const std::lock_guard lock(drop_mutex_);
                       drop_ = {lsn, segment};
                     }
                     log_.wake();
                   },
               .diary = parts_.diary},
              parts_.keeper, parts_.recovered.report.bytes_read) {}

Threads::~Threads() { stop(); }

void Threads::start() {
  parts_.store.kick_through([this] { parts_.post([this] { parts_.store.kick(); }); },
                            [this] { return flush_takes_.load(std::memory_order_relaxed); });
  log_thread_ = std::thread([this] { run_log(); });
  applier_thread_ = std::thread([this] { run_applier(); });
  keeper_thread_ = std::thread([this] { run_keeper(); });
}

void Threads::stop() {
  if (!log_thread_.joinable()) return;
  {
    const std::lock_guard lock(keeper_mutex_);
    keeper_stopping_ = true;
  }
  wake_keeper_.notify_one();
  errand_moves_.notify_all();
  keeper_thread_.join();
  stopping_ = true;
  log_.wake();
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
    const bool work = log_.wait(kIdle);
    if (auto status = work ? log_step() : log_.mark(); !status) return die(status.error());
    if (auto status = drop(); !status) return die(status.error());
    if (!work && stopping_) return;
  }
}

Status Threads::drop() {
  std::optional<std::pair<storage::Lsn, std::uint32_t>> asked;
  {
    const std::lock_guard lock(drop_mutex_);
    asked = std::exchange(drop_, std::nullopt);
  }
  return asked ? log_.drop_before(asked->first, asked->second) : Status();
}

Status Threads::log_step() {
  HR_ASSIGN(const storage::Lsn written, log_.write());
  written_ = written;
  report();
  if (!log_.wants_sync()) return {};
  const Nanos began = parts_.clock.boottime();
  HR_ASSIGN(const storage::Lsn durable, log_.sync());
  durable_ = durable;
  const Nanos before = flush_takes_.load(std::memory_order_relaxed);
  flush_takes_ = before + (parts_.clock.boottime() - began - before) / 8;
  report();
  return {};
}

void Threads::run_applier() {
  while (true) {
    std::vector<object::AppliedRecord> batch;
    storage::Lsn upto = 0;
    bool last = false, asked = false;
    {
      std::unique_lock lock(mutex_);
      wake_applier_.wait_for(lock, kIdle,
                             [&] { return applier_stopping_ || flush_asked_ || !to_apply_.empty(); });
      batch = std::exchange(to_apply_, {});
      upto = apply_upto_;
      last = applier_stopping_;
      asked = std::exchange(flush_asked_, false);
    }
    if (!batch.empty() || asked) {
      auto applied = applier_.apply(batch, upto);
      if (!applied) return die(applied.error());
      applied_ = *applied;
      report();
    }
    auto flushed = asked ? applier_.flush() : applier_.maybe_flush(parts_.clock.now());
    if (!flushed) return die(flushed.error());
    if (last && batch.empty()) break;
  }
  flush();
}

// --- the keeper ---

void Threads::run_keeper() {
  while (keeper_pauses(keeper_.pause())) {
    run_errand();
    const Status done = keeper_.next() == Keeper::Where::kOwn
                            ? keeper_.step()
                            : on_sequencer([this] { return keeper_.step(); });
    if (!done) return die(done.error());
  }
}

// False: it is to end.
bool Threads::keeper_pauses(Duration length) {
  std::unique_lock lock(keeper_mutex_);
  wake_keeper_.wait_for(lock, length, [&] { return keeper_stopping_ || errand_ != nullptr; });
  return !keeper_stopping_;
}

void Threads::run_errand() {
  Errand* errand = nullptr;
  {
    const std::lock_guard lock(keeper_mutex_);
    errand = errand_;
    if (errand == nullptr) return;
    errand->begun = true;
  }
  Status done = errand->work();
  const std::lock_guard lock(keeper_mutex_);
  errand->done = std::move(done);
  errand_ = nullptr;
  errand_moves_.notify_all();
}

Status Threads::between_steps(std::move_only_function<Status()> work) {
  Errand errand{.work = std::move(work), .begun = false, .done = {}};
  std::unique_lock lock(keeper_mutex_);
  if (errand_ != nullptr) return fail(Errc::kBusy, "the keeper has another errand");
  if (keeper_stopping_) return fail(Errc::kClosed, "the store stops");
  errand_ = &errand;
  wake_keeper_.notify_one();
  errand_moves_.wait(lock, [&] { return errand.done || (keeper_stopping_ && !errand.begun); });
  if (errand.done) return std::move(*errand.done);
  errand_ = nullptr;
  return fail(Errc::kClosed, "the store stops");
}

// Once stop() waits for the keeper nothing that is posted may run any more: the step is left undone, and
// success said of it.
Status Threads::on_sequencer(std::move_only_function<Status()> step) {
  parts_.post([this, work = std::move(step)]() mutable {
    {
      const std::lock_guard lock(keeper_mutex_);
      if (keeper_stopping_) return;
    }
    Status done = work();
    const std::lock_guard lock(keeper_mutex_);
    step_done_ = std::move(done);
    wake_keeper_.notify_one();
  });
  std::unique_lock lock(keeper_mutex_);
  wake_keeper_.wait(lock, [&] { return keeper_stopping_ || step_done_.has_value(); });
  return std::exchange(step_done_, std::nullopt).value_or(Status());
}

void Threads::flush() {
  if (auto flushed = applier_.flush(); !flushed) die(flushed.error());
}

void Threads::report() {
  if (report_pending_.exchange(true)) return;
  parts_.post([this] { deliver(); });
}

void Threads::deliver() {
  report_pending_ = false;
  const storage::Lsn durable = durable_;
  hand_over(parts_.store.take_applicable(durable), durable);  // first: it works while answers are sent
  parts_.store.on_written(written_);
  parts_.store.on_durable(durable);
  parts_.store.on_applied(applied_);
}

void Threads::hand_over(std::vector<object::AppliedRecord> records, storage::Lsn upto) {
  {
    const std::lock_guard lock(mutex_);
    apply_upto_ = upto;
    if (records.empty()) return;
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
