// The requests of a worker: actions into calls of the two services, answers into reports.
#include "task/names.h"
#include "worker/worker.h"

#include <boost/asio/as_tuple.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace hr::worker {
namespace {

constexpr std::chrono::seconds kWaitMax{20};  // SQS's own
constexpr Duration kPrepareBackoff = 200ms;
constexpr Duration kPrepareBackoffMax = 5s;
constexpr Nanos kSayEvery = std::chrono::seconds(10);

Failure failure_of(const remote::Fault& fault) {
  Failure out{.kind = Failure::Kind::kTransient, .text = fault.text()};
  if (fault.kind == remote::FaultKind::kMissing) out.kind = Failure::Kind::kMissing;
  if (fault.kind == remote::FaultKind::kRefused || fault.kind == remote::FaultKind::kConflict) {
    out.kind = Failure::Kind::kRefused;
  }
  return out;
}

// Of one entry with a receipt: what the sender is blamed for is a receipt that no longer counts.
Outcome<void> outcome_of(const std::expected<void, remote::Fault>& entry) {
  if (entry) return {};
  Failure failure = failure_of(entry.error());
  if (failure.kind == Failure::Kind::kRefused) failure.kind = Failure::Kind::kLost;
  return std::unexpected(std::move(failure));
}

Outcome<std::vector<Outcome<void>>> outcomes_of(const remote::Answer<remote::EachOutcome>& answer) {
  if (!answer) return std::unexpected(failure_of(answer.error()));
  std::vector<Outcome<void>> out;
  out.reserve(answer->size());
  for (const auto& entry : *answer) out.push_back(outcome_of(entry));
  return out;
}

template <class T>
Outcome<Bytes> outcome_of(remote::Answer<T> answer) {
  if (!answer) return std::unexpected(failure_of(answer.error()));
  if constexpr (std::is_same_v<T, Bytes>) return std::move(*answer);
  return Bytes();
}

}  // namespace

void Worker::act(Receive action) {
  const auto cancel = std::make_shared<remote::Cancel>();
  receives_[action.op] = cancel;
  runtime_.spawn(gate_, "worker.receive", receive(action, cancel));
}

void Worker::act(CancelReceive action) {
  if (const auto found = receives_.find(action.op); found != receives_.end()) (*found->second)();
}

void Worker::act(ChangeVisibility action) {
  runtime_.spawn(gate_, "worker.visibility", change_visibility(std::move(action)));
}
void Worker::act(DeleteMessages action) { runtime_.spawn(gate_, "worker.delete", erase(std::move(action))); }
void Worker::act(PutObject action) { runtime_.spawn(gate_, "worker.put", put(std::move(action))); }
void Worker::act(GetObject action) { runtime_.spawn(gate_, "worker.get", get(std::move(action))); }
void Worker::act(EraseObject action) {
  runtime_.spawn(gate_, "worker.erase", erase_object(std::move(action)));
}
void Worker::act(SendDead action) { runtime_.spawn(gate_, "worker.send", send_dead(std::move(action))); }
void Worker::act(Prepare action) {
  runtime_.spawn(gate_, "worker.prepare", prepare(std::move(action.ready)));
}

net::Task<void> Worker::receive(Receive action, std::shared_ptr<remote::Cancel> cancel) {
  const auto visibility = std::chrono::duration_cast<std::chrono::seconds>(setup_.pool.lease);
  // A lease counts from before the request: a message that comes at the end of the wait has two thirds left.
  const auto wait = std::min(kWaitMax, std::chrono::floor<std::chrono::seconds>(setup_.pool.lease / 3));
  auto answer = co_await sqs_.receive({.queue_url = urls_[action.queue].url,
                                       .max = action.max,
                                       .visibility_s = static_cast<int>(visibility.count()),
                                       .wait_s = static_cast<int>(wait.count()),
                                       .attributes = action.attributes},
                                      {.timeout = setup_.pool.request_timeout}, cancel.get());
  receives_.erase(action.op);
  Outcome<std::vector<Message>> messages;
  if (answer) {
    for (auto& message : *answer) {
      messages->push_back({.id = std::move(message.id),
                           .receipt = std::move(message.receipt),
                           .body = std::move(message.body),
                           .receives = message.receives,
                           .sent = message.sent,
                           .attributes = std::move(message.attributes)});
    }
  } else {
    messages = std::unexpected(failure_of(answer.error()));
  }
  pool_.received(action.op, std::move(messages), now());
  carry_out();
}

net::Task<void> Worker::change_visibility(ChangeVisibility action) {
  std::vector<remote::VisibilityEntry> entries;
  for (const Visibility& entry : action.entries) entries.push_back({entry.receipt, entry.seconds});
  const auto answer = co_await sqs_.change_visibility(urls_[action.queue].url, std::move(entries),
                                                      {.timeout = action.timeout});
  pool_.visibility_changed(action.op, outcomes_of(answer), now());
  carry_out();
}

net::Task<void> Worker::erase(DeleteMessages action) {
  const auto answer =
      co_await sqs_.erase(urls_[action.queue].url, std::move(action.receipts), {.timeout = action.timeout});
  pool_.deleted(action.op, outcomes_of(answer), now());
  carry_out();
}

net::Task<void> Worker::put(PutObject action) {
  auto answer = co_await s3_.put({.bucket = task::system_bucket(setup_.app),
                                  .key = std::move(action.key),
                                  .body = std::move(action.body),
                                  .content_type = "application/json"},
                                 {.timeout = action.timeout, .request_id = std::move(action.request_id)});
  pool_.finished(action.op, outcome_of(std::move(answer)), now());
  carry_out();
}

net::Task<void> Worker::get(GetObject action) {
  auto answer =
      co_await s3_.get(task::system_bucket(setup_.app), std::move(action.key), {.timeout = action.timeout});
  pool_.finished(action.op, outcome_of(std::move(answer)), now());
  carry_out();
}

net::Task<void> Worker::erase_object(EraseObject action) {
  const auto answer =
      co_await s3_.erase(task::system_bucket(setup_.app), std::move(action.key), {.timeout = action.timeout});
  pool_.finished(action.op, answer ? Outcome<Bytes>() : std::unexpected(failure_of(answer.error())), now());
  carry_out();
}

net::Task<void> Worker::send_dead(SendDead action) {
  auto answer = co_await sqs_.send({.queue_url = urls_[action.queue].dead_url,
                                    .body = std::move(action.body),
                                    .attributes = std::move(action.attributes),
                                    .dedup_id = std::move(action.dedup_id)},
                                   {.timeout = action.timeout, .request_id = std::move(action.request_id)});
  pool_.finished(action.op, outcome_of(std::move(answer)), now());
  carry_out();
}

// Waits for services that are not there yet, and says so now and then; what they refuse ends the worker.
net::Task<void> Worker::prepare(Ready ready) {
  const Setup setup = plan_setup(setup_.app, setup_.queues, ready);
  boost::asio::steady_timer pause(runtime_.context());
  Duration backoff = kPrepareBackoff;
  Nanos said{};
  for (;;) {
    auto urls = co_await prepare_services(sqs_, s3_, setup, setup_.create);
    if (urls) {
      for (const Bytes& queue : setup.polled) urls_.push_back(urls->at(queue));
      break;
    }
    if (!urls.error().transient()) {
      act(Exit{Exit::How::kConfiguration, urls.error().text()});
      co_return;
    }
    if (said == Nanos{} || clock_.boottime() - said >= kSayEvery) {
      said = clock_.boottime();
      act(Say{Severity::kWarning,
              "services_unreachable",
              {{"endpoint", setup_.services.sqs.endpoint.text}, {"reason", urls.error().text()}}});
    }
    pause.expires_after(backoff);
    co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    backoff = std::min(backoff * 2, kPrepareBackoffMax);
  }
  co_await prove_conditions();
  co_await caretaker_.look();
  if (pool_.draining()) co_return;
  if (setup_.predecessor != 0) co_await take_over();
  if (exit_) co_return;
  pool_.prepared(setup.polled, sqs_.batch_max(), now());
  carry_out();
  act(Say{Severity::kNotice,
          "worker_ready",
          {{"pool", setup_.pool.name}, {"queues", fmt::format("{}", fmt::join(setup.polled, ","))}}});
  hooks_.ready();
  runtime_.spawn(gate_, "worker.watch", caretaker_.watch());
  runtime_.spawn(gate_, "worker.later", caretaker_.send_later());
  runtime_.spawn(gate_, "worker.sweep", caretaker_.sweep());
}

// What must be decided once, by whichever host comes first, is decided by a conditional write.
net::Task<void> Worker::prove_conditions() {
  const auto honoured = co_await honours_conditions(s3_, task::system_bucket(setup_.app));
  conditional_writes_ = honoured.value_or(false);
  caretaker_.trust_conditions(conditional_writes_);
  if (conditional_writes_) co_return;
  act(Say{Severity::kWarning,
          "conditional_writes_missing",
          {{"bucket", task::system_bucket(setup_.app)},
           {"reason",
            honoured ? "it takes a second If-None-Match: * put of the same key" : honoured.error().text()}}});
}

}  // namespace hr::worker
