#include "commit/store.h"

#include "base/check.h"
#include "codec/digest.h"
#include "queue/message.h"

#include <algorithm>
#include <utility>

namespace hr::commit {
namespace {

// An event document: a key of 1,024 bytes is three times as long when URL-encoded, and the rest is fixed.
constexpr std::uint64_t kBytesPerEvent = 8U << 10;

// Groups that are enough for a flush of their own, however many come together.
constexpr std::size_t kEnoughForAFlush = 32;

// Changes that may be answered before the index shows them: beyond, writers wait for the applier.
constexpr std::size_t kUnappliedMax = 1'000;

constexpr std::size_t index_of(auto point) { return static_cast<std::size_t>(point); }

}  // namespace

Store::Store(Parts parts) : parts_(std::move(parts)) {
  appended_ = durable_appended_ = objects_appended_ = parts_.recovered;
  std::ranges::fill(reached_, parts_.recovered);
}

void Store::change_queues(const Cost& cost, storage::Release release, const DecideQueues& decide, Done done) {
  ++stats_.commands;
  if (auto admitted = admit(cost); !admitted) return done(std::move(admitted));
  Group group{.now = now()};
  decide(parts_.queues, group.now, group.queues);
  if (auto appended = append(group, cost.space, release); !appended) return done(std::move(appended));
  if (release == storage::Release::kWritten) return answer_at(Point::kWritten, appended_, std::move(done));
  // Where nothing was appended, the newest group need not be one that the log thread syncs on its own.
  answer_at(Point::kDurable, durable_appended_, std::move(done));
}

queue::WaiterId Store::receive(queue::QueueId queue, queue::ReceiveRequest request, ReceiveDone done) {
  ++stats_.commands;
  const auto bound = parts_.queues.bound(static_cast<std::size_t>(std::max(1, request.max_messages)));
  if (auto admitted =
          admit({.records = bound.records, .bytes = bound.bytes, .space = storage::Space::kShrink});
      !admitted) {
    done(std::unexpected(admitted.error()));
    return {};
  }
  Group group{.now = now()};
  request.waiter = queue::WaiterId{next_waiter_++};
  auto outcome = parts_.queues.receive(queue, request, group.now, group.queues);
  if (auto appended = append(group, storage::Space::kShrink, storage::Release::kWritten); !appended) {
    done(std::unexpected(appended.error()));
    return {};
  }
  if (!outcome) {
    done(queue::Outcome<std::vector<queue::Delivery>>(std::unexpected(outcome.error())));
    return {};
  }
  if (outcome->parked) {
    receivers_.emplace(request.waiter, std::move(done));
    return request.waiter;
  }
  const storage::Lsn lsn = group.queues.records.empty() ? 0 : appended_;
  answer_at(Point::kWritten, lsn,
            [deliveries = std::move(outcome->deliveries), back = std::move(done)](Status status) mutable {
              if (!status) return back(std::unexpected(status.error()));
              back(queue::Outcome<std::vector<queue::Delivery>>(std::move(deliveries)));
            });
  return {};
}

void Store::cancel(queue::WaiterId waiter) {
  auto receiver = receivers_.extract(waiter);
  if (receiver.empty()) return;
  parts_.queues.cancel(waiter);
  receiver.mapped()(fail(Errc::kClosed, "the receiver has gone"));
}

void Store::change_objects(const Cost& cost, const DecideObjects& decide, Done done, Answered when) {
  ++stats_.commands;
  Cost whole = cost;
  whole.records += cost.events;
  whole.bytes += cost.events * kBytesPerEvent;
  if (auto admitted = admit(whole); !admitted) return done(std::move(admitted));
  Group group{.now = now()};
  decide(parts_.objects, group.now, group.objects);
  send_events(group);
  if (auto appended = append(group, cost.space, storage::Release::kDurable); !appended) {
    return done(std::move(appended));
  }
  const bool early = when == Answered::kDurable && parts_.objects.pending() <= kUnappliedMax;
  answer_at(early ? Point::kDurable : Point::kApplied, objects_appended_, std::move(done));
}

void Store::when_applied(Done done) {
  if (failed_) return done(std::unexpected(*failed_));
  answer_at(Point::kApplied, objects_appended_, std::move(done));
}

bool Store::tick() {
  deadline_ = Time::max();
  if (!admit({.records = 0, .space = storage::Space::kShrink}))
    return false;  // dead or no room even in the reserve: leases end later, never early
  Group group{.now = now()};
  parts_.queues.tick(group.now, group.queues);
  return append(group, storage::Space::kShrink, storage::Release::kWritten).has_value();
}

// Beside its own cost a command may log what is due (bound(0)): leases given to waiting receivers, expiries.
Status Store::admit(const Cost& cost) {
  if (failed_) return std::unexpected(*failed_);
  const auto due = parts_.queues.bound(0);
  if (space_low_ && cost.space == storage::Space::kGrow) {
    ++stats_.refused;
    return fail(Errc::kNoSpace, "the disk is nearly full");
  }
  auto admitted = parts_.log.admit(cost.records + due.records, cost.bytes + due.bytes, cost.space);
  if (!admitted) ++stats_.refused;
  return admitted;
}

// The engines have decided: from here the group is logged, or the store is dead.
Status Store::append(Group& group, storage::Space space, storage::Release release) {
  auto& records = group.queues.records;
  const std::size_t queue_records = records.size();
  std::move(group.objects.records.begin(), group.objects.records.end(), std::back_inserter(records));
  if (!records.empty()) {
    auto appended = parts_.log.append(records, space, release, group.now);
    if (!appended) {
      on_failed(appended.error());
      return std::unexpected(*failed_);
    }
    ++stats_.groups;
    appended_one();
    appended_ = appended->lsn;
    if (release == storage::Release::kDurable) durable_appended_ = appended_;
    parts_.queues.place(group.queues, appended->at);
    const std::span objects = std::span(records).subspan(queue_records);
    if (!objects.empty()) {
      objects_appended_ = appended_;
      parts_.objects.appended(objects, appended_);
      for (auto& record : objects) applicable_.push_back({appended_, record.kind, std::move(record.payload)});
    }
  }
  wake(group);
  watch_deadline();
  return {};
}

// Many come in one turn of the reactor: one flush for all of them, but none waits for very many.
void Store::appended_one() {
  if (!kick_soon_) return parts_.log.kick();
  if (++not_kicked_ == 1) {
    first_not_kicked_ = parts_.clock.boottime();
    return kick_soon_();
  }
  if (kicks_now()) kick();
}

// N that one flush F carries take N*s + F, where each takes s to sequence; as two halves, one written while
// the other is sequenced, 2F. So half of those that are about go when they have taken half of F.
bool Store::kicks_now() const {
  if (not_kicked_ < std::min(kEnoughForAFlush, at_once_ / 2)) return false;
  return parts_.clock.boottime() - first_not_kicked_ >= flush_takes_() / 2;
}

void Store::kick() {
  if (std::exchange(not_kicked_, 0) != 0) parts_.log.kick();
}

void Store::watch_deadline() {
  const Time next = next_deadline();
  if (next >= deadline_) return;
  deadline_ = next;
  if (parts_.deadline_moved) parts_.deadline_moved(next);
}

void Store::send_events(Group& group) {
  for (const auto& event : group.objects.events) {
    const queue::Queue* queue = queue_of_arn(event.queue_arn);
    const queue::SendEntry entry{.id = parts_.entropy.uuid(),
                                 .content = queue::encode_content({.body = event.body,
                                                                   .attributes = {},
                                                                   .md5_of_body = codec::md5_hex(event.body),
                                                                   .md5_of_attributes = {},
                                                                   .sender = "s3.amazonaws.com",
                                                                   .trace_header = {},
                                                                   .group = {}}),
                                 .delay = {}};
    if (queue != nullptr && parts_.queues.send(queue->id, std::span(&entry, 1), group.now, group.queues))
      continue;
    ++stats_.events_undeliverable;
    parts_.diary.warning("event.undeliverable", {{"queue", event.queue_arn}});
  }
}

const queue::Queue* Store::queue_of_arn(std::string_view arn) const {
  constexpr std::string_view kPrefix = "arn:aws:sqs:";
  if (!arn.starts_with(kPrefix)) return nullptr;
  const std::size_t region = arn.find(':', kPrefix.size());
  const std::size_t account = region == arn.npos ? arn.npos : arn.find(':', region + 1);
  if (account == arn.npos) return nullptr;
  return parts_.queues.find(arn.substr(region + 1, account - region - 1), arn.substr(account + 1));
}

void Store::wake(Group& group) {
  for (auto& wakeup : group.queues.wakeups) {
    auto receiver = receivers_.extract(wakeup.waiter);
    HR_CHECK(!receiver.empty());  // cancel() tells the engine too
    answer_at(Point::kWritten, wakeup.deliveries.empty() ? 0 : appended_,
              [deliveries = std::move(wakeup.deliveries),
               back = std::move(receiver.mapped())](Status status) mutable {
                if (!status) return back(std::unexpected(status.error()));
                back(queue::Outcome<std::vector<queue::Delivery>>(std::move(deliveries)));
              });
  }
}

void Store::answer_at(Point point, storage::Lsn lsn, Done done) {
  if (lsn <= reached_[index_of(point)]) return done({});
  waiting_[index_of(point)].push_back({lsn, std::move(done)});
}

void Store::on_written(storage::Lsn upto) { reach(Point::kWritten, upto); }

void Store::on_durable(storage::Lsn upto) {
  if (upto > reached_[index_of(Point::kDurable)])
    at_once_ = std::max(waiting_[index_of(Point::kDurable)].size(), at_once_ * 7 / 8);
  reach(Point::kDurable, upto);
}

storage::Lsn Store::durable() const { return reached_[index_of(Point::kDurable)]; }

void Store::on_applied(storage::Lsn upto) {
  parts_.objects.applied(upto);
  reach(Point::kApplied, upto);
}

// Answers may submit further commands: each is taken out before it is called.
void Store::reach(Point point, storage::Lsn upto) {
  auto& reached = reached_[index_of(point)];
  reached = std::max(reached, upto);
  auto& waiting = waiting_[index_of(point)];
  while (!waiting.empty() && waiting.front().lsn <= reached) {
    Done done = std::move(waiting.front().done);
    waiting.pop_front();
    done({});
  }
}

void Store::on_failed(const Error& error) {
  if (!failed_) failed_ = error;
  for (auto& waiting : waiting_) {
    for (auto answers = std::exchange(waiting, {}); auto& answer : answers)
      answer.done(std::unexpected(error));
  }
  for (auto receivers = std::exchange(receivers_, {}); auto& [waiter, done] : receivers) {
    done(std::unexpected(error));
  }
}

std::vector<object::AppliedRecord> Store::take_applicable(storage::Lsn durable) {
  const auto end =
      std::ranges::find_if(applicable_, [&](const auto& record) { return record.lsn > durable; });
  std::vector<object::AppliedRecord> taken(std::make_move_iterator(applicable_.begin()),
                                           std::make_move_iterator(end));
  applicable_.erase(applicable_.begin(), end);
  return taken;
}

StoreStats Store::stats() const {
  StoreStats stats = stats_;
  for (const auto& waiting : waiting_) stats.waiting_answers += waiting.size();
  stats.waiters = receivers_.size();
  return stats;
}

}  // namespace hr::commit
