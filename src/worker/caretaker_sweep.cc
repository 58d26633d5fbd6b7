// What nobody asks for any more, and cancellations of jobs that wait for a far time.
#include "task/names.h"
#include "worker/caretaker.h"

#include <algorithm>
#include <utility>

namespace hr::worker {
namespace {

constexpr Duration kSweepFirst = 5min, kSweepEvery = 1h;
constexpr std::size_t kAtATime = 50'000;  // jobs of one kind; the others at the next sweep
constexpr ByteView kCancelPrefix = "cancel/", kResultPrefix = "result/", kMarkPrefix = "mark/",
                   kBodyPrefix = "body/";

Bytes job_of(ByteView later_key) { return Bytes(later_key.substr(later_key.rfind('/') + 1)); }

}  // namespace

net::Task<void> Caretaker::sweep() {
  const Duration soon = results_kept_ > 0s ? results_kept_ : kSweepEvery;
  for (co_await pause(std::min(kSweepFirst, soon));; co_await pause(std::min(kSweepEvery, soon))) {
    if (results_kept_ > 0s) co_await sweep_results();
    co_await sweep_cancels();
    co_await sweep_spent();
  }
}

net::Task<void> Caretaker::sweep_results() {
  for (std::size_t removed = kAtATime; removed == kAtATime;) {
    auto jobs = co_await older(Bytes(kResultPrefix), results_kept_);
    removed = jobs ? co_await remove(Bytes(kResultPrefix), std::move(*jobs)) : 0;
  }
}

// A message is matched against them when it is received. What waits under later/ may do so for a year, longer
// than they are kept: it ends here.
net::Task<void> Caretaker::sweep_cancels() {
  if (cancelled_.empty()) co_return;
  const auto keys = co_await waiting(cancelled_);
  auto old = co_await older(Bytes(kCancelPrefix), kCancelsKept);
  if (!keys || !old) co_return;
  for (const Bytes& key : *keys) {
    if (!co_await take_one(key)) old->erase(job_of(key));
  }
  std::erase_if(*old, [this](const Bytes& job) { return !cancelled_.contains(job); });
  co_await remove(Bytes(kCancelPrefix), std::move(*old));
}

// A mark is written whenever something becomes of a job but success, arguments when it is sent and when it is
// sent again. What has been in neither for so long, and does not wait under later/, is in no queue any more.
net::Task<void> Caretaker::sweep_spent() {
  auto marks = co_await older(Bytes(kMarkPrefix), kSpentKept);
  auto bodies = co_await older(Bytes(kBodyPrefix), kSpentKept);
  if (!marks || !bodies || (marks->empty() && bodies->empty())) co_return;
  Jobs both = *marks;
  both.insert(bodies->begin(), bodies->end());
  const auto kept = co_await waiting(std::move(both));
  if (!kept) co_return;
  for (const Bytes& key : *kept) {
    marks->erase(job_of(key));
    bodies->erase(job_of(key));
  }
  Jobs spent;
  for (const Bytes& job : *bodies) {
    if (marks->contains(job) || !co_await marked_lately(job)) spent.insert(job);
  }
  co_await remove(Bytes(kBodyPrefix), std::move(spent));
  co_await remove(Bytes(kMarkPrefix), std::move(*marks));
}

// Their names. None: they cannot be listed now.
net::Task<std::optional<Caretaker::Jobs>> Caretaker::older(Bytes prefix, Duration kept) {
  const std::int64_t before = to_ms(services_.now() - kept);
  Jobs out;
  Bytes after;
  do {
    const auto page = co_await s3_.list(bucket_, prefix, after);
    if (!page) co_return std::nullopt;
    for (const remote::ListedObject& object : page->objects) {
      if (object.modified != 0 && object.modified < before) {
        out.insert(object.key.substr(prefix.size()));
      }
      if (out.size() == kAtATime) co_return out;
    }
    after = page->next;
  } while (!after.empty());
  co_return out;
}

// The keys under later/ of those among them that wait there. None: that cannot be told now.
net::Task<std::optional<std::vector<Bytes>>> Caretaker::waiting(Jobs jobs) {
  std::vector<Bytes> out;
  Bytes after;
  do {
    auto page = co_await s3_.list(bucket_, Bytes(task::kLaterPrefix), after);
    if (!page) co_return std::nullopt;
    for (remote::ListedObject& object : page->objects) {
      if (jobs.contains(job_of(object.key))) out.push_back(std::move(object.key));
    }
    after = std::move(page->next);
  } while (!after.empty());
  co_return out;
}

// Or maybe so.
net::Task<bool> Caretaker::marked_lately(Bytes job) {
  const Bytes key = task::mark_key(job);
  const std::int64_t before = to_ms(services_.now() - kSpentKept);
  const auto page = co_await s3_.list(bucket_, key);
  if (!page) co_return true;
  co_return std::ranges::any_of(page->objects, [&](const remote::ListedObject& object) {
    return object.key == key && (object.modified == 0 || object.modified >= before);
  });
}

// How many.
net::Task<std::size_t> Caretaker::remove(Bytes prefix, Jobs jobs) {
  std::size_t removed = 0;
  for (const Bytes& job : jobs) {
    if (co_await s3_.erase(bucket_, prefix + job)) ++removed;
  }
  if (removed > 0) {
    log_.info("old_removed", {{"prefix", prefix}, {"objects", static_cast<std::int64_t>(removed)}});
  }
  co_return removed;
}

}  // namespace hr::worker
