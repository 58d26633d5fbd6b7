#include "headrace/dead_letters.h"

#include "task/envelope.h"
#include "task/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace hr {
namespace {

constexpr int kAside_s = 300;  // what is looked through stays out of the others' sight
constexpr std::size_t kBatch = 10;
constexpr std::string_view kOurs = "headrace-";

const std::string& suffix() {
  static const std::string out = task::dead_queue("");
  return out;
}

SeenMessage seen(const remote::ReceivedMessage& message) {
  return {.id = message.id,
          .body = message.body,
          .sent = message.sent,
          .receives = message.receives,
          .attributes = message.attributes};
}

net::Task<remote::Answer<void>> remove(Operator& here, std::vector<std::string> keys) {
  for (const std::string& key : keys) {
    const auto erased = co_await here.s3().erase(here.bucket(), key);
    if (!erased && erased.error().kind != remote::FaultKind::kMissing) co_return erased;
  }
  co_return remote::Answer<void>();
}

// What was known of the job that died: its next run begins anew, and result() waits for that one.
net::Task<remote::Answer<void>> forget_ending(Operator& here, std::string job) {
  if (!task::valid_job_id(job)) co_return remote::Answer<void>();
  co_return co_await remove(here, {task::mark_key(job), task::result_key(job)});
}

using Act = std::function<net::Task<remote::Answer<void>>(Operator&, const DeadQueue&, const SeenMessage&)>;

net::Task<remote::Answer<void>> send_back(Operator& here, const DeadQueue& queue, const SeenMessage& letter) {
  const auto url = co_await here.sqs().queue_url(queue.source);
  if (!url) co_return std::unexpected(url.error());
  if (auto forgot = co_await forget_ending(here, letter.attribute("headrace-job")); !forgot) co_return forgot;
  // Its arguments are kept for as long as its new message can be.
  if (const auto call = task::parse_envelope(letter.body); call && call->body) {
    const auto touched = co_await here.s3().touch(here.bucket(), call->body->key);
    if (!touched && touched.error().kind != remote::FaultKind::kMissing) co_return touched;
  }
  auto message = revived(letter);
  const auto sent = co_await here.sqs().send({.queue_url = *url,
                                              .body = std::move(message.body),
                                              .attributes = std::move(message.attributes),
                                              .dedup_id = "retry-" + letter.id});
  if (!sent) co_return std::unexpected(sent.error());
  co_return remote::Answer<void>();
}

// Its result stays for its time: whoever waits for it hears of the failure.
net::Task<remote::Answer<void>> throw_away(Operator& here, const DeadQueue&, const SeenMessage& letter) {
  std::vector<std::string> keys;
  if (const auto job = letter.attribute("headrace-job"); task::valid_job_id(job))
    keys.push_back(task::mark_key(job));
  const auto call = task::parse_envelope(letter.body);
  if (call && call->body) keys.push_back(call->body->key);
  co_return co_await remove(here, std::move(keys));
}

net::Task<void> show_again(Operator& here, std::string url, std::vector<Bytes> receipts) {
  for (std::size_t from = 0; from < receipts.size(); from += kBatch) {
    std::vector<remote::VisibilityEntry> entries;
    for (std::size_t i = from; i < std::min(from + kBatch, receipts.size()); ++i)
      entries.push_back({receipts[i], 0});
    co_await here.sqs().change_visibility(url, std::move(entries));
  }
}

net::Task<Moved> move_each(Operator& here, DeadQueue queue, DeadFilter filter, Act act) {
  Moved out;
  std::vector<Bytes> aside;
  for (;;) {
    const auto batch = co_await here.sqs().receive(
        {.queue_url = queue.url, .max = static_cast<int>(kBatch), .visibility_s = kAside_s, .wait_s = 0});
    if (!batch) out.error = batch.error().text();
    if (!batch || batch->empty()) break;
    for (const auto& message : *batch) {
      const SeenMessage letter = seen(message);
      if (!filter.matches(letter)) {
        aside.push_back(message.receipt);
        continue;
      }
      auto done = co_await act(here, queue, letter);
      if (done) {
        const auto erased = co_await here.sqs().erase(queue.url, {message.receipt});
        if (!erased) done = std::unexpected(erased.error());
        if (erased && !erased->front()) done = erased->front();
      }
      if (done) {
        ++out.moved;
        continue;
      }
      ++out.left;
      aside.push_back(message.receipt);
      if (out.error.empty()) out.error = done.error().text();
    }
  }
  co_await show_again(here, queue.url, std::move(aside));
  co_return out;
}

}  // namespace

bool DeadFilter::matches(const SeenMessage& letter) const {
  const auto is = [&](const std::string& wanted, std::string_view name) {
    return wanted.empty() || letter.attribute(name) == wanted;
  };
  return is(task, "headrace-task") && is(reason, "headrace-reason") && is(job, "headrace-job") &&
         letter.sent >= since && (until == 0 || letter.sent <= until);
}

Revived revived(const SeenMessage& letter) {
  Revived out{.body = letter.body, .attributes = {}};
  for (const auto& [name, value] : letter.attributes) {
    if (!std::string_view(name).starts_with(kOurs)) out.attributes.emplace_back(name, value);
  }
  const bool expired = letter.attribute("headrace-reason") == "expired";  // it would again
  auto call = task::parse_envelope(letter.body);
  if (!call || (!expired && call->attempt == 0)) return out;
  if (expired) call->expires = 0;
  call->attempt = 0;
  out.body = task::write_envelope(*call);
  return out;
}

net::Task<Result<std::vector<DeadQueue>>> dead_queues(Operator& here, DeadFilter filter) {
  const auto urls = co_await here.sqs().list_queues("");
  if (!urls) co_return fail(Errc::kUnavailable, "the services do not answer: " + urls.error().text());
  std::vector<DeadQueue> out;
  for (const Bytes& url : *urls) {
    const std::string name = queue_name(url);
    if (!name.ends_with(suffix())) continue;
    const std::string source = name.substr(0, name.size() - suffix().size());
    if (filter.queue.empty() || filter.queue == source || filter.queue == name)
      out.push_back({name, url, source});
  }
  if (out.empty() && !filter.queue.empty())
    co_return fail(Errc::kNotFound,
                   fmt::format("there is no dead-letter queue \"{}{}\"", filter.queue, suffix()));
  std::ranges::sort(out, {}, &DeadQueue::name);
  co_return out;
}

net::Task<Result<std::vector<Letter>>> find_letters(Operator& here, DeadFilter filter, std::size_t most) {
  const auto queues = co_await dead_queues(here, filter);
  if (!queues) co_return std::unexpected(queues.error());
  std::vector<Letter> out;
  for (const DeadQueue& queue : *queues) {
    auto messages = co_await look(here, queue.url, {.most = 100'000, .in_work = true, .by_receiving = true});
    if (!messages) co_return std::unexpected(messages.error());
    for (SeenMessage& message : *messages) {
      if (out.size() < most && filter.matches(message)) out.push_back({queue, std::move(message)});
    }
  }
  co_return out;
}

net::Task<Moved> retry_letters(Operator& here, DeadQueue queue, DeadFilter filter) {
  return move_each(here, std::move(queue), std::move(filter), send_back);
}

net::Task<Moved> purge_letters(Operator& here, DeadQueue queue, DeadFilter filter) {
  return move_each(here, std::move(queue), std::move(filter), throw_away);
}

}  // namespace hr
