#include "worker/caretaker.h"

#include "codec/json.h"
#include "task/documents.h"
#include "task/envelope.h"
#include "task/names.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <deque>
#include <utility>

namespace hr::worker {
namespace {

constexpr Duration kLookEvery = 2s;
constexpr Duration kSendEvery = 60s;
// What is due so soon is sent with SQS's own delay: twice looked at before its time, and never early.
constexpr Duration kAhead = 10min;
constexpr std::int64_t kDelayMost_s = 900;
constexpr Duration kClaim = 60s;          // and then another worker may send it
constexpr Duration kClaimStands = 1s;     // where only the last word tells whose it is
constexpr std::size_t kNearMax = 10'000;  // keys at a time
constexpr std::size_t kTakers = 16;
constexpr Duration kTouchAfter = 24h;  // of arguments that wait with their message
constexpr ByteView kCancelPrefix = "cancel/";

}  // namespace

bool is_near(ByteView key, Time now) { return key < task::later_key(to_ms(now + kAhead), ""); }

Result<std::set<Bytes>> read_paused(ByteView control) {
  HR_ASSIGN(const auto json, codec::parse_json(control));
  std::set<Bytes> out;
  const codec::Json* paused = json.find("paused");
  if (!json.is_object() || (paused != nullptr && paused->as_array() == nullptr)) {
    return fail(Errc::kInvalid, "\"paused\" must be a list of queues");
  }
  if (paused == nullptr) return out;
  for (const codec::Json& queue : *paused->as_array()) {
    if (queue.as_string() != nullptr) out.insert(*queue.as_string());
  }
  return out;
}

Caretaker::Caretaker(Parts parts, Bytes bucket, Bytes name, Duration results_kept, Hears hears)
    : runtime_(parts.runtime),
      sqs_(parts.sqs),
      s3_(parts.s3),
      services_(parts.services),
      entropy_(parts.entropy),
      log_(parts.log),
      bucket_(std::move(bucket)),
      name_(std::move(name)),
      results_kept_(results_kept),
      hears_(std::move(hears)) {}

net::Task<void> Caretaker::pause(Duration time) {
  boost::asio::steady_timer timer(runtime_.context(), time);
  co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

// ---- what people have asked for

net::Task<void> Caretaker::watch() {
  for (;;) {
    co_await pause(kLookEvery);
    co_await look();
  }
}

net::Task<void> Caretaker::look() {
  co_await look_at_control();
  co_await look_at_cancelled();
}

net::Task<void> Caretaker::look_at_control() {
  const auto text = co_await s3_.get(bucket_, Bytes(task::kControlKey));
  if (!text && text.error().kind != remote::FaultKind::kMissing) co_return;
  auto paused = text ? read_paused(*text) : std::set<Bytes>();
  if (!paused) {
    log_.warning("control_unreadable", {{"reason", paused.error().message}});
    co_return;
  }
  hears_.paused(std::move(*paused));
}

net::Task<void> Caretaker::look_at_cancelled() {
  std::set<Bytes> jobs;
  Bytes after;
  do {
    auto page = co_await s3_.list(bucket_, Bytes(kCancelPrefix), after);
    if (!page) co_return;
    for (const remote::ListedObject& object : page->objects) {
      jobs.insert(object.key.substr(kCancelPrefix.size()));
    }
    after = std::move(page->next);
  } while (!after.empty() && jobs.size() < kCancelledMax);
  cancelled_ = jobs;
  hears_.cancelled(std::move(jobs));
}

// ---- what is to be sent later

net::Task<void> Caretaker::send_later() {
  for (;;) {
    while (co_await send_due() == kNearMax) {
    }
    co_await pause(kSendEvery);
  }
}

// Keys sort by their time: the first one that is not near ends it. Several workers look at the same list, so
// each begins somewhere else. How many there were.
net::Task<std::size_t> Caretaker::send_due() {
  std::vector<Bytes> keys;
  Bytes after;
  bool near = true;
  do {
    auto page = co_await s3_.list(bucket_, Bytes(task::kLaterPrefix), after);
    if (!page) co_return 0;
    for (remote::ListedObject& object : page->objects) {
      near = near && is_near(object.key, services_.now()) && keys.size() < kNearMax;
      if (near) keys.push_back(std::move(object.key));
    }
    after = std::move(page->next);
  } while (near && !after.empty());
  if (keys.empty()) co_return 0;
  const std::size_t count = keys.size();
  std::ranges::rotate(keys, keys.begin() + static_cast<std::ptrdiff_t>(entropy_.u64() % count));
  co_await take_all(std::move(keys));
  co_return count;
}

struct Caretaker::Row {
  std::deque<Bytes> keys;
  std::size_t takers = 0;
  boost::asio::steady_timer empty;  // ends when they have ended
};

// A few requests follow one another for each of them; for several at a time.
net::Task<void> Caretaker::take_all(std::vector<Bytes> keys) {
  const auto row = std::make_shared<Row>(
      Row{.keys = {}, .takers = 0, .empty = boost::asio::steady_timer(runtime_.context(), Nanos::max())});
  std::ranges::move(keys, std::back_inserter(row->keys));
  const std::size_t takers = std::min(kTakers, row->keys.size());
  for (std::size_t i = 0; i < takers; ++i) {
    ++row->takers;
    if (!runtime_.spawn(gate_, "worker.later.take", take_some(row))) --row->takers;
  }
  if (row->takers > 0) co_await row->empty.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

net::Task<void> Caretaker::take_some(std::shared_ptr<Row> row) {
  while (!row->keys.empty()) {
    Bytes key = std::move(row->keys.front());
    row->keys.pop_front();
    co_await take_one(std::move(key));
  }
  if (--row->takers == 0) row->empty.cancel();
}

// Claimed, sent or told to have been cancelled, then deleted: one worker does it, and only its end between
// the last two makes a second message of the same job. Our own store takes that for the same one. False: it
// stays.
net::Task<bool> Caretaker::take_one(Bytes key) {
  const auto object = co_await s3_.get_tagged(bucket_, key);
  if (!object) co_return object.error().kind == remote::FaultKind::kMissing;  // another worker was here first
  auto later = task::parse_later(object->body);
  if (!later) {
    log_.error("later_unreadable", {{"key", key}, {"reason", later.error().message}});
    co_return false;
  }
  auto parsed = task::parse_envelope(later->message);
  auto call = parsed ? std::optional(std::move(*parsed)) : std::nullopt;
  const bool cancelled = call && cancelled_.contains(call->id);
  if (!cancelled && !is_near(key, services_.now())) co_return false;
  if (!co_await claim(key, object->etag, *later)) co_return false;
  const bool over = cancelled ? co_await tell_cancelled(*call, later->queue)
                              : co_await send(key, std::move(*later), std::move(call));
  if (!over) co_return false;
  co_return (co_await s3_.erase(bucket_, key)).has_value();
}

// Whether it is this worker's to send now.
net::Task<bool> Caretaker::claim(Bytes key, Bytes etag, task::Later later) {
  const Time now = services_.now();
  if (now < from_ms(later.claimed) + kClaim) co_return false;
  later.claimed = to_ms(now);
  later.by = name_;
  const auto put = co_await s3_.put({.bucket = bucket_,
                                     .key = key,
                                     .body = task::write_later(later),
                                     .content_type = "application/json",
                                     .if_match = std::move(etag)});
  if (put && conditions_) co_return true;
  // Some that are like S3 know no If-Match, or take no notice of it.
  if (!put && put.error().status != 501) co_return false;
  if (!put) later.claimed = 0;
  co_return co_await claim_stood(std::move(key), later.claimed);
}

// Whoever claimed it last has it, once all who saw it free have had the time to say so.
net::Task<bool> Caretaker::claim_stood(Bytes key, std::int64_t claimed) {
  if (claimed == 0) co_return true;  // nobody can claim anything: another host may send the same job too
  co_await pause(kClaimStands);
  const auto object = co_await s3_.get_tagged(bucket_, std::move(key));
  const auto later = object ? task::parse_later(object->body) : fail(Errc::kUnavailable, "");
  co_return later && later->claimed == claimed && later->by == name_;
}

net::Task<bool> Caretaker::send(Bytes key, task::Later later, std::optional<task::Envelope> call) {
  // Its arguments are kept for as long as its message can be, from now on.
  if (call && call->body && services_.now() > from_ms(call->sent) + kTouchAfter) {
    const auto touched = co_await s3_.touch(bucket_, call->body->key);
    if (!touched && touched.error().transient()) co_return false;
  }
  const auto url = co_await sqs_.queue_url(later.queue);
  const std::int64_t left_s = (later.due - to_ms(services_.now()) + 999) / 1'000;
  const auto sent = url ? co_await sqs_.send(
                              {.queue_url = *url,
                               .body = later.message,
                               .delay_s = static_cast<int>(std::clamp<std::int64_t>(left_s, 0, kDelayMost_s)),
                               .dedup_id = key})
                        : remote::Answer<Bytes>(std::unexpected(url.error()));
  if (!sent) {
    log_.warning("later_not_sent", {{"key", key}, {"queue", later.queue}, {"reason", sent.error().text()}});
    co_return false;
  }
  log_.info("later_sent", {{"key", key}, {"queue", later.queue}, {"delay_s", left_s}});
  co_return true;
}

// A cancelled job is told to have ended instead of being sent.
net::Task<bool> Caretaker::tell_cancelled(task::Envelope call, Bytes queue) {
  const auto put = co_await s3_.put({.bucket = bucket_,
                                     .key = task::result_key(call.id),
                                     .body = task::write_result({.id = call.id,
                                                                 .task = call.task,
                                                                 .queue = std::move(queue),
                                                                 .state = task::JobState::kCancelled,
                                                                 .error = {},
                                                                 .attempts = call.attempt,
                                                                 .sent = call.sent,
                                                                 .ended = to_ms(services_.now()),
                                                                 .request_id = call.request_id,
                                                                 .host = {},
                                                                 .worker = {}}),
                                     .content_type = "application/json"});
  if (!put) co_return false;
  log_.info("later_cancelled", {{"job", call.id}});
  if (call.body) co_await s3_.erase(bucket_, call.body->key);
  co_await s3_.erase(bucket_, task::cancel_key(call.id));
  co_return true;
}

}  // namespace hr::worker
