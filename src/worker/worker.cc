#include "worker/worker.h"

#include "os/linux/process.h"
#include "task/names.h"
#include "worker/memory.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hr::worker {
namespace {

namespace asio = boost::asio;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

constexpr Nanos kTickAtLeast = std::chrono::seconds(1);
constexpr Nanos kTickAtMost = std::chrono::milliseconds(2);
constexpr Duration kLeaveLimit = 1s;
constexpr Duration kLookAtMemory = 100ms;
constexpr Duration kGather = 1ms;
constexpr std::size_t kReadBytes = 64 * 1024;

}  // namespace

struct Worker::Running {
  Running(asio::io_context& context, ChildId number) : id(number), socket(context) {}
  ChildId id;
  std::unique_ptr<ChildProcess> process;
  asio::local::stream_protocol::socket socket;  // a duplicate of the process's channel
  Bytes in;
  Bytes out;  // frames
  bool writing = false;
  bool silent = false;  // nothing more is read
};

Worker::Worker(WorkerSetup setup, WorkerHooks hooks, System system)
    : setup_(std::move(setup)),
      hooks_(std::move(hooks)),
      clock_(system.clock),
      processes_(system.processes),
      log_(system.log),
      runtime_(0, hr::Log(system.log)),
      services_(runtime_, clock_, setup_.services, hr::Log(log_)),
      sqs_(services_),
      s3_(services_),
      pool_(setup_.pool, system.entropy),
      caretaker_({.runtime = runtime_,
                  .sqs = sqs_,
                  .s3 = s3_,
                  .services = services_,
                  .entropy = system.entropy,
                  .log = system.log},
                 task::system_bucket(setup_.app),
                 fmt::format("{}:{}:{}", setup_.pool.host, setup_.pool.name, ::getpid()), setup_.results_kept,
                 {.paused =
                      [this](std::set<Bytes> queues) {
                        pool_.pause(std::move(queues), now());
                        carry_out();
                      },
                  .cancelled =
                      [this](std::set<Bytes> jobs) {
                        pool_.cancel(std::move(jobs), now());
                        carry_out();
                      }}),
      server_(runtime_, *this, clock_, system.entropy, hr::Log(system.log)),
      timer_(runtime_.context()) {}

Worker::~Worker() = default;

Status Worker::start() {
  HR_TRY(os::adopt_orphans());
  if (const std::size_t left = kill_orphans(processes_, setup_.child); left > 0) {
    act(Say{Severity::kWarning,
            "orphans_ended",
            {{"pool", setup_.pool.name}, {"processes", std::to_string(left)}}});
  }
  const std::string path = setup_.predecessor != 0 ? setup_.control + ".next" : setup_.control;
  return server_.listen(net::UnixAddress{path, 0660});
}

Exit Worker::run() {
  runtime_.spawn(gate_, "worker.reap", reap());
  runtime_.spawn(gate_, "worker.signals", wait_for_signals());
  runtime_.spawn(gate_, "worker.time", keep_time());
  if (setup_.pool.memory_bytes != 0) runtime_.spawn(gate_, "worker.memory", watch_memory());
  pool_.start(now());
  carry_out();
  runtime_.run();
  children_.clear();  // and their groups
  if (took_over_ && !replaced_) ::unlink(setup_.control.c_str());
  return exit_.value_or(Exit{Exit::How::kFailed, "it was stopped"});
}

void Worker::carry_out() {
  if (carrying_) return;  // whoever carries out takes these too
  carrying_ = true;
  log_.hold();
  for (auto actions = pool_.take(); !actions.empty(); actions = pool_.take()) {
    for (Action& action : actions) {
      std::visit([this](auto& what) { act(std::move(what)); }, action);
    }
  }
  log_.release();
  carrying_ = false;
  arm();
}

void Worker::arm() {
  const Nanos here = clock_.boottime();
  const Nanos next = std::clamp(pool_.next_deadline(), here + kTickAtMost, here + kTickAtLeast);
  if (next >= armed_) return;
  armed_ = next;
  timer_.expires_after(next - here);  // ends the wait under way
}

net::Task<void> Worker::keep_time() {
  for (;;) {
    co_await timer_.async_wait(kAwait);
    if (clock_.boottime() + kTickAtMost / 2 >= armed_) {
      armed_ = Nanos::max();
      pool_.tick(now());
      if (!replaced_) hooks_.alive();
    }
    carry_out();
    if (armed_ == Nanos::max()) arm();
  }
}

net::Task<void> Worker::watch_memory() {
  asio::steady_timer pause(runtime_.context());
  for (;;) {
    pause.expires_after(kLookAtMemory);
    co_await pause.async_wait(kAwait);
    std::vector<std::pair<ChildId, pid_t>> children;
    for (const auto& [id, child] : children_) children.emplace_back(id, child->process->pid());
    for (const auto& [id, pid] : children) {
      pool_.child_uses(id, tree_bytes(pid, setup_.pool.memory_bytes / 2), now());
    }
    carry_out();
  }
}

net::Task<void> Worker::wait_for_signals() {
  asio::signal_set signals(runtime_.context(), SIGTERM, SIGINT, SIGHUP);
  for (;;) {
    const auto [error, signal] = co_await signals.async_wait(kAwait);
    if (error) co_return;
    if (signal == SIGHUP) {
      const auto begun = start_successor();
      if (!begun) act(Say{Severity::kError, "successor_failed", {{"reason", begun.error().message}}});
      continue;
    }
    if (!pool_.draining() && !replaced_) hooks_.stopping();
    if (successor_ != 0 && !replaced_) processes_.signal_one(successor_, SIGTERM);
    if (pool_.draining() && predecessor_lives()) processes_.signal_one(setup_.predecessor, SIGTERM);
    pool_.drain(setup_.drain, now());
    carry_out();
  }
}

void Worker::act(const Say& action) {
  if (log_.wants(action.severity)) log_.write(action.severity, action.event, action.fields);
}

void Worker::act(Exit action) {
  exit_ = std::move(action);
  if (!runtime_.spawn(gate_, "worker.leave", leave())) runtime_.stop();
}

// ---- processes

void Worker::act(const Spawn& action) {
  const ChildId id = action.child;
  auto child = std::make_shared<Running>(runtime_.context(), id);
  auto process = ChildProcess::start(processes_, setup_.child, id);
  const int channel = process ? ::fcntl((*process)->channel(), F_DUPFD_CLOEXEC, 3) : -1;
  if (channel < 0) {
    const Bytes why = process ? "no descriptor is left" : process.error().message;
    act(Say{Severity::kError, "child_not_started", {{"reason", why}, {"pool", setup_.pool.name}}});
    runtime_.post([this, id] {
      pool_.child_ended(id, {.signal = SIGKILL}, now());
      carry_out();
    });
    return;
  }
  child->process = std::move(*process);
  child->socket.assign(asio::local::stream_protocol(), channel);
  children_[id] = child;
  runtime_.spawn(gate_, "worker.listen", listen(child));
}

int Worker::pid_of(ChildId child) const {
  const auto found = children_.find(child);
  return found != children_.end() ? found->second->process->pid() : 0;
}

void Worker::act(const Kill& action) {
  const auto child = children_.find(action.child);
  if (child != children_.end()) child->second->process->kill_group();
}

void Worker::act(const Recall& action) {
  const auto child = children_.find(action.child);
  if (child == children_.end()) return;
  pool_.recalled(action.child, child->second->process->recall(action.given), now());
}

void Worker::act(const SetLease& action) {
  const auto child = children_.find(action.child);
  if (child != children_.end()) child->second->process->set_lease(action.end);
}

void Worker::act(const WriteFrame& action) {
  const auto found = children_.find(action.child);
  if (found == children_.end()) return;
  const auto& child = found->second;
  append_frame(child->out, action.frame);
  if (child->writing) return;
  child->writing = true;
  runtime_.spawn(gate_, "worker.write", write_out(child));
}

net::Task<void> Worker::write_out(std::shared_ptr<Running> child) {
  while (!child->out.empty()) {
    const Bytes frames = std::exchange(child->out, {});
    const auto [error, bytes] = co_await asio::async_write(child->socket, asio::buffer(frames), kAwait);
    if (error) break;  // it is dying, or closed its channel: the reader notices
  }
  child->writing = false;
}

net::Task<void> Worker::listen(std::shared_ptr<Running> child) {
  for (;;) {
    const auto [error] = co_await child->socket.async_wait(asio::socket_base::wait_read, kAwait);
    if (error) co_return;
    const bool more = read_frames(*child);
    carry_out();
    if (more && pool_.has_plenty(child->id)) {  // fewer and larger pieces cost both sides less
      asio::steady_timer gather(runtime_.context(), kGather);
      co_await gather.async_wait(kAwait);
    }
    if (more) continue;
    // A child that closed its channel can bring no result any more. One that is leaving needs a moment.
    asio::steady_timer patience(runtime_.context(), kLeaveLimit);
    co_await patience.async_wait(kAwait);
    if (children_.contains(child->id)) child->process->kill_group();
    co_return;
  }
}

bool Worker::read_frames(Running& child) {
  if (child.silent) return false;
  char piece[kReadBytes];
  for (;;) {
    const auto n = ::recv(child.socket.native_handle(), piece, sizeof piece, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (n <= 0) return !(child.silent = true);
    child.in.append(piece, static_cast<std::size_t>(n));
    std::vector<ByteView> frames;
    std::size_t at = 0;
    for (;;) {
      const auto frame = take_frame(child.in, at);
      if (!frame) child.silent = true;
      if (!frame || !*frame) break;
      frames.push_back(**frame);
    }
    pool_.child_said(child.id, frames, now());
    child.in.erase(0, at);
    if (child.silent) return false;
  }
}

net::Task<void> Worker::reap() {
  asio::signal_set signals(runtime_.context(), SIGCHLD);
  reap_all();  // who ended before the line above
  for (;;) {
    const auto [error, signal] = co_await signals.async_wait(kAwait);
    if (error) co_return;
    reap_all();
  }
}

// Looks before it reaps: until then the pid, and with it the group's id, cannot belong to anybody else.
void Worker::reap_all() {
  bool any = false;
  for (;; any = true) {
    siginfo_t seen{};
    if (::waitid(P_ALL, 0, &seen, WEXITED | WNOHANG | WNOWAIT) != 0 || seen.si_pid == 0) break;
    const auto same = [&](const auto& entry) { return entry.second->process->pid() == seen.si_pid; };
    const auto found = std::ranges::find_if(children_, same);
    if (found != children_.end()) {
      const auto child = found->second;
      read_frames(*child);  // its last words
      child->process->reaped();
      boost::system::error_code ignored;
      static_cast<void>(child->socket.close(ignored));
      children_.erase(found);
      const bool exited = seen.si_code == CLD_EXITED;
      pool_.child_ended(child->id,
                        {.status = exited ? seen.si_status : 0,
                         .signal = exited ? 0 : seen.si_status,
                         .begun = child->process->begun()},
                        now());
    }
    if (seen.si_pid == successor_) successor_ended();
    ::waitpid(seen.si_pid, nullptr, 0);
  }
  // What a child left behind is ours now, and so is, once that has ended, what it left behind in its turn.
  if (any) kill_strays(processes_, [this](ChildId id) { return children_.contains(id); });
  carry_out();
}

}  // namespace hr::worker
