// `headrace dead list, show, retry, purge`: jobs that ended for good without success.
#include "codec/time_text.h"
#include "headrace/commands.h"
#include "headrace/dead_letters.h"
#include "headrace/log_text.h"
#include "headrace/operator_commands.h"
#include "task/names.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace hr {
namespace {

struct DeadFlags {
  ClientFlags client;
  DeadFilter filter;
  std::string since;
  std::size_t most = 100;
  bool json = false, all = false;
};

void write_letter(codec::JsonWriter& out, const Letter& letter) {
  const SeenMessage& message = letter.message;
  out.begin_object().field("queue", letter.queue.source).field("job", message.attribute("headrace-job"));
  out.field("task", message.attribute("headrace-task")).field("reason", message.attribute("headrace-reason"));
  out.field("error", message.attribute("headrace-error"));
  out.field("attempts", message.attribute("headrace-attempts")).field("died", message.sent);
  out.field("message", message.id).field("body", message.body).key("attributes").begin_object();
  for (const auto& [name, value] : message.attributes) out.field(name, value);
  out.end_object().end_object();
}

int refused(const Error& error) {
  return say_error(error.code == Errc::kNotFound ? kExitFailed : kExitUnavailable, error.message);
}

// ---- looking

net::Task<int> list(Operator& here, const DeadFlags& flags) {
  const auto letters = co_await find_letters(here, flags.filter, flags.most);
  if (!letters) co_return refused(letters.error());
  if (flags.json) {
    std::string out;
    codec::JsonWriter writer(out);
    writer.begin_object().key("dead").begin_array();
    for (const Letter& letter : *letters) write_letter(writer, letter);
    writer.end_array().end_object();
    fmt::print("{}\n", out);
    co_return kExitOk;
  }
  std::vector<std::vector<std::string>> rows = {{"QUEUE", "JOB", "TASK", "REASON", "TRIES", "DIED", "ERROR"}};
  for (const Letter& letter : *letters) {
    const SeenMessage& message = letter.message;
    rows.push_back({letter.queue.source, message.attribute("headrace-job"),
                    message.attribute("headrace-task"), message.attribute("headrace-reason"),
                    message.attribute("headrace-attempts"), ago(message.sent, here.now()),
                    visible(message.attribute("headrace-error"))});
  }
  fmt::print("{}", table(rows));
  if (letters->size() == flags.most) fmt::print("(the first {}; --limit shows more)\n", flags.most);
  co_return kExitOk;
}

void tell_lines(std::string_view name, std::string_view text) {
  if (text.empty()) return;
  fmt::print("{}\n", name);
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = std::min(text.find('\n', from), text.size());
    fmt::print("  {}\n", visible(text.substr(from, end - from)));
    from = end + 1;
  }
}

net::Task<int> show(Operator& here, const DeadFlags& flags) {
  const auto letters = co_await find_letters(here, flags.filter, 1);
  if (!letters) co_return refused(letters.error());
  if (letters->empty())
    co_return say_error(kExitFailed, fmt::format("there is no dead letter of a job {}", flags.filter.job));
  const Letter& letter = letters->front();
  const auto result = co_await here.s3().get(here.bucket(), task::result_key(flags.filter.job));
  const auto json = result ? codec::parse_json(*result, {.bytes_max = 64U << 20}) : fail(Errc::kNotFound, "");
  if (flags.json) {
    std::string out;
    codec::JsonWriter writer(out);
    writer.begin_object().key("letter");
    write_letter(writer, letter);
    writer.key("result");
    if (json) {
      writer.raw(*result);
    } else {
      writer.null();
    }
    writer.end_object();
    fmt::print("{}\n", out);
    co_return kExitOk;
  }
  fmt::print("dead letter in {}, of {}\n", letter.queue.name, codec::iso8601(from_ms(letter.message.sent)));
  for (const auto& [name, value] : letter.message.attributes)
    fmt::print("  {:<18} {}\n", visible(name), visible(value));
  if (json) {
    if (const codec::Json* error = json->find("error")) {
      tell_lines("traceback", text_member(*error, "traceback"));
      tell_lines("last log lines", text_member(*error, "log"));
    }
  }
  tell_lines("message", letter.message.body);
  co_return kExitOk;
}

// ---- changing

net::Task<int> change(Operator& here, const DeadFlags& flags, bool retry) {
  DeadFilter filter = flags.filter;
  filter.until = to_ms(here.now());  // what dies again meanwhile is not meant
  const auto queues = co_await dead_queues(here, filter);
  if (!queues) co_return refused(queues.error());
  Moved all;
  for (const DeadQueue& queue : *queues) {
    const Moved moved =
        retry ? co_await retry_letters(here, queue, filter) : co_await purge_letters(here, queue, filter);
    all.moved += moved.moved;
    all.left += moved.left;
    if (all.error.empty()) all.error = moved.error;
  }
  const char* what = retry ? "retried" : "purged";
  if (flags.json) {
    fmt::print("{{\"{}\":{},\"left\":{}}}\n", what, all.moved, all.left);
  } else {
    fmt::print("{} {}\n", what, all.moved);
  }
  if (!all.error.empty())
    co_return say_error(kExitFailed, fmt::format("{} stay where they were: {}", all.left, all.error));
  co_return kExitOk;
}

// "2h" before now, or a time.
Result<std::int64_t> since_of(const std::string& text, Time now) {
  if (text.empty()) return 0;
  if (const auto time = codec::parse_iso8601(text)) return to_ms(*time);
  const auto before = parse_duration(text);
  if (!before)
    return fail(Errc::kInvalid, "--since is a duration such as 2h, or a time such as 2026-01-02T03:04:05Z");
  return to_ms(now - *before);
}

enum class What : std::uint8_t { kList, kShow, kRetry, kPurge };

int run(DeadFlags flags, What what) {
  const DeadFilter& filter = flags.filter;
  const bool changes = what == What::kRetry || what == What::kPurge;
  const bool narrow = !filter.queue.empty() || !filter.task.empty() || !filter.reason.empty() ||
                      !filter.job.empty() || !flags.since.empty();
  if (changes && narrow == flags.all)
    return usage_error(
        "say which: --queue, --task, --reason, --since, --job; or --all for every one of them");
  auto here = Operator::make(flags.client);
  if (!here) return usage_error(here.error().message);
  const auto since = since_of(flags.since, (*here)->now());
  if (!since) return usage_error(since.error().message);
  flags.filter.since = *since;
  switch (what) {
    case What::kList:
      return (*here)->run(list(**here, flags));
    case What::kShow:
      return (*here)->run(show(**here, flags));
    case What::kRetry:
    case What::kPurge:
      break;
  }
  return (*here)->run(change(**here, flags, what == What::kRetry));
}

void add_filters(CLI::App& line, DeadFlags& flags) {
  line.add_option("--queue", flags.filter.queue, "Of this queue only");
  line.add_option("--task", flags.filter.task, "Of this task only, by its full name");
  line.add_option("--reason", flags.filter.reason,
                  "exception, timeout, memory, crashed, expired, invalid or result");
  line.add_option("--since", flags.since, "That died in this time (2h), or after it (2026-01-02T03:04:05Z)");
  line.add_option("--job", flags.filter.job, "Of this job only");
}

}  // namespace

Command dead_command(CLI::App& app) {
  const auto flags = std::make_shared<DeadFlags>();
  const auto what = std::make_shared<What>(What::kList);
  CLI::App* dead = app.add_subcommand("dead", "Dead letters: jobs that failed for good");
  dead->require_subcommand(1);
  const auto add = [&](const char* name, const char* text, What meant) {
    CLI::App* line = dead->add_subcommand(name, text);
    line->add_flag("--json", flags->json, "As one JSON object");
    add_client_options(*line, flags->client);
    line->callback([what, meant] { *what = meant; });
    line->footer(
        "Exit codes: 0 done, 1 nothing found or something refused, 2 usage or configuration, 4 the "
        "services do not answer.");
    return line;
  };
  CLI::App* list = add("list", "Show them, the oldest of each queue first", What::kList);
  add_filters(*list, *flags);
  list->add_option("--limit", flags->most, "At most so many (default: 100)")->check(CLI::Range(1, 100'000));
  add("show", "Show one with its traceback and its message", What::kShow)
      ->add_option("id", flags->filter.job, "The job's id")
      ->required();
  CLI::App* retry = add("retry", "Send them back to the queue they came from", What::kRetry);
  add_filters(*retry, *flags);
  retry->add_flag("--all", flags->all, "Every one of them");
  CLI::App* purge = add("purge", "Throw them away", What::kPurge);
  add_filters(*purge, *flags);
  purge->add_flag("--all", flags->all, "Every one of them");
  return {dead, [flags, what] { return run(*flags, *what); }};
}

}  // namespace hr
