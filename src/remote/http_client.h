// An HTTP/1.1 client for one endpoint: TCP, TLS or a unix socket, connections kept alive and used again, a
// deadline for every call. Used on the reactor only; must outlive its calls. A kept connection that turns out
// closed before a byte of an answer costs one silent second try, nothing else is repeated.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "codec/http_response.h"
#include "codec/uri.h"
#include "net/endpoint.h"
#include "net/resolver.h"
#include "net/runtime.h"
#include "net/tls.h"
#include "os/clock.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hr::remote {

using net::Endpoint;
using net::parse_endpoint;

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
  // `authorities`: who vouches for the endpoint's certificate, a PEM file; empty: the system's.
  HttpClient(net::Runtime& runtime, const os::Clock& clock, Endpoint endpoint, std::string authorities = "");
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // kUnavailable: nobody listens. kClosed: the connection ended, or the call was cancelled, and whether it
  // was carried out is unknown. kTimeout; kInvalid and kLimit: not an answer that can be used, or TLS that
  // cannot be prepared.
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
  net::Task<Status> connect_tcp(Exchange& exchange);
  net::Task<Status> begin_tls(Exchange& exchange);

  net::Runtime& runtime_;
  const os::Clock& clock_;
  const Endpoint endpoint_;
  const std::string authorities_;
  net::Resolver resolver_;
  std::shared_ptr<net::TlsContext> tls_;  // made at the first use; connections share it
  std::vector<Idle> idle_;
};

}  // namespace hr::remote
