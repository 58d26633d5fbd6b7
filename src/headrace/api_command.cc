// `headrace api`: the task API on its unix socket, in front of the services and the other roles' sockets.
#include "api/front.h"
#include "headrace/client_settings.h"
#include "headrace/command.h"
#include "headrace/commands.h"
#include "headrace/log_sinks.h"
#include "headrace/notify.h"
#include "headrace/request_log.h"
#include "headrace/role_source.h"
#include "headrace/store_routes.h"
#include "host/topology.h"
#include "net/runtime.h"
#include "net/server.h"
#include "os/linux/linux.h"

#include <CLI/CLI.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace hr {
namespace {

constexpr std::size_t kPoolThreads = 1;
constexpr Duration kDrain = 10s;
constexpr Duration kSignOfLife = 10s;  // when nobody says how often one is expected

struct ApiFlags {
  ClientFlags client;
  std::string socket;
  bool verbose = false;
};

// The wired role. Members are in order of construction; destruction is the reverse.
class ApiRole {
 public:
  explicit ApiRole(hr::Log diary) : diary_(diary) {}

  Status start(const ClientSettings& settings, const std::string& socket);
  int run();

 private:
  net::Task<void> become_ready();
  net::Task<void> live();
  net::Task<void> wait_for_signal();
  net::Task<void> end();

  hr::Log diary_;
  std::string socket_;       // "": another kind was passed
  std::vector<int> passed_;  // LISTEN_FDS
  std::unique_ptr<os::Clock> clock_ = os::make_clock(Time{});
  std::unique_ptr<os::Entropy> entropy_ = os::make_entropy();
  net::Runtime runtime_{kPoolThreads, diary_};
  std::unique_ptr<RoleSource> source_;
  std::optional<api::Front> front_;
  std::optional<RequestLog> requests_;
  std::optional<net::Server> server_;
  net::Gate gate_;
  boost::asio::signal_set signals_{runtime_.context()};
  boost::asio::steady_timer timer_{runtime_.context()};
  bool stopping_ = false;
  int exit_code_ = kExitOk;
};

Status ApiRole::start(const ClientSettings& settings, const std::string& socket) {
  socket_ = socket;
  source_ = std::make_unique<RoleSource>(runtime_, *clock_, settings, diary_);
  front_.emplace(*source_, settings.config.app.name, kVersion);
  requests_.emplace(*front_, *clock_, diary_);
  server_.emplace(runtime_, *requests_, *clock_, *entropy_, diary_);
  passed_ = passed_sockets();
  for (const int descriptor : passed_) HR_TRY(server_->listen(net::PassedSocket{descriptor}));
  if (passed_.empty()) return server_->listen(net::UnixAddress{socket, 0660});
  socket_ = reach_of(passed_.front()).unix_path();
  return {};
}

int ApiRole::run() {
  signals_.add(SIGTERM);
  signals_.add(SIGINT);
  signals_.add(SIGHUP);  // nothing is read again while it runs: a hang-up ends it as SIGTERM does
  runtime_.spawn(gate_, "api.signals", wait_for_signal());
  runtime_.spawn(gate_, "api.ready", become_ready());
  runtime_.spawn(gate_, "api.life", live());
  runtime_.run();
  return exit_code_;
}

// Ready is: it has answered itself.
net::Task<void> ApiRole::become_ready() {
  const auto answered = co_await runtime_.on_pool(
      [this] { return passed_.empty() ? ask_health(socket_) : ask_health(passed_.front()); });
  if (!answered) {
    diary_.error("api.not_ready", {{"reason", answered.error().message}});
    exit_code_ = kExitUnavailable;
    co_return co_await end();
  }
  diary_.notice("api.ready", {{"socket", socket_}});
  notify_ready();
}

net::Task<void> ApiRole::live() {
  const Duration often = std::min(kSignOfLife, watchdog_interval().value_or(kSignOfLife * 3) / 3);
  while (!stopping_) {
    notify_watchdog();
    timer_.expires_after(often);
    boost::system::error_code ignored;
    co_await timer_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
  }
}

net::Task<void> ApiRole::wait_for_signal() {
  boost::system::error_code failed;
  const int signal =
      co_await signals_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, failed));
  if (failed) co_return;
  diary_.notice("api.stopping", {{"signal", signal}});
  co_await end();
}

net::Task<void> ApiRole::end() {
  notify_stopping();
  co_await server_->drain(kDrain);
  stopping_ = true;
  timer_.cancel();
  signals_.cancel();
  runtime_.stop();
}

int run(const ApiFlags& flags) {
  const auto sink = make_sink({.role = "api", .verbose = flags.verbose});
  const hr::Log diary(*sink);
  const auto settings = find_services(flags.client);
  if (!settings) return usage_error(settings.error().message);
  std::error_code ignored;
  const std::string socket =
      flags.socket.empty() ? host::Paths(settings->state).api_socket()
                           : std::filesystem::absolute(flags.socket, ignored).lexically_normal().string();
  ApiRole role(diary);
  if (auto started = role.start(*settings, socket); !started) {
    diary.error("api.not_started", {{"reason", started.error().message}});
    const bool usage = started.error().code == Errc::kInvalid || started.error().code == Errc::kUnsupported;
    return usage ? kExitUsage : kExitUnavailable;
  }
  return role.run();
}

}  // namespace

Command api_command(CLI::App& app) {
  const auto flags = std::make_shared<ApiFlags>();
  CLI::App* api = app.add_subcommand("api", "Serve /_headrace/: health, readiness, status, jobs");
  api->add_option("--config", flags->client.config_file,
                  "Configuration file (default: headrace.toml of this folder or the nearest one above)");
  api->add_option("--endpoint", flags->client.endpoint, "Of the store: http://ADDRESS:PORT or unix:/PATH");
  api->add_option("--keys", flags->client.keys, "The store's keys.toml");
  api->add_option("--socket", flags->socket, "Unix socket (default: run/api.sock of the state folder)");
  api->add_flag("--verbose", flags->verbose, "Log requests too");
  api->footer(
      "Exit codes: 0 ended as asked, 1 failed, 2 usage or configuration, 4 unavailable (socket in use).");
  return {api, [flags] { return run(*flags); }};
}

}  // namespace hr
