// One running pool: carries out what the pool decides, with real requests, processes and clocks, and answers
// on its control socket (docs/control.md). Owned by its command; everything happens on the reactor's thread,
// which must be the program's main one.
#pragma once

#include "base/log.h"
#include "codec/json.h"
#include "net/runtime.h"
#include "net/server.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "remote/s3.h"
#include "remote/services.h"
#include "remote/sqs.h"
#include "worker/caretaker.h"
#include "worker/pool.h"
#include "worker/preparation.h"
#include "worker/process.h"

#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace hr::worker {

struct WorkerSetup {
  PoolOptions pool;
  Bytes app;
  std::vector<Bytes> queues;
  ChildSetup child;
  remote::ServicesSetup services;
  Create create;
  std::string control;    // a unix socket's path
  std::string operators;  // a group whose members may change things there; empty: none
  Duration drain = 30s;
  Duration results_kept{};              // 0: for ever
  std::vector<std::string> again = {};  // the command line that starts a successor
  int predecessor = 0;                  // the worker that this one takes over from; 0: none
};

// What whoever started this program wants to hear of.
struct WorkerHooks {
  std::function<void()> ready;
  std::function<void()> stopping;
  std::function<void()> alive;  // at least once a second while the reactor runs
  std::function<void(Severity)> log_level;
  std::function<void(int pid)> replaced;  // another process is this pool's from now on
};

class Worker final : public net::Handler {
 public:
  struct System {
    const os::Clock& clock;
    os::Entropy& entropy;
    os::Processes& processes;
    LogSink& log;
  };
  Worker(WorkerSetup setup, WorkerHooks hooks, System system);
  ~Worker() override;

  Status start();
  Exit run();  // until it ended; the reason

  net::Task<net::Response> handle(net::RequestHead& head, net::RequestBody& body) override;

 private:
  struct Running;

  // Hosts agree about times as far as they agree with the services.
  Instant now() const { return {services_.now(), clock_.boottime()}; }
  void carry_out();  // whatever the pool has to say
  void arm();

  // worker_handover.cc: one process of a pool after the other
  Status start_successor();
  net::Task<void> take_over();
  net::Task<net::Response> handed_over(std::uint32_t peer_pid);
  void successor_ended();
  bool predecessor_lives() const;
  net::Task<void> leave();
  net::Task<void> die_with_parent();

  void act(Receive action);
  void act(CancelReceive action);
  void act(ChangeVisibility action);
  void act(DeleteMessages action);
  void act(PutObject action);
  void act(GetObject action);
  void act(EraseObject action);
  void act(SendDead action);
  void act(Prepare action);
  void act(const Spawn& action);
  void act(const Kill& action);
  void act(const Recall& action);
  void act(const SetLease& action);
  void act(const WriteFrame& action);
  void act(const Say& action);
  void act(Exit action);

  net::Task<net::Response> change(std::string_view what, const codec::Json& asked, std::uint32_t peer_pid);
  int pid_of(ChildId child) const;  // 0: it has ended
  Bytes status_text() const;
  Bytes jobs_text() const;

  net::Task<void> receive(Receive action, std::shared_ptr<remote::Cancel> cancel);
  net::Task<void> change_visibility(ChangeVisibility action);
  net::Task<void> erase(DeleteMessages action);
  net::Task<void> put(PutObject action);
  net::Task<void> get(GetObject action);
  net::Task<void> erase_object(EraseObject action);
  net::Task<void> send_dead(SendDead action);
  net::Task<void> prepare(Ready ready);
  net::Task<void> prove_conditions();

  net::Task<void> keep_time();
  net::Task<void> watch_memory();
  net::Task<void> wait_for_signals();
  net::Task<void> reap();
  void reap_all();
  net::Task<void> listen(std::shared_ptr<Running> child);
  net::Task<void> write_out(std::shared_ptr<Running> child);
  bool read_frames(Running& child);  // false: it says no more

  WorkerSetup setup_;
  WorkerHooks hooks_;
  const os::Clock& clock_;
  os::Processes& processes_;
  LogSink& log_;
  net::Runtime runtime_;
  remote::Services services_;
  remote::Sqs sqs_;
  remote::S3 s3_;
  Pool pool_;
  Caretaker caretaker_;
  net::Server server_;
  net::Gate gate_;
  boost::asio::steady_timer timer_;
  Nanos armed_ = Nanos::max();
  std::map<OpId, std::shared_ptr<remote::Cancel>> receives_;
  std::map<ChildId, std::shared_ptr<Running>> children_;  // shared with the coroutines that read and write
  std::vector<QueueUrls> urls_;                           // by the pool's index
  std::optional<Exit> exit_;
  bool conditional_writes_ = false;  // the bucket honours If-None-Match, as it has shown
  int successor_ = 0;                // its pid, while it starts and after
  bool replaced_ = false, took_over_ = false;
  bool carrying_ = false;
};

}  // namespace hr::worker
