#include "headrace/store_role.h"

#include "commit/recovery.h"
#include "commit/store.h"
#include "commit/threads.h"
#include "headrace/commands.h"
#include "headrace/keys.h"
#include "headrace/notify.h"
#include "headrace/request_log.h"
#include "headrace/space_watch.h"
#include "headrace/store_routes.h"
#include "headrace/store_scrub.h"
#include "headrace/store_snapshot.h"
#include "net/runtime.h"
#include "net/server.h"
#include "net/socket.h"
#include "os/linux/linux.h"
#include "s3/front.h"
#include "sqs/front.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <unistd.h>
#include <utility>
#include <vector>

namespace hr {
namespace {

constexpr std::size_t kPoolThreads = 2;
constexpr Duration kDrain = 25s;  // below the 30 s after which a supervisor loses patience
// Leases and waits are looked at least this often: a jump of the boot clock (suspend) shows no other way.
constexpr Duration kTickAtLeast = 1s;
// A log that takes nothing now is not asked again and again.
constexpr Duration kAfterRefusal = 100ms;

int exit_code_of(const Error& error) {
  switch (error.code) {
    case Errc::kInvalid:
    case Errc::kNotFound:
      return kExitUsage;
    case Errc::kBusy:
    case Errc::kNoSpace:
    case Errc::kPermission:
    case Errc::kUnavailable:
      return kExitUnavailable;
    default:
      return kExitFailed;
  }
}

// Nothing is made on the disk before the address is known to be good. Who connects from here on waits.
Result<net::Listening> listen_first(const StoreConfig& config) {
  HR_ASSIGN(const HostPort tcp, parse_listen(config.listen));
  if (!tcp.loopback && !config.allow_remote) {
    return fail(Errc::kInvalid,
                fmt::format("store.listen {} is not a loopback address: requests would travel "
                            "without TLS; put nginx in front, or set store.allow_remote = true",
                            config.listen));
  }
  return net::listen_on(net::TcpAddress{tcp.host, tcp.port});
}

// "disk.open of NAME failed: WHY" is for who reads the code; who starts a store is told its folder and a
// mend.
template <class T>
Result<T> in_folder(Result<T> result, const StoreConfig& config) {
  constexpr std::string_view kWhy = " failed: ";
  if (result) return result;
  Error& error = result.error();
  const std::size_t why = error.message.find(kWhy);
  if (why == error.message.npos) return result;
  std::string mend = "give another with store.path or --path";
  if (error.code == Errc::kPermission) mend = fmt::format("it must be writable by uid {}", ::geteuid());
  if (error.code == Errc::kNoSpace)
    mend = fmt::format("the log needs {} MiB to start", config.segment_mib * (config.reserve_segments + 1));
  error.message = fmt::format("{}: cannot be used as the data folder: {}; {}", config.path,
                              error.message.substr(why + kWhy.size()), mend);
  return result;
}

// Damage is for a person to look at: with which command. Of the index, files that are missing are damage too.
template <class T>
Result<T> mendable(Result<T> result, const StoreConfig& config, bool index = false) {
  if (result) return result;
  const Errc code = result.error().code;
  if (code != Errc::kCorrupt && !(index && (code == Errc::kIo || code == Errc::kNotFound))) return result;
  result.error().message += fmt::format(
      "; `headrace store repair --path {}` says what can be mended, and mends it with --yes", config.path);
  return result;
}

// Calls tick() at the engine's next deadline. One timer for all queues.
class Ticker {
 public:
  Ticker(net::Runtime& runtime, const os::Clock& clock, std::function<void()> turn)
      : timer_(runtime.context()), clock_(clock), turn_(std::move(turn)) {}

  void arm(Time deadline) {
    deadline = std::max(deadline, not_before_);
    if (deadline >= armed_) return;
    armed_ = deadline;
    timer_.expires_after(std::clamp<Duration>(deadline - clock_.now(), 0ms, kTickAtLeast));  // ends the wait
  }

  net::Task<void> run(commit::Store& store) {
    while (!stopping_) {
      boost::system::error_code ignored;
      co_await timer_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
      if (stopping_) break;
      const bool due = armed_ <= clock_.now() || store.next_deadline() <= clock_.now();
      if (due && !store.tick()) not_before_ = clock_.now() + kAfterRefusal;
      turn_();
      armed_ = Time::max();
      timer_.expires_after(kTickAtLeast);
      arm(store.next_deadline());
      notify_watchdog();
    }
  }

  void stop() {
    stopping_ = true;
    timer_.cancel();
  }

 private:
  boost::asio::steady_timer timer_;
  const os::Clock& clock_;
  const std::function<void()> turn_;  // at least once in kTickAtLeast
  Time armed_ = Time::max();
  Time not_before_{};
  bool stopping_ = false;
};

Status write_ready_file(const std::string& path, const std::string& text) {
  const std::string draft = path + ".new";
  std::FILE* file = std::fopen(draft.c_str(), "we");
  if (file == nullptr) return fail(Errc::kIo, fmt::format("{}: cannot be written", path));
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const bool closed = std::fclose(file) == 0;
  if (!written || !closed || std::rename(draft.c_str(), path.c_str()) != 0) {
    return fail(Errc::kIo, fmt::format("{}: cannot be written", path));
  }
  return {};
}

// The whole wired store. Members are in order of construction; destruction is the reverse.
class StoreRole {
 public:
  StoreRole(const StoreOptions& options, hr::Log diary)
      : config_(options.config),
        ready_file_(options.ready_file),
        diary_(diary),
        space_(options.config.keep_free) {}

  Status start();
  int run();

 private:
  void serve();
  void serve_clients();
  void serve_operators(const std::vector<std::uint32_t>& operators);
  void watch();
  void watch_space();
  net::Task<void> end_overdue_snapshot();
  net::Task<void> become_ready();
  net::Task<void> sweep();
  net::Task<void> wait_for_signal();
  net::Task<void> end();
  object::StoreLoad load() const;
  std::string endpoint() const;

  StoreConfig config_;
  std::string ready_file_;
  hr::Log diary_;
  std::unique_ptr<os::Entropy> entropy_ = os::make_entropy();
  std::unique_ptr<os::Disk> disk_;
  std::unique_ptr<os::DirLock> lock_;
  std::optional<Secrets> secrets_;
  commit::Recovered recovered_;
  std::unique_ptr<os::Clock> clock_;
  std::optional<net::Runtime> runtime_;
  std::optional<Ticker> ticker_;
  std::optional<commit::Store> store_;
  std::optional<commit::Threads> threads_;
  std::optional<sqs::SqsFront> sqs_;
  std::optional<StoreScrub> scrub_;
  std::optional<s3::S3Front> s3_;
  std::optional<Snapshots> snapshots_;
  std::optional<StoreRoutes> routes_;
  std::optional<RequestLog> requests_;
  std::optional<net::Server> server_;
  std::vector<int> passed_;  // LISTEN_FDS
  bool space_refused_ = false;
  SpaceWatch space_;
  net::Gate gate_, scrubbing_;
  std::optional<boost::asio::signal_set> signals_;
  int exit_code_ = kExitOk;
};

Status StoreRole::start() {
  passed_ = passed_sockets();
  net::Listening tcp;
  if (passed_.empty()) {
    HR_ASSIGN(tcp, listen_first(config_));
  }
  HR_ASSIGN(disk_, in_folder(os::open_disk(config_.path), config_));
  HR_ASSIGN(lock_, in_folder(disk_->lock("store.lock"), config_));
  HR_TRY(Snapshots::clear(config_.path));
  HR_ASSIGN(secrets_, load_or_make_keys(config_.path, config_.account, *entropy_));
  HR_ASSIGN(auto index, mendable(storage::open_rocksdb_index(config_.path + "/index"), config_, true));
  auto recovered = commit::recover(*disk_, *entropy_, std::move(index),
                                   {.log = log_options(config_), .queues = {}, .objects = {}});
  HR_ASSIGN(recovered_, mendable(in_folder(std::move(recovered), config_), config_));
  clock_ = os::make_clock(recovered_.report.logged);
  diary_.info("store.recovered", {{"groups", recovered_.report.last},
                                  {"segments", recovered_.report.segments},
                                  {"bytes", recovered_.report.bytes_read},
                                  {"torn_bytes", recovered_.report.torn_bytes},
                                  {"reapplied", recovered_.replayed_object_records}});
  serve();
  watch_space();
  if (!passed_.empty()) {
    config_.socket.clear();
    for (const int descriptor : passed_) {
      HR_TRY(server_->listen(net::PassedSocket{descriptor}));
      if (config_.socket.empty()) config_.socket = reach_of(descriptor).unix_path();
    }
    return {};
  }
  if (config_.socket.empty()) config_.socket = config_.path + "/store.sock";
  HR_TRY(server_->listen(net::PassedSocket{tcp.fd.get()}));
  return server_->listen(net::UnixAddress{config_.socket, 0660});
}

void StoreRole::serve() {
  runtime_.emplace(kPoolThreads, diary_);
  ticker_.emplace(*runtime_, *clock_, [this] { watch(); });
  store_.emplace(commit::Store::Parts{.log = *recovered_.log,
                                      .queues = *recovered_.queues,
                                      .objects = *recovered_.objects,
                                      .clock = *clock_,
                                      .entropy = *entropy_,
                                      .diary = diary_,
                                      .deadline_moved = [this](Time deadline) { ticker_->arm(deadline); },
                                      .recovered = recovered_.report.last});
  const auto failed = [this](const Error& error) {
    diary_.error("store.failed", {{"reason", error.message}});
    exit_code_ = kExitFailed;
    runtime_->stop();
  };
  commit::Threads::Parts parts{
      .store = *store_,
      .recovered = recovered_,
      .clock = *clock_,
      .keeper = {.segment_bytes = config_.segment_mib << 20},
      .diary = diary_,
      .post = [this](std::move_only_function<void()> work) { runtime_->post(std::move(work)); },
      .failed = failed};
  threads_.emplace(std::move(parts));
  serve_clients();
}

void StoreRole::serve_clients() {
  wire::TrustedPeers trusted{.uids = config_.trusted_uids, .account = config_.account};
  trusted.uids.push_back(::geteuid());
  sqs_.emplace(sqs::SqsFront::Parts{.store = *store_,
                                    .keys = secrets_->keys,
                                    .trusted = trusted,
                                    .receipt_key = secrets_->receipt_key,
                                    .clock = *clock_,
                                    .region = config_.region,
                                    .strict = config_.strict_aws,
                                    .entropy = *entropy_,
                                    .diary = diary_});
  scrub_.emplace(StoreScrub::Parts{.disk = *disk_,
                                   .index = *recovered_.index,
                                   .blobs = *recovered_.blobs,
                                   .runtime = *runtime_,
                                   .clock = *clock_,
                                   .diary = diary_,
                                   .load = [this] { return load(); },
                                   .limits = {.bytes_per_second = config_.scrub_rate}});
  s3_.emplace(s3::S3Front::Parts{.store = *store_,
                                 .index = *recovered_.index,
                                 .blobs = *recovered_.blobs,
                                 .runtime = *runtime_,
                                 .keys = secrets_->keys,
                                 .trusted = trusted,
                                 .clock = *clock_,
                                 .region = config_.region,
                                 .domain = config_.domain,
                                 .damage = &scrub_->damage(),
                                 .damaged = [this](const object::Damage& found) { scrub_->report(found); },
                                 .diary = diary_,
                                 .limits = {.body_bytes_max = config_.object_bytes_max}});
  serve_operators(trusted.uids);
  net::ServerLimits limits;
  limits.connections_max = config_.connections_max;
  requests_.emplace(*routes_, *clock_, diary_);
  server_.emplace(*runtime_, *requests_, *clock_, *entropy_, diary_, limits);
  routes_->watch(*server_);
}

void StoreRole::serve_operators(const std::vector<std::uint32_t>& operators) {
  snapshots_.emplace(Snapshots::Parts{.path = config_.path,
                                      .log = *recovered_.log,
                                      .index = *recovered_.index,
                                      .blobs = *recovered_.blobs,
                                      .threads = *threads_,
                                      .clock = *clock_,
                                      .entropy = *entropy_,
                                      .diary = diary_});
  routes_.emplace(StoreRoutes::Parts{.store = *store_,
                                     .log = *recovered_.log,
                                     .index = *recovered_.index,
                                     .threads = *threads_,
                                     .sqs = *sqs_,
                                     .s3 = *s3_,
                                     .snapshots = *snapshots_,
                                     .scrub = *scrub_,
                                     .space = space_,
                                     .runtime = *runtime_,
                                     .operators = operators});
}

// At least once in kTickAtLeast.
void StoreRole::watch() {
  watch_space();
  if (s3_) s3_->tick();
  if (snapshots_->is_overdue()) runtime_->spawn(gate_, "store.snapshot", end_overdue_snapshot());
}

net::Task<void> StoreRole::end_overdue_snapshot() {
  co_await runtime_->on_pool([this] {
    snapshots_->end_overdue();
    return true;
  });
}

// One line when the disk is nearly full, or the log finds no room for its next segment, and one when there is
// room again.
void StoreRole::watch_space() {
  if (const auto space = disk_->space("store.space")) store_->set_space_low(space_.look(*space));
  const bool refused = store_->space_low() || recovered_.log->stats().space_refused;
  if (refused == std::exchange(space_refused_, refused)) return;
  if (refused) {
    diary_.warning("store.disk_full", {{"path", config_.path},
                                       {"free", space_.free_bytes()},
                                       {"keep", space_.mark()},
                                       {"what", "new messages and objects are refused until there is room"}});
  } else {
    diary_.notice("store.disk_has_room", {{"path", config_.path}, {"free", space_.free_bytes()}});
  }
}

object::StoreLoad StoreRole::load() const {
  const auto http = server_->stats();
  return {.requests = http.requests, .bytes = http.bytes_in + http.bytes_out};
}

std::string StoreRole::endpoint() const {
  if (server_->port() == 0) return "";
  const auto tcp = parse_listen(config_.listen);
  const std::string host = tcp ? tcp->host : "127.0.0.1";
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", server_->port());
}

int StoreRole::run() {
  threads_->start();
  runtime_->spawn(gate_, "store.tick", ticker_->run(*store_));
  runtime_->spawn(gate_, "store.signals", wait_for_signal());
  runtime_->spawn(gate_, "store.ready", become_ready());
  runtime_->spawn(gate_, "store.sweep", sweep());
  runtime_->run();
  threads_->stop();
  // A last sync or flush that failed has said so since run() ended.
  runtime_->context().restart();
  runtime_->context().poll();
  return exit_code_;
}

// Ready is: it has answered itself. On its unix socket, where it has one: a sandbox may keep it from being a
// client of its own TCP address.
net::Task<void> StoreRole::become_ready() {
  const auto answered = co_await runtime_->on_pool(
      [this] { return config_.socket.empty() ? ask_health(passed_.front()) : ask_health(config_.socket); });
  if (!answered) {
    diary_.error("store.not_ready", {{"reason", answered.error().message}});
    exit_code_ = kExitUnavailable;
    co_return co_await end();
  }
  routes_->set_ready(true);
  if (!ready_file_.empty()) {
    const std::string text =
        fmt::format("{{\"endpoint\":\"{}\",\"socket\":\"{}\",\"keys\":\"{}/keys.toml\",\"pid\":{}}}\n",
                    endpoint(), config_.socket, config_.path, ::getpid());
    if (auto written = write_ready_file(ready_file_, text); !written) {
      diary_.error("store.not_ready", {{"reason", written.error().message}});
      exit_code_ = kExitFailed;
      co_return co_await end();
    }
  }
  scrub_->load();
  runtime_->spawn(scrubbing_, "store.scrub", scrub_->run());
  diary_.notice("store.ready",
                {{"endpoint", endpoint()}, {"socket", config_.socket}, {"path", config_.path}});
  notify_ready();
}

// Bodies that no object refers to: a crash left them before their record was logged.
net::Task<void> StoreRole::sweep() {
  const auto swept = co_await runtime_->on_pool([this] {
    return object::sweep_orphans(*recovered_.blobs, *recovered_.index, recovered_.log->epoch());
  });
  if (!swept) {
    diary_.error("store.sweep_failed", {{"reason", swept.error().message}});
  } else if (swept->removed > 0) {
    diary_.info("store.swept", {{"removed", swept->removed}});
  }
}

net::Task<void> StoreRole::wait_for_signal() {
  signals_.emplace(runtime_->context(), SIGTERM, SIGINT, SIGHUP);
  boost::system::error_code failed;
  const int signal =
      co_await signals_->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, failed));
  if (failed) co_return;
  diary_.notice("store.stopping", {{"signal", signal}});
  co_await end();
}

net::Task<void> StoreRole::end() {
  notify_stopping();
  routes_->set_ready(false);
  scrub_->stop();
  co_await server_->drain(kDrain);
  co_await runtime_->finish(scrubbing_);
  ticker_->stop();
  if (signals_) signals_->cancel();
  runtime_->stop();
}

}  // namespace

storage::LogOptions log_options(const StoreConfig& config) {
  storage::LogOptions options;
  options.segment_bytes = config.segment_mib << 20;
  options.reserve_segments = config.reserve_segments;
  options.batch_bytes_max = std::min(options.batch_bytes_max, options.segment_bytes / 4 * 3);
  return options;
}

int run_store(const StoreOptions& options, hr::Log diary) {
  StoreRole role(options, diary);
  if (auto started = role.start(); !started) {
    diary.error("store.not_started", {{"reason", started.error().message}});
    return exit_code_of(started.error());
  }
  return role.run();
}

}  // namespace hr
