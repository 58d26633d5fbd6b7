// A handler before another: one debug record for each request (--verbose), with its outcome, its id and how
// long the answer took to be made. Never a query (signatures stand there), a header, or a body.
#pragma once

#include "base/log.h"
#include "net/http.h"
#include "os/clock.h"

namespace hr {

class RequestLog final : public net::Handler {
 public:
  RequestLog(net::Handler& inner, const os::Clock& clock, hr::Log diary)
      : inner_(inner), clock_(clock), diary_(diary) {}

  net::Task<net::Response> handle(net::RequestHead& head, net::RequestBody& body) override;

 private:
  net::Handler& inner_;
  const os::Clock& clock_;
  const hr::Log diary_;
};

}  // namespace hr
