// `headrace worker`: finds the configuration, the services and the interpreter, and runs one pool.
#include "headrace/client_settings.h"
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/level_sink.h"
#include "headrace/log_sinks.h"
#include "headrace/notify.h"
#include "headrace/python_program.h"
#include "os/linux/linux.h"
#include "os/linux/process.h"
#include "worker/worker.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace hr {
namespace {

struct WorkerFlags {
  ClientFlags client;
  std::string pool = "default";
  std::string control;
  std::string drain = "30s";
  bool verbose = false;
};

// What is for this process only, or is said anew below.
bool inherited(std::string_view entry) {
  constexpr std::string_view kOwn[] = {
      "NOTIFY_SOCKET=",     "WATCHDOG_",         "LISTEN_",           "HEADRACE_CHANNEL=",
      "HEADRACE_LEASE=",    "HEADRACE_CHILD=",   "HEADRACE_CONFIG=",  "HEADRACE_STATE=",
      "HEADRACE_ENDPOINT=", "HEADRACE_KEYS=",    "HEADRACE_REGION=",  "HEADRACE_VERSION=",
      "HEADRACE_POOL=",     "HEADRACE_MODULES=", "PYTHONUNBUFFERED=", "HEADRACE_CONCURRENCY="};
  return std::ranges::none_of(kOwn, [&](std::string_view own) { return entry.starts_with(own); });
}

std::vector<std::string> environment_of(const ClientSettings& settings, const PoolConfig& pool) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (inherited(*entry)) out.emplace_back(*entry);
  }
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) out.push_back(fmt::format("{}={}", name, value));
  };
  add("HEADRACE_CONFIG", settings.config.file);
  add("HEADRACE_STATE", settings.state);
  add("HEADRACE_ENDPOINT", settings.told_endpoint);
  add("HEADRACE_KEYS", settings.keys);
  add("HEADRACE_REGION", settings.region);
  add("HEADRACE_VERSION", kVersion);
  add("HEADRACE_POOL", pool.name);
  add("HEADRACE_MODULES", fmt::format("{}", fmt::join(pool.modules, ",")));
  add("HEADRACE_CONCURRENCY", std::to_string(pool.concurrency));
  add("PYTHONUNBUFFERED", "1");
  return out;
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

Result<PoolConfig> find_pool(const Config& config, const std::string& name) {
  const auto found = std::ranges::find(config.pools, name, &PoolConfig::name);
  if (found != config.pools.end()) return *found;
  std::vector<std::string> names;
  for (const PoolConfig& pool : config.pools) names.push_back(pool.name);
  const std::string near = nearest(name, names);
  return fail(Errc::kNotFound, fmt::format("{}: there is no [worker.{}]{}", config.file, name,
                                           near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
}

// What this process was started with, to start the next one: by the program as it is on the disk then.
std::vector<std::string> own_command() {
  std::vector<std::string> out;
  std::ifstream file("/proc/self/cmdline");
  for (std::string word; std::getline(file, word, '\0');) out.push_back(word);
  const char* named = std::getenv("HEADRACE_PROGRAM");
  std::error_code ignored;
  std::string program = named != nullptr && *named != '\0'
                            ? named
                            : std::filesystem::read_symlink("/proc/self/exe", ignored).string();
  constexpr std::string_view kGone = " (deleted)";
  if (program.ends_with(kGone)) program.resize(program.size() - kGone.size());
  if (!out.empty() && !program.empty()) out.front() = program;
  return out;
}

// The process that asked for this one; an environment that somebody copied names nobody's parent.
int predecessor() {
  const char* said = std::getenv("HEADRACE_PREDECESSOR");
  const std::string_view named = said != nullptr ? said : "";
  int pid = 0;
  std::from_chars(named.data(), named.data() + named.size(), pid);
  ::unsetenv("HEADRACE_PREDECESSOR");
  return pid == ::getppid() ? pid : 0;
}

Result<worker::WorkerSetup> setup_of(const WorkerFlags& flags) {
  HR_ASSIGN(const ClientSettings settings, find_services(flags.client));
  HR_ASSIGN(const PoolConfig pool, find_pool(settings.config, flags.pool));
  if (pool.modules.empty()) {
    return fail(Errc::kInvalid, fmt::format("{}: [worker.{}] has no modules = [\"package.module\"]",
                                            settings.config.file, pool.name));
  }
  worker::WorkerSetup out;
  out.pool.name = pool.name;
  out.pool.host = host_name();
  out.pool.processes = pool.processes;
  out.pool.memory_bytes = pool.memory_bytes;
  out.pool.recycle = pool.recycle;
  out.pool.lease = pool.lease;
  out.pool.concurrency = pool.concurrency;
  out.app = settings.config.app.name;
  out.queues = pool.queues;
  auto python = find_python(settings.config.app.python);
  if (!python) return std::unexpected(std::move(python).error().in("app.python"));
  out.child = {.program = *python,
               .arguments = {"-m", "headrace._child"},
               .folder = settings.config.app.root,
               .environment = environment_of(settings, pool)};
  out.services = settings.services;
  out.create = {.queues = settings.config.services.local_sqs, .buckets = settings.config.services.local_s3};
  out.control = flags.control.empty() ? fmt::format("{}/run/worker-{}.sock", settings.state, pool.name)
                                      : std::filesystem::absolute(flags.control).string();
  out.results_kept = settings.config.app.results_kept;
  out.operators = settings.config.host.operators;
  out.again = own_command();
  out.predecessor = predecessor();
  HR_ASSIGN(out.drain, parse_duration(flags.drain));
  return out;
}

int exit_code_of(worker::Exit::How how) {
  switch (how) {
    case worker::Exit::How::kDone:
      return kExitOk;
    case worker::Exit::How::kConfiguration:
      return kExitUsage;
    case worker::Exit::How::kFailed:
      break;
  }
  return kExitFailed;
}

int run(const WorkerFlags& flags) {
  auto setup = setup_of(flags);
  if (!setup) return usage_error(setup.error().message);
  std::error_code ignored;
  const auto folder = std::filesystem::path(setup->control).parent_path();
  if (std::filesystem::create_directories(folder, ignored)) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, ignored);
  }
  const auto all = make_sink({.role = "worker", .verbose = true});
  LevelSink sink(*all, flags.verbose ? Severity::kDebug : Severity::kInfo);
  const auto clock = os::make_clock(Time{});
  const auto entropy = os::make_entropy();
  const auto processes = os::make_processes();
  worker::Worker pool(std::move(*setup),
                      {.ready = notify_ready,
                       .stopping = notify_stopping,
                       .alive = notify_watchdog,
                       .log_level = [&sink](Severity least) { sink.set(least); },
                       .replaced = [](int pid) { sd_notifyf(0, "MAINPID=%d", pid); }},
                      {.clock = *clock, .entropy = *entropy, .processes = *processes, .log = sink});
  if (auto started = pool.start(); !started) {
    fmt::print(stderr, "headrace: {}\n", started.error().message);
    return started.error().code == Errc::kInvalid ? kExitUsage : kExitUnavailable;
  }
  const worker::Exit ended = pool.run();
  if (!ended.message.empty()) fmt::print(stderr, "headrace: {}\n", ended.message);
  return exit_code_of(ended.how);
}

}  // namespace

Command worker_command(CLI::App& app) {
  const auto flags = std::make_shared<WorkerFlags>();
  CLI::App* worker = app.add_subcommand("worker", "Run one pool of background workers");
  worker->add_option("--pool", flags->pool, "Name of the pool: [worker.NAME] (default: default)");
  worker->add_option("--config", flags->client.config_file,
                     "Configuration file (default: HEADRACE_CONFIG, else headrace.toml here or above)");
  worker->add_option("--endpoint", flags->client.endpoint, "The store: http://ADDRESS:PORT or unix:/PATH");
  worker->add_option("--keys", flags->client.keys, "The store's keys.toml");
  worker->add_option("--control", flags->control, "Control socket (default: STATE/run/worker-NAME.sock)");
  worker->add_option("--drain", flags->drain,
                     "How long running tasks may go on after SIGTERM (default: 30s)");
  worker->add_flag("--verbose", flags->verbose, "Log debug records too");
  worker->footer(
      "Exit codes: 0 ended as asked, 1 failed, 2 usage, configuration or a module that cannot be imported, 4 "
      "unavailable (another worker of this pool runs).");
  return {worker, [flags] { return run(*flags); }};
}

}  // namespace hr
