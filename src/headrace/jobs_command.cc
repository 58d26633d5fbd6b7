// `headrace jobs ID`: everything that is known of one job, from the services and from the logs. Without an
// id: headrace/jobs_list.h.
#include "codec/json.h"
#include "codec/time_text.h"
#include "headrace/client_settings.h"
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/job_story.h"
#include "headrace/jobs_list.h"
#include "headrace/log_sinks.h"
#include "headrace/operator.h"
#include "headrace/role_source.h"
#include "headrace/up_output.h"
#include "host/topology.h"
#include "net/runtime.h"
#include "os/linux/linux.h"
#include "task/names.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hr {
namespace {

// Looking at dead letters must leave them as they are, so a batch may show what was seen before: it ends
// after a batch without anything new, and after this many in any case.
constexpr int kPeeksMax = 200;

struct JobsFlags {
  JobsListFlags list;
  std::string id;
};

struct DeadLetter {
  std::string queue;
  codec::Pairs attributes;
  std::string body;
};

struct Known {
  api::JobObjects objects;
  std::vector<DeadLetter> dead;
  std::vector<std::string> log;
  std::vector<std::string> waiting;  // queues with messages, when neither objects nor dead letters know it

  bool nothing() const { return !objects.result && !objects.mark && dead.empty() && log.empty(); }
};

std::string attribute(const codec::Pairs& attributes, std::string_view name) {
  for (const auto& [key, value] : attributes)
    if (key == name) return value;
  return "";
}

net::Task<Status> peek(remote::Sqs& sqs, Bytes url, const std::string& id, std::vector<DeadLetter>& out) {
  std::map<Bytes, bool> seen;
  for (int i = 0; i < kPeeksMax; ++i) {
    const auto batch = co_await sqs.receive({.queue_url = url, .max = 10, .visibility_s = 0, .wait_s = 0});
    if (!batch && batch.error().kind == remote::FaultKind::kMissing) co_return Status();
    if (!batch) co_return fail(Errc::kUnavailable, queue_name(url) + ": " + batch.error().text());
    bool any_new = false;
    for (const auto& message : *batch) {
      if (!seen.emplace(message.id, true).second) continue;
      any_new = true;
      if (attribute(message.attributes, "headrace-job") == id)
        out.push_back({.queue = queue_name(url), .attributes = message.attributes, .body = message.body});
    }
    if (!any_new) break;
  }
  co_return Status();
}

net::Task<Status> gather(RoleSource& source, const std::string& id, Known& known) {
  auto objects = co_await source.job(id);
  if (!objects) co_return std::unexpected(objects.error());
  known.objects = std::move(*objects);
  const auto urls = co_await source.sqs().list_queues("");
  if (!urls) co_return fail(Errc::kUnavailable, "the store does not answer: " + urls.error().text());
  for (const Bytes& url : *urls) {
    if (!url.ends_with(task::dead_queue(""))) continue;
    if (auto looked = co_await peek(source.sqs(), url, id, known.dead); !looked) co_return looked;
  }
  if (known.objects.result || known.objects.mark || !known.dead.empty()) co_return Status();
  const auto queues = co_await source.queues();  // it may wait in one of them
  if (!queues) co_return std::unexpected(queues.error());
  for (const auto& queue : *queues) {
    if (queue.visible + queue.in_flight + queue.delayed > 0 && !queue.name.ends_with(task::dead_queue("")))
      known.waiting.push_back(fmt::format("{} ({} waiting, {} delayed, {} in work)", queue.name,
                                          queue.visible, queue.delayed, queue.in_flight));
  }
  co_return Status();
}

net::Task<void> gather_and_stop(net::Runtime& runtime, RoleSource& source, const std::string& id,
                                Known& known, Status& status) {
  status = co_await gather(source, id, known);
  runtime.stop();
}

Status ask_services(const ClientSettings& settings, const std::string& id, Known& known) {
  const auto sink = make_sink({.role = "jobs", .to = LogTo::kTerminal});
  const auto clock = os::make_clock(Time{});
  net::Runtime runtime(1, hr::Log(*sink));
  const auto source = std::make_unique<RoleSource>(runtime, *clock, settings, hr::Log(*sink));
  net::Gate gate;
  Status status = fail(Errc::kUnavailable, "interrupted");
  runtime.spawn(gate, "jobs", gather_and_stop(runtime, *source, id, known, status));
  runtime.run();
  return status;
}

template <class Take>
void each_line(const std::string& path, Take take) {
  for (const std::string& file : {path + ".1", path}) {
    std::ifstream lines(file);
    for (std::string line; std::getline(lines, line);) take(line);
  }
}

std::string member(std::string_view json, std::initializer_list<std::string_view> path) {
  const auto parsed = codec::parse_json(json, {.bytes_max = 64 * 1024 * 1024});
  if (!parsed) return "";
  const codec::Json* at = &*parsed;
  for (const std::string_view name : path) at = at != nullptr ? at->find(name) : nullptr;
  if (at == nullptr || at->is_null()) return "";
  return at->as_string() != nullptr ? *at->as_string() : codec::to_json(*at);
}

void read_logs(const ClientSettings& settings, const std::string& id, Known& known) {
  const host::Paths paths(settings.state);
  JobStory story(id);
  if (known.objects.result) story.request(member(*known.objects.result, {"request_id"}));
  for (const DeadLetter& letter : known.dead) story.request(member(letter.body, {"trace", "request_id"}));
  each_line(paths.log(), [&](std::string_view line) { story.learn(line); });
  each_line(paths.log(), [&](std::string_view line) { story.take(line); });
  each_line(paths.access_log(), [&](std::string_view line) { story.take_access(line); });
  known.log = story.lines();
}

// --- telling it

void tell_error(std::string_view json, std::string_view name) {
  const std::string type = member(json, {name, "type"});
  if (type.empty()) return;
  fmt::print("  error      {}: {}\n", visible(type), visible(member(json, {name, "message"})));
  const std::string traceback = member(json, {name, "traceback"});
  for (std::size_t from = 0; from < traceback.size();) {
    const std::size_t end = std::min(traceback.find('\n', from), traceback.size());
    fmt::print("    {}\n", visible(std::string_view(traceback).substr(from, end - from)));
    from = end + 1;
  }
}

void tell_fields(std::string_view json, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const std::string value = member(json, {name});
    if (!value.empty()) fmt::print("  {:<10} {}\n", name, visible(value));
  }
}

// Unix milliseconds, as a date.
void tell_times(std::string_view json, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    std::int64_t ms = 0;
    const std::string value = member(json, {name});
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), ms);
    if (error == std::errc() && end == value.data() + value.size() && ms > 0)
      fmt::print("  {:<10} {}\n", name, codec::iso8601(from_ms(ms)));
  }
}

void tell(const std::string& id, const Known& known) {
  fmt::print("job {}\n", id);
  if (known.objects.result) {
    fmt::print("result\n");
    tell_fields(*known.objects.result,
                {"state", "task", "queue", "attempts", "request_id", "worker", "host"});
    tell_times(*known.objects.result, {"sent", "started", "ended"});
    tell_fields(*known.objects.result, {"result"});
    tell_error(*known.objects.result, "error");
  }
  if (known.objects.mark) {
    fmt::print("mark\n");
    tell_fields(*known.objects.mark, {"state", "receives", "attempts", "crashes", "releases", "not_before"});
    const auto& result = known.objects.result;
    const bool told = result && member(*result, {"error"}) == member(*known.objects.mark, {"last_error"});
    if (!told) tell_error(*known.objects.mark, "last_error");  // of a dead job both have the same one
  }
  for (const DeadLetter& letter : known.dead) {
    fmt::print("dead letter in {}\n", letter.queue);
    for (const auto& [name, value] : letter.attributes)
      fmt::print("  {:<18} {}\n", visible(name), visible(value));
  }
  if (!known.log.empty()) fmt::print("log\n");
  for (const std::string& line : known.log) fmt::print("  {}\n", printable(line));
}

void tell_json(const std::string& id, const Known& known) {
  std::string out;
  codec::JsonWriter writer(out);
  const auto object = [&](std::string_view name, const std::optional<Bytes>& text) {
    writer.key(name);
    const bool good = text && codec::parse_json(*text, {.bytes_max = 64 * 1024 * 1024});
    good ? writer.raw(*text) : writer.null();
  };
  writer.begin_object().field("id", id);
  object("result", known.objects.result);
  object("mark", known.objects.mark);
  writer.key("dead").begin_array();
  for (const DeadLetter& letter : known.dead) {
    writer.begin_object().field("queue", letter.queue);
    for (const auto& [name, value] : letter.attributes) writer.field(name, value);
    writer.field("body", letter.body).end_object();
  }
  writer.end_array().key("log").begin_array();
  for (const std::string& line : known.log) writer.string(line);
  writer.end_array().end_object();
  fmt::print("{}\n", out);
}

int run(const JobsFlags& flags) {
  if (flags.id.empty()) return list_jobs(flags.list);
  if (!task::valid_job_id(flags.id))
    return usage_error(fmt::format("\"{}\" is not the id of a job", flags.id));
  const auto settings = find_services(flags.list.client);
  if (!settings) return usage_error(settings.error().message);
  Known known;
  if (auto asked = ask_services(*settings, flags.id, known); !asked) {
    fmt::print(stderr, "headrace: {}\n", asked.error().message);
    return kExitUnavailable;
  }
  read_logs(*settings, flags.id, known);
  if (known.nothing()) {
    fmt::print(
        stderr,
        "headrace: nothing is known of a job {}: no result, no mark, no dead letter, no log line; {}\n",
        flags.id,
        known.waiting.empty() ? std::string("no queue holds a message")
                              : fmt::format("it may be in a queue, whose messages show no id before a "
                                            "worker has them: {}",
                                            fmt::join(known.waiting, ", ")));
    return kExitFailed;
  }
  flags.list.json ? tell_json(flags.id, known) : tell(flags.id, known);
  return kExitOk;
}

}  // namespace

Command jobs_command(CLI::App& app) {
  const auto flags = std::make_shared<JobsFlags>();
  CLI::App* jobs = app.add_subcommand("jobs", "List the jobs in hand, or tell all that is known of one");
  jobs->add_option("id", flags->id, "The job's id; without it, what the workers of this host have in hand");
  jobs->add_option("--queue", flags->list.queue, "Of the list: of this queue only");
  jobs->add_option("--task", flags->list.task, "Of the list: of this task only, by its full name");
  jobs->add_option("--state", flags->list.state,
                   "Of the list: waiting, given, running, cancelling, ending, queued or delayed");
  jobs->add_flag("--waiting", flags->list.waiting, "Of the list: those that wait in the queues too");
  jobs->add_option("--limit", flags->list.most, "Of the list: at most so many (default: 100)")
      ->check(CLI::Range(1, 100'000));
  jobs->add_flag("--json", flags->list.json, "As one JSON object");
  add_client_options(*jobs, flags->list.client);
  jobs->footer(
      "Of one job: its result, its mark (attempts and the last error), its dead letter, and the lines of the "
      "logs with its id or the id of the request that sent it.\nExit codes: 0 told, 1 nothing is known of "
      "it, 2 usage or configuration, 4 the store, or every worker of this host, does not answer.");
  return {jobs, [flags] { return run(*flags); }};
}

}  // namespace hr
