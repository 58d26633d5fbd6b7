// `headrace queues`: how much waits, for how long, and how much has died.
#include "headrace/commands.h"
#include "headrace/operator.h"
#include "headrace/operator_commands.h"
#include "headrace/queue_look.h"
#include "task/names.h"
#include "worker/caretaker.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

namespace hr {
namespace {

struct QueuesFlags {
  ClientFlags client;
  std::vector<std::string> names;
  bool json = false;
};

struct QueueRow {
  api::QueueCounts counts;
  std::int64_t oldest = 0;           // sent then; 0: nothing waits, or it cannot be known
  std::optional<std::int64_t> dead;  // in its dead-letter queue; none: it has none
  bool paused = false;
};

net::Task<std::int64_t> oldest_of(Operator& here, const std::string& name) {
  const auto url = co_await here.sqs().queue_url(name);
  if (!url) co_return 0;
  const auto first = co_await look(here, *url, {.most = 1});
  co_return first && !first->empty() ? first->front().sent : 0;
}

net::Task<std::set<Bytes>> paused_queues(Operator& here) {
  const auto text = co_await here.s3().get(here.bucket(), Bytes(task::kControlKey));
  const auto paused = text ? worker::read_paused(*text) : std::set<Bytes>();
  co_return paused ? *paused : std::set<Bytes>();
}

net::Task<Result<std::vector<QueueRow>>> gather(Operator& here, std::vector<std::string> names) {
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
    QueueRow row{.counts = queue, .dead = {}};
    if (queue.visible > 0) row.oldest = co_await oldest_of(here, queue.name);
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

void tell(const std::vector<QueueRow>& queues, Time now) {
  std::vector<std::vector<std::string>> rows = {
      {"QUEUE", "WAITING", "IN WORK", "DELAYED", "OLDEST", "DEAD", "STATE"}};
  for (const QueueRow& row : queues) {
    rows.push_back({row.counts.name, std::to_string(row.counts.visible), std::to_string(row.counts.in_flight),
                    std::to_string(row.counts.delayed), ago(row.oldest, now),
                    row.dead ? std::to_string(*row.dead) : "-", row.paused ? "paused" : "open"});
  }
  fmt::print("{}", table(rows));
}

void tell_json(const std::vector<QueueRow>& queues, Time now) {
  std::string out;
  codec::JsonWriter writer(out);
  writer.begin_object().key("queues").begin_array();
  for (const QueueRow& row : queues) {
    writer.begin_object().field("name", row.counts.name).field("waiting", row.counts.visible);
    writer.field("in_work", row.counts.in_flight).field("delayed", row.counts.delayed);
    writer.key("oldest_s");
    if (row.oldest == 0) {
      writer.null();
    } else {
      writer.number(static_cast<double>(to_ms(now) - row.oldest) / 1'000);
    }
    writer.key("dead");
    if (row.dead) {
      writer.integer(*row.dead);
    } else {
      writer.null();
    }
    writer.field("paused", row.paused).end_object();
  }
  writer.end_array().end_object();
  fmt::print("{}\n", out);
}

net::Task<int> tell_queues(Operator& here, const QueuesFlags& flags) {
  const auto queues = co_await gather(here, flags.names);
  if (!queues) {
    const bool missing = queues.error().code == Errc::kNotFound;
    co_return say_error(missing ? kExitFailed : kExitUnavailable, queues.error().message);
  }
  flags.json ? tell_json(*queues, here.now()) : tell(*queues, here.now());
  co_return kExitOk;
}

}  // namespace

Command queues_command(CLI::App& app) {
  const auto flags = std::make_shared<QueuesFlags>();
  CLI::App* line = app.add_subcommand("queues", "List queues: what waits, runs, is delayed, has died");
  line->add_option("queue", flags->names, "These only (default: all; dead-letter queues as a number)");
  line->add_flag("--json", flags->json, "As one JSON object");
  add_client_options(*line, flags->client);
  line->footer(
      "OLDEST is the age of the message that has waited for longest, where the service shows it.\n"
      "Exit codes: 0 told, 1 no such queue, 2 usage or configuration, 4 the services do not answer.");
  return {line, [flags] {
            auto here = Operator::make(flags->client);
            if (!here) return usage_error(here.error().message);
            return (*here)->run(tell_queues(**here, *flags));
          }};
}

}  // namespace hr
