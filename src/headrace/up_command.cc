// `headrace up`: its command line, and what it tells when everything is ready.
#include "codec/json.h"
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/notify.h"
#include "headrace/up_output.h"
#include "headrace/up_prepare.h"
#include "headrace/up_role.h"
#include "os/linux/linux.h"
#include "os/linux/process.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <unistd.h>

namespace hr {
namespace {

std::string host_text(const HostPort& address) {
  if (address.host == "0.0.0.0" || address.host == "::" || address.host == "127.0.0.1") return "localhost";
  return address.host.contains(':') ? "[" + address.host + "]" : address.host;
}

std::string url(std::string_view scheme, const HostPort& address) {
  return fmt::format("{}://{}:{}", scheme, host_text(address), address.port);
}

std::string endpoint(const HostPort& address) { return "http://" + address_text(address); }

// What clients that nobody started from here find the store with.
std::string client_json(const UpGround& ground) {
  const host::Paths paths(ground.place.state);
  std::string out;
  codec::JsonWriter(out)
      .begin_object()
      .field("endpoint", endpoint(ground.place.store))
      .field("socket", paths.store_socket())
      .field("keys", paths.keys())
      .field("region", ground.config.store.region)
      .field("app", ground.config.app.name)
      .end_object();
  return out + "\n";
}

// Where the store is; empty: both services are Amazon's.
std::string store_of(const UpGround& ground) {
  return host::has_store(ground.config) ? endpoint(ground.place.store) : "";
}

std::string ready_json(const UpGround& ground) {
  std::string out;
  codec::JsonWriter(out)
      .begin_object()
      .field("https", url("https", ground.place.https))
      .field("http", url("http", ground.place.http))
      .field("endpoint", store_of(ground))
      .field("state", ground.place.state)
      .field("pid", static_cast<std::int64_t>(::getpid()))
      .end_object();
  return out + "\n";
}

bool colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  return ::isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0');
}

std::size_t width_of(const std::vector<UpRole>& roles) {
  std::size_t width = std::string_view("store").size();
  for (const UpRole& each : roles) width = std::max(width, each.role.name.size());
  return width;
}

void write_or_say(const std::string& path, const std::string& text, hr::Log diary) {
  if (auto written = write_private(path, text); !written)
    diary.error("up.not_written", {{"reason", written.error().message}});
}

int run(const UpFlags& flags) {
  const auto processes = os::make_processes();
  const auto clock = os::make_clock(Time{});
  const auto entropy = os::make_entropy();
  auto ground = prepare_up(flags, *processes, *clock, *entropy);
  if (!ground) {
    fmt::print(stderr, "headrace: {}\n", ground.error().sentence);
    return ground.error().exit_code;
  }
  const host::Paths paths(ground->place.state);
  Console console(STDOUT_FILENO, colour(), paths.log(), width_of(ground->roles));
  ConsoleSink sink(console, *clock);
  const hr::Log diary(sink);
  const auto begun = clock->boottime();
  return run_up({.roles = std::move(ground->roles),
                 .notify_path = paths.run("notify.sock"),
                 .processes = *processes,
                 .clock = *clock,
                 .console = console,
                 .diary = diary,
                 .ready =
                     [&](const std::string& role) {
                       if (role == "store") write_or_say(paths.client(), client_json(*ground), diary);
                     },
                 .all_ready =
                     [&] {
                       const auto took = std::chrono::floor<Duration>(clock->boottime() - begun);
                       diary.notice("up.ready", {{"https", url("https", ground->place.https) + "/"},
                                                 {"http", url("http", ground->place.http) + "/"},
                                                 {"store", store_of(*ground)},
                                                 {"state", ground->place.state},
                                                 {"ms", took.count()}});
                       if (!flags.ready_file.empty())
                         write_or_say(flags.ready_file, ready_json(*ground), diary);
                       notify_ready();
                     }});
}

}  // namespace

Command up_command(CLI::App& app) {
  const auto flags = std::make_shared<UpFlags>();
  CLI::App* up = app.add_subcommand(
      "up",
      "Run everything that headrace.toml describes: store, nginx, API, application workers, worker pools");
  up->add_option("--config", flags->config_file,
                 "Configuration file (default: headrace.toml of this folder or the nearest one above)");
  up->add_option("--state", flags->state,
                 "Folder of data, sockets, logs (default: .headrace beside the file)");
  up->add_option("--http", flags->http,
                 "Address and port of plain HTTP (default: site.http, else 127.0.0.1:8080)");
  up->add_option("--https", flags->https,
                 "Address and port of HTTPS (default: site.https, else 127.0.0.1:8443)");
  up->add_option("--ready-file", flags->ready_file,
                 "Write addresses and pid here as JSON once all are ready");
  up->footer(
      "The store starts first; then nginx, the API and the application workers; then the worker pools. nginx "
      "and "
      "the API always run; application workers when web.app or web.command is set; pools when there are any. "
      "Paths "
      "under /_headrace/ are answered for this host only. web.command is any server that takes its listening "
      "socket "
      "from LISTEN_FDS.\n"
      "Ctrl-C stops everything in reverse order; a second one kills. SIGHUP, where no terminal is attached, "
      "lets "
      "new processes take over the worker pools. Credentials of AWS in the environment "
      "are not "
      "passed on: the local store has its own, in STATE/store/keys.toml. With sqs = \"aws\" and s3 = \"aws\" "
      "there "
      "is no store, and they are.\n"
      "Exit codes: 0 ended as asked, 1 failed, or something had to be killed, 2 usage or configuration, 4 "
      "unavailable (port or state folder in use, nginx missing).");
  return {up, [flags] {
            for (std::string* path : {&flags->ready_file}) {
              std::error_code ignored;
              if (!path->empty())
                *path = std::filesystem::absolute(*path, ignored).lexically_normal().string();
            }
            return run(*flags);
          }};
}

}  // namespace hr
