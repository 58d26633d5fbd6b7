// The task API's front end: health, readiness, what runs now, what became of a job. Answers only; what it
// knows it asks of a Source, so that it needs neither the services nor the other roles to be tested.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "net/http.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hr::api {

struct QueueCounts {
  Bytes name;
  std::int64_t visible = 0, in_flight = 0, delayed = 0;
};

// One role's process, as it answers on its own socket.
struct Peer {
  Bytes name;  // "web-1", "worker-default"
  bool answers = false;
  Bytes says;  // a JSON text of its own; empty: nothing
};

struct JobObjects {
  std::optional<Bytes> result, mark;  // as they are kept: JSON
};

class Source {
 public:
  virtual ~Source() = default;
  // kUnavailable: the services do not answer.
  virtual net::Task<Status> reach() = 0;  // one small request
  virtual net::Task<Result<std::vector<QueueCounts>>> queues() = 0;
  virtual net::Task<Result<JobObjects>> job(Bytes id) = 0;
  virtual net::Task<std::vector<Peer>> web() = 0;
  virtual net::Task<std::vector<Peer>> workers() = 0;
};

class Front final : public net::Handler {
 public:
  Front(Source& source, std::string app, std::string version)
      : source_(source), app_(std::move(app)), version_(std::move(version)) {}

  // GET and HEAD of /_headrace/health, /ready, /status, /jobs/ID.
  net::Task<net::Response> handle(net::RequestHead& head, net::RequestBody& body) override;

 private:
  net::Task<net::Response> ready();
  net::Task<net::Response> status();
  net::Task<net::Response> job(Bytes id);

  Source& source_;
  const std::string app_, version_;
};

}  // namespace hr::api
