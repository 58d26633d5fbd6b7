// `headrace pause, resume, drain, cancel, log-level`: what people change about a running application. Pauses
// and cancellations are objects in the application's bucket, which every worker of every host looks at; those
// of this host are told to look at once.
#include "headrace/commands.h"
#include "headrace/operator.h"
#include "headrace/operator_commands.h"
#include "task/names.h"
#include "worker/caretaker.h"

#include <CLI/CLI.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <map>
#include <memory>
#include <set>

namespace hr {
namespace {

constexpr int kWritesMax = 5;  // of the control object, when others change it too
constexpr Duration kLookAgain = 200ms;

struct ControlFlags {
  ClientFlags client;
  std::vector<std::string> names;  // of queues; or one of a job, or of a level
  std::string pool, within = "30s";
  bool all = false, json = false;
  double wait = 0;
};

using Names = std::set<Bytes>;

net::Task<void> pause_for(Operator& here, Duration time) {
  boost::asio::steady_timer pause(here.runtime().context());
  pause.expires_after(time);
  co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

std::string unavailable(const remote::Fault& fault) { return "the services do not answer: " + fault.text(); }

// ---- pause and resume

struct Paused {
  Names names;
  Bytes etag;  // of the object; empty: there is none
};

net::Task<Result<Paused>> read_paused(Operator& here) {
  const auto object = co_await here.s3().get_tagged(here.bucket(), Bytes(task::kControlKey));
  if (!object && object.error().kind == remote::FaultKind::kMissing) co_return Paused();
  if (!object) co_return fail(Errc::kUnavailable, unavailable(object.error()));
  auto names = worker::read_paused(object->body);
  if (!names) co_return std::unexpected(names.error());
  co_return Paused{.names = std::move(*names), .etag = object->etag};
}

std::string control_text(const Names& paused) {
  std::string out;
  codec::JsonWriter writer(out);
  writer.begin_object().field("v", 1).key("paused").begin_array();
  for (const Bytes& name : paused) writer.string(name);
  writer.end_array().end_object();
  return out;
}

// Written only over what was read; when somebody else has written between, all of it again.
net::Task<Result<Names>> change_paused(Operator& here, Names names, bool pause) {
  for (int i = 0; i < kWritesMax; ++i) {
    const auto now = co_await read_paused(here);
    if (!now) co_return std::unexpected(now.error());
    Names wanted = now->names;
    for (const Bytes& name : names) {
      if (pause) {
        wanted.insert(name);
      } else {
        wanted.erase(name);
      }
    }
    if (!pause && names.contains("*")) wanted.clear();
    if (wanted == now->names) co_return wanted;
    const auto put = co_await here.s3().put({.bucket = here.bucket(),
                                             .key = Bytes(task::kControlKey),
                                             .body = control_text(wanted),
                                             .content_type = "application/json",
                                             .if_none_match = now->etag.empty(),
                                             .if_match = now->etag});
    if (put) co_return wanted;
    const bool other =
        put.error().kind == remote::FaultKind::kConflict || put.error().kind == remote::FaultKind::kMissing;
    if (!other) co_return fail(Errc::kUnavailable, unavailable(put.error()));
  }
  co_return fail(Errc::kBusy, "somebody else changes the same all the time");
}

net::Task<Status> check_queues(Operator& here, const Names& names) {
  for (const Bytes& name : names) {
    if (name == "*") continue;
    const auto url = co_await here.sqs().queue_url(name);
    if (url) continue;
    if (url.error().kind != remote::FaultKind::kMissing)
      co_return fail(Errc::kUnavailable, unavailable(url.error()));
    co_return fail(Errc::kNotFound, fmt::format("there is no queue \"{}\"", name));
  }
  co_return Status();
}

int exit_code_of(const Error& error) {
  return error.code == Errc::kUnavailable ? kExitUnavailable : kExitFailed;
}

net::Task<int> pause_or_resume(Operator& here, const ControlFlags& flags, bool pause) {
  Names names(flags.names.begin(), flags.names.end());
  if (flags.all) names = {"*"};
  if (auto known = co_await check_queues(here, names); pause && !known) {
    co_return say_error(exit_code_of(known.error()), known.error().message);
  }
  const auto paused = co_await change_paused(here, names, pause);
  if (!paused) co_return say_error(exit_code_of(paused.error()), paused.error().message);
  const auto pools = *here.pools("");
  if (!pause && flags.all) co_await here.ask(pools, "POST", "/resume");
  co_await here.ask(pools, "POST", "/look");
  if (flags.json) {
    fmt::print("{}\n", control_text(*paused));
  } else if (paused->empty()) {
    fmt::print("no queue is paused\n");
  } else {
    fmt::print("paused: {}\n",
               paused->contains("*") ? "all queues" : fmt::format("{}", fmt::join(*paused, ", ")));
  }
  co_return kExitOk;
}

// ---- drain

net::Task<int> change_pools(Operator& here, std::vector<std::string> names, std::string target,
                            std::string body, bool json) {
  const auto pools = co_await here.ask(std::move(names), "POST", std::move(target), std::move(body));
  int exit_code = kExitUnavailable;
  std::string out;
  codec::JsonWriter writer(out);
  writer.begin_object().key("pools").begin_array();
  for (const PoolSays& pool : pools) {
    writer.begin_object().field("pool", pool.pool).field("done", pool.good()).end_object();
    if (pool.good()) exit_code = exit_code == kExitUnavailable ? int{kExitOk} : exit_code;
    if (pool.answers && !pool.good())
      exit_code = say_error(kExitFailed, fmt::format("pool {}: {}", pool.pool, pool.error));
  }
  writer.end_array().end_object();
  if (exit_code == kExitUnavailable) co_return here.none_runs(pools);
  if (json) fmt::print("{}\n", out);
  co_return exit_code;
}

net::Task<int> drain(Operator& here, std::vector<std::string> names, Duration within, bool json) {
  const int changed = co_await change_pools(here, names, "/rest", "", false);
  if (changed != kExitOk) co_return changed;
  for (Duration waited{};; waited += kLookAgain) {
    const auto pools = co_await here.ask(names, "GET", "/status");
    std::int64_t held = 0;
    for (const PoolSays& pool : pools) held += number_member(pool.says, "held");
    if (held == 0 || waited >= within) {
      if (json) fmt::print("{{\"held\":{}}}\n", held);
      if (held == 0 && !json) fmt::print("drained: nothing runs; `headrace resume --pool NAME` goes on\n");
      if (held == 0) co_return kExitOk;
      co_return say_error(kExitFailed, fmt::format("{} jobs still run; nothing more is received", held));
    }
    co_await pause_for(here, kLookAgain);
  }
}

// ---- reload

// Old and new are told apart by their pids.
net::Task<int> reload(Operator& here, std::vector<std::string> names, Duration within, bool json) {
  std::map<std::string, std::int64_t> before;
  for (const PoolSays& pool : co_await here.ask(names, "GET", "/status")) {
    if (pool.good()) before[pool.pool] = number_member(pool.says, "pid");
  }
  const int begun = co_await change_pools(here, names, "/reload", "", false);
  if (begun != kExitOk) co_return begun;
  std::map<std::string, std::int64_t> now;
  for (Duration waited{}; now.size() < before.size(); waited += kLookAgain) {
    if (waited >= within)
      co_return say_error(kExitFailed, "not ready in time; the workers from before go on until it is");
    co_await pause_for(here, kLookAgain);
    for (const PoolSays& pool : co_await here.ask(names, "GET", "/status")) {
      if (!pool.good() || !before.contains(pool.pool) || now.contains(pool.pool)) continue;
      const std::int64_t pid = number_member(pool.says, "pid");
      if (pid == before[pool.pool] && number_member(pool.says, "successor") == 0)
        co_return say_error(kExitFailed,
                            fmt::format("the new worker of pool {} did not come up; its log says why. The "
                                        "one from before goes on",
                                        pool.pool));
      if (pid != before[pool.pool]) now[pool.pool] = pid;
    }
  }
  std::string out;
  codec::JsonWriter writer(out);
  writer.begin_object().key("pools").begin_array();
  for (const auto& [pool, pid] : now) {
    writer.begin_object().field("pool", pool).field("from", before[pool]).field("to", pid).end_object();
    if (!json) fmt::print("pool {}: process {} has taken over from {}\n", pool, pid, before[pool]);
  }
  writer.end_array().end_object();
  if (json) fmt::print("{}\n", out);
  co_return kExitOk;
}

// ---- cancel

struct Ended {
  std::string state;  // empty: it has not, as far as is known
};

net::Task<Result<Ended>> ended(Operator& here, const std::string& job) {
  const auto result = co_await here.s3().get(here.bucket(), task::result_key(job));
  if (!result && result.error().kind == remote::FaultKind::kMissing) co_return Ended{};
  if (!result) co_return fail(Errc::kUnavailable, unavailable(result.error()));
  const auto json = codec::parse_json(*result, {.bytes_max = 64U << 20});
  co_return Ended{json ? text_member(*json, "state") : "ended"};
}

// Where pools of this host have it.
net::Task<std::string> where(Operator& here, const std::string& job) {
  for (const PoolSays& pool : co_await here.ask(*here.pools(""), "GET", "/jobs")) {
    for (const codec::Json& each : list_member(pool.says, "jobs")) {
      if (text_member(each, "job") == job) co_return pool.pool + ": " + text_member(each, "state");
    }
  }
  co_return "";
}

void tell_cancel(const ControlFlags& flags, const std::string& place, const std::string& state) {
  const std::string& job = flags.names.front();
  if (flags.json) {
    std::string out;
    codec::JsonWriter(out)
        .begin_object()
        .field("id", job)
        .field("asked", true)
        .field("here", place)
        .field("state", state)
        .end_object();
    fmt::print("{}\n", out);
  } else if (!state.empty()) {
    fmt::print("job {} ended as {}\n", job, state);
  } else if (!place.empty()) {
    fmt::print("job {} is cancelled; it is in pool {}\n", job, place);
  } else {
    fmt::print("job {} is cancelled; no pool of this host has it now, none will start it\n", job);
  }
}

net::Task<int> cancel(Operator& here, const ControlFlags& flags) {
  const std::string& job = flags.names.front();
  auto before = co_await ended(here, job);
  if (!before) co_return say_error(exit_code_of(before.error()), before.error().message);
  if (!before->state.empty())
    co_return say_error(kExitFailed, fmt::format("job {} has ended already: {}", job, before->state));
  const auto put = co_await here.s3().put({.bucket = here.bucket(),
                                           .key = task::cancel_key(job),
                                           .body = fmt::format("{{\"v\":1,\"at\":{}}}", to_ms(here.now())),
                                           .content_type = "application/json",
                                           .if_none_match = true});
  if (!put && put.error().kind != remote::FaultKind::kConflict)
    co_return say_error(kExitUnavailable, unavailable(put.error()));
  co_await here.ask(*here.pools(""), "POST", "/look");
  std::string place = co_await where(here, job);
  std::string state;
  const auto most = std::chrono::milliseconds(static_cast<std::int64_t>(flags.wait * 1'000));
  for (Duration waited{}; waited < most && state.empty(); waited += kLookAgain) {
    co_await pause_for(here, kLookAgain);
    const auto now = co_await ended(here, job);
    if (now) state = now->state;
  }
  tell_cancel(flags, place, state);
  co_return most > 0ms && state != "cancelled" ? kExitFailed : kExitOk;
}

// ---- the commands

using Action = std::function<int(Operator&)>;

int with_operator(const ControlFlags& flags, const Action& action) {
  auto here = Operator::make(flags.client);
  if (!here) return usage_error(here.error().message);
  if (auto known = (*here)->pools(flags.pool); !known) return usage_error(known.error().message);
  return action(**here);
}

CLI::App* line_of(CLI::App& app, const char* name, const char* what, ControlFlags& flags) {
  CLI::App* line = app.add_subcommand(name, what);
  line->add_flag("--json", flags.json, "As one JSON object");
  add_client_options(*line, flags.client);
  return line;
}

constexpr const char* kCodes =
    "Exit codes: 0 done, 1 it could not be done, 2 usage or configuration, 4 the services or the workers of "
    "this host do not answer.";

}  // namespace

Command pause_command(CLI::App& app) {
  const auto flags = std::make_shared<ControlFlags>();
  CLI::App* line = line_of(app, "pause", "Receive nothing from queues, on every host, until resumed", *flags);
  line->add_option("queue", flags->names, "Names of queues");
  line->add_flag("--all", flags->all, "All queues");
  line->footer(std::string("What runs goes on; senders notice nothing. ") + kCodes);
  return {line, [flags] {
            if (flags->names.empty() != flags->all) return usage_error("name queues, or say --all");
            return with_operator(
                *flags, [&](Operator& here) { return here.run(pause_or_resume(here, *flags, true)); });
          }};
}

Command resume_command(CLI::App& app) {
  const auto flags = std::make_shared<ControlFlags>();
  CLI::App* line = line_of(app, "resume", "Go on after `pause`, or after `drain`", *flags);
  line->add_option("queue", flags->names, "Names of queues");
  line->add_flag("--all", flags->all, "All queues, and the pools of this host");
  line->add_option("--pool", flags->pool, "A pool of this host that was drained");
  line->footer(kCodes);
  return {line, [flags] {
            const int given = static_cast<int>(!flags->names.empty()) + static_cast<int>(flags->all) +
                              static_cast<int>(!flags->pool.empty());
            if (given != 1) return usage_error("name queues, or one --pool, or say --all");
            return with_operator(*flags, [&](Operator& here) {
              if (flags->pool.empty()) return here.run(pause_or_resume(here, *flags, false));
              return here.run(change_pools(here, {flags->pool}, "/resume", "", flags->json));
            });
          }};
}

Command drain_command(CLI::App& app) {
  const auto flags = std::make_shared<ControlFlags>();
  CLI::App* line = line_of(
      app, "drain", "Let the pools of this host finish what runs, and begin nothing, until resumed", *flags);
  line->add_option("--pool", flags->pool, "This pool only");
  line->add_option("--within", flags->within, "How long to wait for what runs (default: 30s)");
  line->footer(std::string("What has not begun goes back to its queue at once, for other hosts. ") + kCodes);
  return {line, [flags] {
            const auto within = parse_duration(flags->within);
            if (!within) return usage_error("--within: " + within.error().message);
            return with_operator(*flags, [&](Operator& here) {
              return here.run(drain(here, *here.pools(flags->pool), *within, flags->json));
            });
          }};
}

Command reload_command(CLI::App& app) {
  const auto flags = std::make_shared<ControlFlags>();
  flags->within = "120s";
  CLI::App* line = line_of(
      app, "reload", "Let new processes take over the pools of this host: new code, nothing lost", *flags);
  line->add_option("--pool", flags->pool, "This pool only");
  line->add_option("--within", flags->within, "How long to wait for them to be ready (default: 120s)");
  line->footer(std::string("The new one reads configuration and modules, starts its children, and receives; "
                           "then the old one stops receiving and lets what runs finish. If the new one does "
                           "not come up, the old one goes on. ") +
               kCodes);
  return {line, [flags] {
            const auto within = parse_duration(flags->within);
            if (!within) return usage_error("--within: " + within.error().message);
            return with_operator(*flags, [&](Operator& here) {
              return here.run(reload(here, *here.pools(flags->pool), *within, flags->json));
            });
          }};
}

Command cancel_command(CLI::App& app) {
  const auto flags = std::make_shared<ControlFlags>();
  flags->names = {""};
  CLI::App* line = line_of(app, "cancel", "End a job that waits or runs, on whatever host", *flags);
  line->add_option("id", flags->names.front(), "The job's id")->required();
  line->add_option("--wait", flags->wait, "Seconds to wait for its end (default: 0)")
      ->check(CLI::Range(0.0, 86'400.0));
  line->footer(std::string("A job that has not begun never does. In one that runs, headrace.JobCancelled (or "
                           "asyncio.CancelledError) is raised; its process is killed 5 s later. ") +
               kCodes);
  return {line, [flags] {
            if (!task::valid_job_id(flags->names.front()))
              return usage_error(fmt::format("\"{}\" is not the id of a job", flags->names.front()));
            return with_operator(*flags, [&](Operator& here) { return here.run(cancel(here, *flags)); });
          }};
}

Command log_level_command(CLI::App& app) {
  const auto flags = std::make_shared<ControlFlags>();
  flags->names = {""};
  CLI::App* line =
      line_of(app, "log-level", "What the workers of this host and their handlers log from now on", *flags);
  line->add_option("level", flags->names.front(), "error, warning, notice, info or debug")
      ->required()
      ->check(CLI::IsMember({"error", "warning", "notice", "info", "debug"}));
  line->add_option("--pool", flags->pool, "This pool only");
  line->footer(std::string("Until the worker ends. ") + kCodes);
  return {line, [flags] {
            return with_operator(*flags, [&](Operator& here) {
              const std::string body = fmt::format("{{\"level\":\"{}\"}}", flags->names.front());
              return here.run(change_pools(here, *here.pools(flags->pool), "/log-level", body, flags->json));
            });
          }};
}

}  // namespace hr
