#include "headrace/up_role.h"

#include "headrace/commands.h"
#include "headrace/notify.h"
#include "headrace/up_notify.h"
#include "os/linux/process.h"
#include "supervise/supervisor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <utility>

namespace hr {
namespace {

using supervise::Action;
using supervise::Event;
using supervise::Id;

constexpr Duration kWatchdog = 30s;
constexpr Duration kLooksAgain = 10ms;  // at a process group that was killed
constexpr Duration kWaitsAtMost = 60s;
constexpr Duration kOrphansEnd = 5s;
constexpr int kFirstPassed = 3;

std::string how_it_ended(const os::Ended& ended) {
  if (ended.signal != 0) return fmt::format("signal {} ({})", ended.signal, ::strsignal(ended.signal));
  return fmt::format("exit code {}", ended.code);
}

std::string_view word_of(Action::Why why) {
  switch (why) {
    case Action::Why::kNotReady:
      return "it was not ready in time";
    case Action::Why::kSilent:
      return "it gave no sign of life";
    case Action::Why::kDidNotStop:
      return "it did not stop in time";
    case Action::Why::kAskedTwice:
      return "asked to stop twice";
    case Action::Why::kNone:
      break;
  }
  return "";
}

// A hang-up of the terminal that it was started from ends it; without one it is an operator's word.
bool has_terminal() {
  const os::Fd terminal(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  return terminal.open();
}

class Up {
 public:
  Up(UpParts parts, supervise::Supervisor supervisor, NotifySocket notify, os::Fd signals)
      : parts_(std::move(parts)),
        supervisor_(std::move(supervisor)),
        notify_(std::move(notify)),
        signals_(std::move(signals)),
        strangers_(parts_.processes.children()),
        children_(parts_.roles.size()),
        last_lines_(parts_.roles.size()),
        beat_every_(watchdog_interval()) {}

  int run();

 private:
  struct Child {
    int pid = 0;  // 0: none runs
    os::Fd output;
    LineSplitter lines;
    std::optional<Probe> probe;
    bool ready = false;
    bool adopted = false;  // it took over from the process started here, whose child it may be still
    std::optional<os::Ended> ended;  // its main process is gone, its group perhaps not
  };

  void happened(Event event) { events_.push_back(event); }
  void decide();
  void perform(const Action& action);
  void start(Id id);
  Result<int> spawn(Id id, int output);
  void terminate(Id id);
  void kill(Id id, Action::Why why);
  void became_ready(Id id);

  void wait();
  void hear();
  void take_signals();
  void reload();
  void reap();
  void look_at_groups();
  void gone(Id id);
  void read_output(Id id);
  void said(Id id, std::string_view line);
  void probe(Id id);
  void end_orphans();
  void beat();
  void say_why() const;
  int exit_code() const;

  const std::string& name(Id id) const { return parts_.roles[id].role.name; }
  hr::Log diary() const { return parts_.diary; }

  UpParts parts_;
  supervise::Supervisor supervisor_;
  NotifySocket notify_;
  os::Fd signals_;
  const std::vector<int> strangers_;  // children from before: an exec'd shell's, say
  std::vector<Child> children_;
  std::deque<Event> events_;
  std::vector<std::string> last_lines_;  // of each role
  std::optional<Id> gave_up_;
  // systemd(1) watches us as we watch the roles: half of what it allows.
  const std::optional<Duration> beat_every_;
  Time next_beat_{};
  bool announced_ = false;
};

int Up::run() {
  for (const Action& action : supervisor_.begin(parts_.clock.now())) perform(action);
  decide();
  while (!supervisor_.done()) {
    beat();
    wait();
    for (Id id = 0; id < children_.size(); ++id) read_output(id);
    hear();
    take_signals();
    reap();
    look_at_groups();
    for (Id id = 0; id < children_.size(); ++id) probe(id);
    const auto deadline = supervisor_.next_deadline();
    if (deadline && *deadline <= parts_.clock.now()) happened({.kind = Event::Kind::kTick});
    decide();
  }
  end_orphans();
  say_why();
  return exit_code();
}

void Up::beat() {
  if (!beat_every_ || parts_.clock.now() < next_beat_) return;
  notify_watchdog();
  next_beat_ = parts_.clock.now() + *beat_every_ / 2;
}

// The reason stands far above by now: once more, as the last line.
void Up::say_why() const {
  if (gave_up_) diary().error("up.gave_up", {{"role", name(*gave_up_)}, {"said", last_lines_[*gave_up_]}});
}

int Up::exit_code() const {
  if (supervisor_.given_up()) return kExitUsage;
  return supervisor_.forced() ? kExitFailed : kExitOk;
}

void Up::decide() {
  while (!events_.empty()) {
    const Event event = events_.front();
    events_.pop_front();
    for (const Action& action : supervisor_.handle(event, parts_.clock.now())) perform(action);
  }
  if (!announced_ && supervisor_.all_ready()) {
    announced_ = true;
    parts_.all_ready();
  }
}

void Up::perform(const Action& action) {
  switch (action.kind) {
    case Action::Kind::kStart:
      return start(action.service);
    case Action::Kind::kTerminate:
      return terminate(action.service);
    case Action::Kind::kKill:
      return kill(action.service, action.why);
    case Action::Kind::kPause:
      return diary().warning("up.restarts",
                             {{"role", name(action.service)}, {"in_ms", action.pause.count()}});
    case Action::Kind::kGiveUp:
      gave_up_ = action.service;
      return diary().error("up.gives_up",
                           {{"role", name(action.service)},
                            {"reason", "it cannot run as it is configured; see its last lines"}});
  }
}

// --- processes

void Up::start(Id id) {
  Child& child = children_[id];
  child = Child{};
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    diary().error("up.cannot_start", {{"role", name(id)}, {"reason", std::strerror(errno)}});
    return happened({.kind = Event::Kind::kEnded, .service = id});
  }
  child.output = os::Fd(ends[0]);
  const os::Fd theirs(ends[1]);
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  const auto pid = spawn(id, theirs.get());
  if (!pid) {
    diary().error("up.cannot_start", {{"role", name(id)}, {"reason", pid.error().message}});
    last_lines_[id] = pid.error().message;
    const bool hopeless = pid.error().code == Errc::kNotFound || pid.error().code == Errc::kPermission;
    return happened({.kind = Event::Kind::kEnded, .service = id, .misconfigured = hopeless});
  }
  child.pid = *pid;
  diary().info("up.started", {{"role", name(id)}, {"pid", *pid}});
  const host::Role& role = parts_.roles[id].role;
  if (role.readiness == host::Readiness::kAnswers)
    child.probe.emplace(parts_.roles[id].sockets.front().get(), role.ready_path);
}

Result<int> Up::spawn(Id id, int output) {
  const UpRole& what = parts_.roles[id];
  os::Spawn spawn{.command = what.role.command,
                  .environment = what.environment,
                  .folder = what.role.folder,
                  .output = output,
                  .death_signal = SIGTERM};
  std::string inherited = "NGINX=";
  for (std::size_t i = 0; i < what.sockets.size(); ++i) {
    spawn.passed.push_back(what.sockets[i].get());
    if (!what.role.is_nginx) spawn.listen_names.push_back(what.role.sockets[i].name);
    inherited += fmt::format("{};", kFirstPassed + i);
  }
  if (what.role.is_nginx) {
    spawn.environment.push_back(inherited);
  } else {
    spawn.environment.push_back("NOTIFY_SOCKET=" + parts_.notify_path);
    spawn.environment.push_back(
        fmt::format("WATCHDOG_USEC={}", std::chrono::microseconds(kWatchdog).count()));
  }
  return parts_.processes.spawn(spawn);
}

// The main process only: what it started is its own business, until it is gone.
void Up::terminate(Id id) {
  diary().info("up.stops", {{"role", name(id)}});
  parts_.processes.signal_one(children_[id].pid, parts_.roles[id].role.is_nginx ? SIGQUIT : SIGTERM);
}

void Up::kill(Id id, Action::Why why) {
  diary().warning("up.kills", {{"role", name(id)}, {"reason", word_of(why)}});
  parts_.processes.signal_group(children_[id].pid, SIGKILL);
}

void Up::reap() {
  while (const auto ended = parts_.processes.reap()) {
    const auto child = std::ranges::find(children_, ended->pid, &Child::pid);
    if (child == children_.end()) continue;  // an orphan that was adopted
    child->ended = *ended;
    parts_.processes.signal_group(ended->pid, SIGKILL);  // what it left behind
  }
}

// A service has ended when its whole group has: then there is no second one of it.
void Up::look_at_groups() {
  for (Id id = 0; id < children_.size(); ++id) {
    Child& child = children_[id];
    if (child.adopted && !child.ended && !parts_.processes.signal_one(child.pid, 0))
      child.ended = os::Ended{.pid = child.pid, .code = kExitFailed};  // somebody else has reaped it
    if (child.ended && !parts_.processes.signal_group(child.pid, 0)) gone(id);
  }
}

void Up::gone(Id id) {
  Child& child = children_[id];
  read_output(id);
  child.lines.finish([&](std::string_view line) { said(id, line); });
  const os::Ended ended = *child.ended;
  child = Child{};
  const bool clean = supervisor_.stopping() && ended.signal == 0 && ended.code == 0;
  diary()(clean ? Severity::kInfo : Severity::kWarning, "up.ended",
          {{"role", name(id)}, {"pid", ended.pid}, {"by", how_it_ended(ended)}});
  const bool misconfigured = ended.signal == 0 && ended.code == kExitUsage && !parts_.roles[id].role.is_nginx;
  happened({.kind = Event::Kind::kEnded, .service = id, .misconfigured = misconfigured});
}

void Up::became_ready(Id id) {
  children_[id].probe.reset();
  if (supervisor_.state(id) != supervise::State::kStarting || std::exchange(children_[id].ready, true))
    return;
  diary().info("up.role_ready", {{"role", name(id)}});
  parts_.ready(name(id));
  happened({.kind = Event::Kind::kReady, .service = id});
}

// Nobody who was adopted stays either; those that were there before us do, unless everything ends with us.
void Up::end_orphans() {
  const Time patience = parts_.clock.now() + kOrphansEnd;
  while (parts_.clock.now() < patience) {
    while (parts_.processes.reap()) {
    }
    bool any = false;
    for (const int pid : parts_.processes.children()) {
      if (::getpid() != 1 && std::ranges::count(strangers_, pid) != 0) continue;
      any = true;
      parts_.processes.signal_one(pid, SIGKILL);
    }
    if (!any) return;
    ::poll(nullptr, 0, static_cast<int>(kLooksAgain.count()));
  }
}

// --- what is heard

void Up::wait() {
  const Time now = parts_.clock.now();
  Time until = std::min(now + kWaitsAtMost, supervisor_.next_deadline().value_or(Time::max()));
  if (beat_every_) until = std::min(until, next_beat_);
  std::vector<pollfd> fds = {{.fd = signals_.get(), .events = POLLIN, .revents = 0},
                             {.fd = notify_.fd(), .events = POLLIN, .revents = 0}};
  for (const Child& child : children_) {
    if (child.output.open()) fds.push_back({.fd = child.output.get(), .events = POLLIN, .revents = 0});
    if (child.ended) until = std::min(until, now + kLooksAgain);
    if (!child.probe) continue;
    if (child.probe->fd() >= 0)
      fds.push_back({.fd = child.probe->fd(), .events = child.probe->events(), .revents = 0});
    else
      until = std::min(until, child.probe->again_at());
  }
  const auto patience = std::max<Duration>(until - now, 0ms);
  ::poll(fds.data(), fds.size(), static_cast<int>(patience.count()));
}

void Up::hear() {
  while (const auto notice = notify_.take()) {
    const auto child = std::ranges::find_if(children_, [&](const Child& each) {
      return each.pid != 0 && each.pid == notice->pid && !each.ended;
    });
    if (child == children_.end()) continue;
    const Id id = static_cast<Id>(child - children_.begin());
    if (notice->ready) became_ready(id);
    if (notice->main_pid > 0) {
      diary().notice("up.replaced", {{"role", name(id)}, {"pid", notice->pid}, {"by", notice->main_pid}});
      child->pid = notice->main_pid;
      child->adopted = true;
    }
    if (notice->alive) happened({.kind = Event::Kind::kAlive, .service = id});
  }
}

void Up::take_signals() {
  signalfd_siginfo info{};
  while (os::retried([&] { return ::read(signals_.get(), &info, sizeof info); }) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) continue;
    if (info.ssi_signo == SIGHUP && !supervisor_.stopping() && !has_terminal()) {
      reload();
      continue;
    }
    if (supervisor_.stopping()) {
      diary().warning("up.killing", {{"signal", info.ssi_signo}});
    } else {
      diary().notice("up.stopping", {{"signal", info.ssi_signo}});
      notify_stopping();
    }
    happened({.kind = Event::Kind::kStop});
  }
}

// New processes of the worker pools take over from those that run; the others keep what they have read.
void Up::reload() {
  for (Id id = 0; id < children_.size(); ++id) {
    if (!name(id).starts_with("worker-") || !children_[id].ready || children_[id].ended) continue;
    diary().notice("up.reloads", {{"role", name(id)}});
    parts_.processes.signal_one(children_[id].pid, SIGHUP);
  }
}

void Up::said(Id id, std::string_view line) {
  parts_.console.line(name(id), line);
  last_lines_[id] = line;
}

void Up::read_output(Id id) {
  Child& child = children_[id];
  std::array<char, 16'384> piece{};
  constexpr int kPiecesAtOnce = 64;  // somebody who prints without end must not keep the others waiting
  for (int i = 0; i < kPiecesAtOnce && child.output.open(); ++i) {
    const ssize_t n = os::retried([&] { return ::read(child.output.get(), piece.data(), piece.size()); });
    if (n == 0) child.output = os::Fd();  // everybody who could write has ended
    if (n <= 0) return;
    child.lines.feed({piece.data(), static_cast<std::size_t>(n)},
                     [&](std::string_view line) { said(id, line); });
  }
}

void Up::probe(Id id) {
  Child& child = children_[id];
  if (child.probe && !child.ended && child.probe->step(parts_.clock.now())) became_ready(id);
}

// Signals come as events from here on; children get them unblocked (os::Spawn).
Result<os::Fd> signals_as_events() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  os::Fd fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd.open()) return fail(Errc::kIo, fmt::format("signals: {}", std::strerror(errno)));
  return fd;
}

std::vector<supervise::Service> services_of(const std::vector<UpRole>& roles) {
  std::vector<supervise::Service> out;
  for (const UpRole& each : roles)
    out.push_back({.name = each.role.name,
                   .after = each.role.after,
                   .stop_limit = each.role.stop_limit,
                   .watchdog = kWatchdog});
  return out;
}

Result<int> begin(UpParts& parts) {
  HR_ASSIGN(auto supervisor, supervise::Supervisor::make(services_of(parts.roles)));
  HR_TRY(os::adopt_orphans());
  HR_ASSIGN(auto notify, NotifySocket::open(parts.notify_path));
  HR_ASSIGN(auto signals, signals_as_events());
  return Up(std::move(parts), std::move(supervisor), std::move(notify), std::move(signals)).run();
}

}  // namespace

int run_up(UpParts parts) {
  const hr::Log diary = parts.diary;
  const auto ended = begin(parts);
  if (ended) return *ended;
  diary.error("up.not_started", {{"reason", ended.error().message}});
  return kExitFailed;
}

}  // namespace hr
