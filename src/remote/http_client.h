// An HTTP/1.1 client for one endpoint: a loopback address or a unix socket, connections kept alive and used
// again, a deadline for every call. Used on the reactor only; must outlive its calls. A kept connection that
// turns out closed before a byte of an answer costs one silent second try, nothing else is repeated.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "codec/http_response.h"
#include "codec/uri.h"
#include "net/runtime.h"
#include "os/clock.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hr::remote {

// "http://127.0.0.1:9324", "http://[::1]:9324", "http://localhost:9324", "unix:/run/store.sock".
struct Endpoint {
  std::string unix_path;  // empty: TCP
  std::string host;       // a numeric address
  std::uint16_t port = 0;
  std::string host_header;

  bool operator==(const Endpoint&) const = default;
};
// kInvalid; kUnsupported: https, or a name that would have to be looked up.
Result<Endpoint> parse_endpoint(std::string_view text);

// Ends one call early, from outside: our side of the connection is closed, and what the other side had
// already answered is still taken. May be asked before the call, during it, and after it.
class Cancel {
 public:
  void operator()();
  bool asked() const { return asked_; }

 private:
  friend class HttpClient;
  bool asked_ = false;
  std::function<void()> act_;  // while a call runs
};

struct HttpCall {
  Bytes method;
  Bytes target;          // path and query, encoded
  codec::Pairs headers;  // with host; Content-Length is added
  Bytes body;
  Duration timeout = 10s;
  codec::ResponseLimits limits = {};
};

class HttpClient {
 public:
  HttpClient(net::Runtime& runtime, const os::Clock& clock, Endpoint endpoint);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // kUnavailable: nobody listens. kClosed: the connection ended, or the call was cancelled, and whether it
  // was carried out is unknown. kTimeout; kInvalid and kLimit: not an answer that can be used.
  net::Task<Result<codec::Response>> call(HttpCall call, Cancel* cancel = nullptr);

  const Endpoint& endpoint() const { return endpoint_; }
  std::size_t idle() const { return idle_.size(); }

 private:
  struct Connection;
  struct Exchange;
  struct Idle {
    std::unique_ptr<Connection> connection;
    Nanos since;
  };

  std::unique_ptr<Connection> take_idle();
  net::Task<Result<codec::Response>> exchange(std::shared_ptr<Exchange> exchange, const HttpCall& call);
  net::Task<Status> connect(Exchange& exchange);

  net::Runtime& runtime_;
  const os::Clock& clock_;
  const Endpoint endpoint_;
  std::vector<Idle> idle_;
};

}  // namespace hr::remote
