// `headrace queues`: how much waits, for how long, and how much has died.
#include "headrace/commands.h"
#include "headrace/operator.h"
#include "headrace/operator_commands.h"
#include "headrace/queue_rows.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>

namespace hr {
namespace {

struct QueuesFlags {
  ClientFlags client;
  std::vector<std::string> names;
  bool json = false;
};

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
  const auto queues = co_await queue_rows(here, flags.names);
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
