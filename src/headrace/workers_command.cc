// `headrace workers` and `headrace top`: the pools of this host and their children, once or again and again.
#include "headrace/commands.h"
#include "headrace/operator.h"
#include "headrace/operator_commands.h"

#include <CLI/CLI.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <unistd.h>

namespace hr {
namespace {

struct WorkersFlags {
  ClientFlags client;
  std::string pool;
  bool json = false;
  double every = 1;  // of top, in seconds
  int count = 0;     // of top; 0: until it is interrupted
};

std::vector<std::vector<std::string>> child_rows(const std::vector<PoolSays>& pools, Time now) {
  std::vector<std::vector<std::string>> rows = {
      {"POOL", "CHILD", "PID", "STATE", "FOR", "MEMORY", "RUNS", "NEXT", "TASK", "JOB"}};
  for (const PoolSays& pool : pools) {
    for (const codec::Json& child : list_member(pool.says, "children")) {
      rows.push_back({pool.pool, std::to_string(number_member(child, "child")),
                      std::to_string(number_member(child, "pid")), text_member(child, "state"),
                      ago(number_member(child, "since"), now), size_text(number_member(child, "memory")),
                      std::to_string(number_member(child, "running")),
                      std::to_string(number_member(child, "ahead")), text_member(child, "task"),
                      text_member(child, "job")});
    }
  }
  return rows;
}

std::string mode_of(const PoolSays& pool) {
  const auto is = [&](std::string_view name) {
    const codec::Json* flag = pool.says.find(name);
    return flag != nullptr && flag->as_bool().value_or(false);
  };
  if (!pool.answers) return "does not run";
  if (is("draining")) return "stops";
  if (is("resting")) return "drained";
  const std::size_t paused = list_member(pool.says, "paused").size();
  if (paused == 0) return "runs";
  return paused == list_member(pool.says, "queues").size() ? "paused" : "partly paused";
}

std::string names_of(const codec::Json& from, std::string_view name) {
  std::string out;
  for (const codec::Json& each : list_member(from, name)) {
    if (each.as_string() != nullptr) out += (out.empty() ? "" : ",") + *each.as_string();
  }
  return out;
}

std::vector<std::vector<std::string>> pool_rows(const std::vector<PoolSays>& pools) {
  std::vector<std::vector<std::string>> rows = {{"POOL", "PID", "STATE", "HELD", "DONE", "FAILED", "DEAD",
                                                 "CANCELLED", "CRASHED", "RELEASED", "LOST", "QUEUES"}};
  for (const PoolSays& pool : pools) {
    const codec::Json* found = pool.says.find("counts");
    const codec::Json counts = found != nullptr ? *found : codec::Json();
    std::vector<std::string> row = {pool.pool, std::to_string(number_member(pool.says, "pid")), mode_of(pool),
                                    std::to_string(number_member(pool.says, "held"))};
    for (const char* name : {"done", "failed", "dead", "cancelled", "crashed", "released", "lost"}) {
      row.push_back(std::to_string(number_member(counts, name)));
    }
    row.push_back(names_of(pool.says, "queues"));
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string json_of(const std::vector<PoolSays>& pools) {
  std::string out;
  codec::JsonWriter writer(out);
  writer.begin_object().key("pools").begin_array();
  for (const PoolSays& pool : pools) {
    writer.begin_object().field("pool", pool.pool).field("answers", pool.answers);
    writer.field("socket", pool.socket).key("status").value(pool.says).end_object();
  }
  writer.end_array().end_object();
  return out + "\n";
}

bool any_answers(const std::vector<PoolSays>& pools) {
  return std::ranges::any_of(pools, [](const PoolSays& pool) { return pool.good(); });
}

net::Task<int> tell_workers(Operator& here, std::vector<std::string> names, bool json) {
  const auto pools = co_await here.ask(std::move(names), "GET", "/status");
  if (!any_answers(pools)) co_return here.none_runs(pools);
  if (json) {
    fmt::print("{}", json_of(pools));
  } else {
    fmt::print("{}\n{}", table(pool_rows(pools)), table(child_rows(pools, here.now())));
  }
  co_return kExitOk;
}

// ---- top

constexpr const char* kClear = "\x1b[H\x1b[2J";

std::vector<std::vector<std::string>> queue_rows(const std::vector<api::QueueCounts>& queues) {
  std::vector<std::vector<std::string>> rows = {{"QUEUE", "WAITING", "IN WORK", "DELAYED"}};
  for (const auto& queue : queues) {
    rows.push_back({queue.name, std::to_string(queue.visible), std::to_string(queue.in_flight),
                    std::to_string(queue.delayed)});
  }
  return rows;
}

std::int64_t done_by(const std::vector<PoolSays>& pools) {
  std::int64_t out = 0;
  for (const PoolSays& pool : pools) {
    if (const codec::Json* counts = pool.says.find("counts")) out += number_member(*counts, "done");
  }
  return out;
}

net::Task<int> show_top(Operator& here, std::vector<std::string> names, const WorkersFlags& flags) {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1 && !flags.json;
  const int count = flags.count == 0 && !terminal ? 1 : flags.count;
  boost::asio::steady_timer pause(here.runtime().context());
  std::int64_t done = -1;
  Time looked{};
  for (int shown = 1;; ++shown) {
    const auto pools = co_await here.ask(names, "GET", "/status");
    if (!any_answers(pools)) co_return here.none_runs(pools);
    const auto queues = co_await here.source().queues();
    const std::int64_t now_done = done_by(pools);
    const auto since = std::max<std::int64_t>(1, to_ms(here.now()) - to_ms(looked));
    const std::string rate = done < 0 ? "-"
                                      : fmt::format("{:.1f}", 1000.0 * static_cast<double>(now_done - done) /
                                                                  static_cast<double>(since));
    done = now_done;
    looked = here.now();
    if (flags.json) {
      fmt::print("{}", json_of(pools));
    } else {
      fmt::print("{}{} done, {} a second\n\n{}\n{}\n{}", terminal ? kClear : "", now_done, rate,
                 table(pool_rows(pools)), table(child_rows(pools, here.now())),
                 queues ? table(queue_rows(*queues)) : queues.error().message + "\n");
    }
    std::fflush(stdout);
    if (shown == count) co_return kExitOk;
    pause.expires_after(std::chrono::milliseconds(static_cast<std::int64_t>(flags.every * 1'000)));
    co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
}

int run(const WorkersFlags& flags, bool top) {
  auto here = Operator::make(flags.client);
  if (!here) return usage_error(here.error().message);
  auto names = (*here)->pools(flags.pool);
  if (!names) return usage_error(names.error().message);
  Operator& there = **here;
  return there.run(top ? show_top(there, std::move(*names), flags)
                       : tell_workers(there, std::move(*names), flags.json));
}

}  // namespace

Command workers_command(CLI::App& app) {
  const auto flags = std::make_shared<WorkersFlags>();
  CLI::App* line = app.add_subcommand("workers", "List the pools of this host and their children");
  line->add_option("--pool", flags->pool, "This pool only");
  line->add_flag("--json", flags->json, "As one JSON object");
  add_client_options(*line, flags->client);
  line->footer("Exit codes: 0 told, 2 usage or configuration, 4 no worker runs here.");
  return {line, [flags] { return run(*flags, false); }};
}

Command top_command(CLI::App& app) {
  const auto flags = std::make_shared<WorkersFlags>();
  CLI::App* line = app.add_subcommand("top", "Watch pools, children and queues until Ctrl-C");
  line->add_option("--pool", flags->pool, "This pool only");
  line->add_option("--every", flags->every, "Seconds between two looks (default: 1)")
      ->check(CLI::Range(0.1, 3'600.0));
  line->add_option("--count", flags->count,
                   "How often to look (default: without end; once where the output is no terminal)")
      ->check(CLI::Range(1, 1'000'000));
  line->add_flag("--json", flags->json, "Each look as one line of JSON");
  add_client_options(*line, flags->client);
  line->footer("Exit codes: 0 told, 2 usage or configuration, 4 no worker runs here.");
  return {line, [flags] { return run(*flags, true); }};
}

}  // namespace hr
