#include "worker/caretaker.h"

#include "codec/json.h"
#include "task/documents.h"
#include "task/envelope.h"
#include "task/names.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>

namespace hr::worker {
namespace {

constexpr Duration kLookEvery = 2s;
constexpr Duration kSendEvery = 60s;
constexpr Duration kSweepFirst = 5min, kSweepEvery = 1h;
// What is due so soon is sent with SQS's own delay: twice looked at before its time, and never early.
constexpr Duration kAhead = 10min;
constexpr std::int64_t kDelayMost_s = 900;
constexpr Duration kClaim = 60s;  // and then another worker may send it
constexpr ByteView kCancelPrefix = "cancel/", kResultPrefix = "result/";

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
      clock_(parts.clock),
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
    co_await send_due();
    co_await pause(kSendEvery);
  }
}

// Keys sort by their time: the first one that is not near ends it.
net::Task<void> Caretaker::send_due() {
  Bytes after;
  do {
    auto page = co_await s3_.list(bucket_, Bytes(task::kLaterPrefix), after);
    if (!page) co_return;
    for (const remote::ListedObject& object : page->objects) {
      if (!is_near(object.key, clock_.wall())) co_return;
      co_await send_one(object.key);
    }
    after = std::move(page->next);
  } while (!after.empty());
}

// Claimed, sent, then deleted: one worker does it, and only its end between the last two makes a second
// message of the same job. Our own store takes that for the same one.
net::Task<void> Caretaker::send_one(Bytes key) {
  const auto object = co_await s3_.get_tagged(bucket_, key);
  if (!object) co_return;  // another worker was here first, or the next look finds it
  const auto later = task::parse_later(object->body);
  if (!later) {
    log_.error("later_unreadable", {{"key", key}, {"reason", later.error().message}});
    co_return;
  }
  if (!co_await claim(key, object->etag, *later)) co_return;
  if (!co_await end_cancelled(*later)) {
    const auto url = co_await sqs_.queue_url(later->queue);
    const std::int64_t left_s = (later->due - to_ms(clock_.wall()) + 999) / 1'000;
    const auto sent =
        url ? co_await sqs_.send(
                  {.queue_url = *url,
                   .body = later->message,
                   .delay_s = static_cast<int>(std::clamp<std::int64_t>(left_s, 0, kDelayMost_s)),
                   .dedup_id = key})
            : remote::Answer<Bytes>(std::unexpected(url.error()));
    if (!sent) {
      log_.warning("later_not_sent",
                   {{"key", key}, {"queue", later->queue}, {"reason", sent.error().text()}});
      co_return;
    }
    log_.info("later_sent", {{"key", key}, {"queue", later->queue}, {"delay_s", left_s}});
  }
  co_await s3_.erase(bucket_, key);
}

// Whether it is this worker's to send now.
net::Task<bool> Caretaker::claim(Bytes key, Bytes etag, task::Later later) {
  const Time now = clock_.wall();
  if (now < from_ms(later.claimed) + kClaim) co_return false;
  later.claimed = to_ms(now);
  later.by = name_;
  const auto put = co_await s3_.put({.bucket = bucket_,
                                     .key = std::move(key),
                                     .body = task::write_later(later),
                                     .content_type = "application/json",
                                     .if_match = std::move(etag)});
  // Some that are like S3 know no If-Match: there another host may send the same job beside this one.
  co_return put || put.error().status == 501;
}

// A cancelled job is told to have ended instead of being sent.
net::Task<bool> Caretaker::end_cancelled(const task::Later& later) {
  const auto call = task::parse_envelope(later.message);
  if (!call || !cancelled_.contains(call->id)) co_return false;
  const auto put = co_await s3_.put({.bucket = bucket_,
                                     .key = task::result_key(call->id),
                                     .body = task::write_result({.id = call->id,
                                                                 .task = call->task,
                                                                 .queue = later.queue,
                                                                 .state = task::JobState::kCancelled,
                                                                 .error = {},
                                                                 .attempts = call->attempt,
                                                                 .sent = call->sent,
                                                                 .ended = to_ms(clock_.wall()),
                                                                 .request_id = call->request_id,
                                                                 .host = {},
                                                                 .worker = {}}),
                                     .content_type = "application/json"});
  if (!put) co_return false;  // whoever receives it ends it
  co_await s3_.erase(bucket_, task::cancel_key(call->id));
  co_return true;
}

// ---- what nobody needs any more

net::Task<void> Caretaker::sweep() {
  const Duration soon = results_kept_ > 0s ? results_kept_ : kSweepEvery;
  for (co_await pause(std::min(kSweepFirst, soon));; co_await pause(std::min(kSweepEvery, soon))) {
    if (results_kept_ > 0s) co_await remove_old(Bytes(kResultPrefix), results_kept_);
    co_await remove_old(Bytes(kCancelPrefix), kCancelsKept);
  }
}

net::Task<void> Caretaker::remove_old(Bytes prefix, Duration kept) {
  const std::int64_t before = to_ms(clock_.wall() - kept);
  std::int64_t removed = 0;
  Bytes after;
  do {
    auto page = co_await s3_.list(bucket_, prefix, after);
    if (!page) break;
    for (const remote::ListedObject& object : page->objects) {
      if (object.modified == 0 || object.modified >= before) continue;
      if (co_await s3_.erase(bucket_, object.key)) ++removed;
    }
    after = std::move(page->next);
  } while (!after.empty());
  if (removed > 0) log_.info("old_removed", {{"prefix", prefix}, {"objects", removed}});
}

}  // namespace hr::worker
