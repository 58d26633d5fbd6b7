#include "headrace/jobs_list.h"

#include "headrace/commands.h"
#include "headrace/operator.h"
#include "headrace/queue_look.h"
#include "task/envelope.h"
#include "task/names.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr {
namespace {

struct Row {
  std::string job, task, queue, state, pool;
  std::int64_t attempt = 0, pid = 0, since = 0, sent = 0;
};

bool wanted(const JobsListFlags& flags, const Row& row) {
  return (flags.queue.empty() || row.queue == flags.queue) &&
         (flags.task.empty() || row.task == flags.task) && (flags.state.empty() || row.state == flags.state);
}

std::vector<Row> in_hand(const std::vector<PoolSays>& pools) {
  std::vector<Row> out;
  for (const PoolSays& pool : pools) {
    for (const codec::Json& job : list_member(pool.says, "jobs")) {
      out.push_back({.job = text_member(job, "job"),
                     .task = text_member(job, "task"),
                     .queue = text_member(job, "queue"),
                     .state = text_member(job, "state"),
                     .pool = pool.pool,
                     .attempt = number_member(job, "attempt"),
                     .pid = number_member(job, "pid"),
                     .since = number_member(job, "since"),
                     .sent = number_member(job, "sent")});
    }
  }
  return out;
}

Row queued(const SeenMessage& message, const std::string& queue) {
  Row out{.job = message.id, .task = "", .queue = queue, .state = "queued", .pool = "", .sent = message.sent};
  if (const auto call = task::parse_envelope(message.body)) {
    out.job = call->id;
    out.task = call->task;
    if (call->not_before > message.sent) out.state = "delayed";
  }
  return out;
}

// Those that wait. One that a worker has, or that waits for its next attempt, is in work.
net::Task<Status> add_queued(Operator& here, const JobsListFlags& flags, std::vector<Row>& rows) {
  const auto urls = co_await here.sqs().list_queues("");
  if (!urls) co_return fail(Errc::kUnavailable, "the services do not answer: " + urls.error().text());
  for (const Bytes& url : *urls) {
    const std::string name = queue_name(url);
    if (name.ends_with(task::dead_queue("")) || (!flags.queue.empty() && flags.queue != name)) continue;
    const auto messages = co_await look(here, url, {.most = flags.most, .delayed = true});
    if (!messages) co_return std::unexpected(messages.error());
    for (const SeenMessage& message : *messages) rows.push_back(queued(message, name));
  }
  co_return Status();
}

void tell(const std::vector<Row>& rows, Time now) {
  std::vector<std::vector<std::string>> out = {
      {"JOB", "TASK", "QUEUE", "STATE", "FOR", "TRY", "POOL", "PID"}};
  for (const Row& row : rows) {
    out.push_back({row.job, row.task, row.queue, row.state, ago(row.since != 0 ? row.since : row.sent, now),
                   row.attempt != 0 ? std::to_string(row.attempt) : "-", row.pool.empty() ? "-" : row.pool,
                   row.pid != 0 ? std::to_string(row.pid) : "-"});
  }
  fmt::print("{}", table(out));
}

void tell_json(const std::vector<Row>& rows) {
  std::string out;
  codec::JsonWriter writer(out);
  writer.begin_object().key("jobs").begin_array();
  for (const Row& row : rows) {
    writer.begin_object().field("job", row.job).field("task", row.task).field("queue", row.queue);
    writer.field("state", row.state).field("pool", row.pool).field("attempt", row.attempt);
    writer.field("pid", row.pid).field("since", row.since).field("sent", row.sent).end_object();
  }
  writer.end_array().end_object();
  fmt::print("{}\n", out);
}

net::Task<int> list(Operator& here, const JobsListFlags& flags) {
  const auto pools = co_await here.ask(*here.pools(""), "GET", "/jobs");
  const bool any = std::ranges::any_of(pools, [](const PoolSays& pool) { return pool.good(); });
  if (!any && !flags.waiting) co_return here.none_runs(pools);
  std::vector<Row> rows = in_hand(pools);
  if (flags.waiting) {
    if (auto added = co_await add_queued(here, flags, rows); !added)
      co_return say_error(kExitUnavailable, added.error().message);
  }
  std::erase_if(rows, [&](const Row& row) { return !wanted(flags, row); });
  if (rows.size() > flags.most) rows.resize(flags.most);
  flags.json ? tell_json(rows) : tell(rows, here.now());
  co_return kExitOk;
}

}  // namespace

int list_jobs(const JobsListFlags& flags) {
  auto here = Operator::make(flags.client);
  if (!here) return usage_error(here.error().message);
  return (*here)->run(list(**here, flags));
}

}  // namespace hr
