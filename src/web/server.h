// The HTTP side of the application host: one loop that accepts, reads heads and keeps idle connections, and
// any number of threads that take complete requests (next) and answer them by blocking calls. Starts no
// thread: the caller brings them. What could be read in two ways is answered by the loop (net/http_parser.h;
// docs/http.md), and the application never sees it.
#pragma once

#include "base/result.h"
#include "os/clock.h"
#include "os/linux/fd.h"
#include "web/exchange.h"
#include "web/limits.h"
#include "web/request.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace hr::web {

class Loop;

class Server {
 public:
  // `listening` stays the caller's: the server uses a duplicate. kInvalid: it is no listening stream socket.
  static Result<std::unique_ptr<Server>> make(int listening, Limits limits, const os::Clock& clock);
  ~Server();

  // Until stop() was called and every connection is done with. Once.
  Status run();
  // Waits for a request. Null: the loop has ended.
  std::unique_ptr<Request> next() { return exchange_->next(); }
  // Accepts no more, lets open connections end; answers say "Connection: close" from now on.
  void stop() { exchange_->stop(); }

  // How long ago the loop last turned. It turns once a second at least.
  Nanos silence() const;
  std::vector<Refused> take_refused(std::uint64_t& more) { return exchange_->take_refused(more); }

 private:
  Server(std::shared_ptr<Exchange> exchange, std::unique_ptr<Loop> loop);

  std::shared_ptr<Exchange> exchange_;  // shared with requests, which an application may keep
  std::unique_ptr<Loop> loop_;
};

}  // namespace hr::web
