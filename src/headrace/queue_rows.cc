#include "headrace/queue_rows.h"

#include "task/names.h"
#include "worker/caretaker.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace hr {
namespace {

// Those that were tried and wait again may stand before those that nobody has had yet.
constexpr std::size_t kFirst = 10;

net::Task<void> look_at_oldest(Operator& here, QueueRow& row) {
  const auto url = co_await here.sqs().queue_url(row.counts.name);
  if (!url) co_return;
  if (const auto first = co_await look(here, *url, {.most = kFirst})) add_ages(row, *first);
}

net::Task<std::set<Bytes>> paused_queues(Operator& here) {
  const auto text = co_await here.s3().get(here.bucket(), Bytes(task::kControlKey));
  const auto paused = text ? worker::read_paused(*text) : std::set<Bytes>();
  co_return paused ? *paused : std::set<Bytes>();
}

}  // namespace

void add_ages(QueueRow& row, const std::vector<SeenMessage>& first) {
  if (!first.empty()) row.oldest = first.front().sent;
  const auto untouched = std::ranges::find(first, 0U, &SeenMessage::receives);
  if (untouched != first.end()) row.oldest_untouched = untouched->sent;
}

net::Task<Result<std::vector<QueueRow>>> queue_rows(Operator& here, std::vector<std::string> names) {
  const auto counts = co_await here.source().queues();
  if (!counts) co_return std::unexpected(counts.error());
  const std::set<Bytes> paused = co_await paused_queues(here);
  std::map<std::string, std::int64_t> dead;
  for (const auto& queue : *counts) dead[queue.name] = queue.visible + queue.in_flight + queue.delayed;
  std::vector<QueueRow> out;
  for (const auto& queue : *counts) {
    const bool asked = std::ranges::find(names, queue.name) != names.end();
    const bool letters = queue.name.ends_with(task::dead_queue("")) &&
                         dead.contains(queue.name.substr(0, queue.name.size() - task::dead_queue("").size()));
    if (names.empty() ? letters : !asked) continue;
    QueueRow row{.counts = queue};
    if (queue.visible > 0) co_await look_at_oldest(here, row);
    if (const auto found = dead.find(task::dead_queue(queue.name)); found != dead.end())
      row.dead = found->second;
    row.paused = paused.contains("*") || paused.contains(queue.name);
    out.push_back(std::move(row));
  }
  for (const std::string& name : names) {
    if (!dead.contains(name)) co_return fail(Errc::kNotFound, fmt::format("there is no queue \"{}\"", name));
  }
  co_return out;
}

}  // namespace hr
