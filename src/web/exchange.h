// What the loop and the threads that work on requests share: the queue of complete requests, the connections
// on their way back, and the wish to stop. Thread-safe. The loop sleeps in epoll and is woken by a
// descriptor.
#pragma once

#include "base/result.h"
#include "net/http_parser.h"
#include "os/clock.h"
#include "os/linux/fd.h"
#include "web/connection.h"
#include "web/limits.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace hr::web {

class Request;

// How a connection comes back.
enum class After : std::uint8_t {
  kKeep,    // the next request may follow
  kLinger,  // answered, but not everything it sent was read
};

struct Returned {
  std::unique_ptr<Connection> connection;
  After after = After::kKeep;
};

// A request that no application saw, for the log.
struct Refused {
  int status = 0;
  std::string_view reason;  // a literal
};

class Exchange {
 public:
  static Result<std::shared_ptr<Exchange>> make(Limits limits_given, const os::Clock& clock_given);
  explicit Exchange(Limits limits_given, const os::Clock& clock_given, os::Fd wake);
  ~Exchange();

  // The loop's side.
  void put(std::unique_ptr<Request> request);
  std::vector<Returned> take_returned();  // and the wake descriptor is empty again
  void end();                             // no request comes any more
  int wake_fd() const { return wake_.get(); }
  std::size_t outstanding() const;  // put and neither returned nor dropped
  bool idle() const;                // nothing outstanding, and nothing on its way back
  void note(Refused refused);

  // The workers' side. Null: the server has ended.
  std::unique_ptr<Request> next();
  void give_back(Returned returned);
  void dropped();  // a request's connection is closed, or nobody waits for it any more

  // Anybody's.
  void stop();
  bool stopping() const { return stopping_; }
  std::vector<Refused> take_refused(std::uint64_t& more);  // and how many there were beside them

  const Limits limits;
  const os::Clock& clock;

 private:
  void wake();

  os::Fd wake_;
  mutable std::mutex mutex_;
  std::condition_variable ready_changed_;
  std::deque<std::unique_ptr<Request>> ready_;  // at most connections_max
  std::vector<Returned> returned_;
  std::vector<Refused> refused_;  // at most kRefusedMax
  std::uint64_t refused_more_ = 0;
  std::size_t outstanding_ = 0;
  bool ended_ = false;
  bool woken_ = false;
  std::atomic<bool> stopping_ = false;
};

}  // namespace hr::web
