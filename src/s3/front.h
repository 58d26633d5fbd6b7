// The S3 front end: one request in, one answer out. Parses and routes, authorises before anything is said
// about what exists, calls the operation, and turns every refusal into S3's error document. Owned by main,
// used on the reactor; every error is an answer.
#pragma once

#include "base/log.h"
#include "net/http.h"
#include "net/runtime.h"
#include "os/clock.h"
#include "s3/auth.h"
#include "s3/request.h"
#include "wire/auth.h"

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hr::s3 {

struct OperationCount {
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;  // answers of 400 and above
};

class S3Front : public net::Handler {
 public:
  struct Parts {
    commit::Store& store;
    const storage::Index& index;
    storage::BlobStore& blobs;
    net::Runtime& runtime;
    const wire::KeyRing& keys;
    wire::TrustedPeers trusted;
    const os::Clock& clock;
    std::string region;
    std::string
        domain;  // buckets are also reached as BUCKET.domain and BUCKET.s3.domain; empty: by path only
    const object::DamageList* damage = nullptr;        // bodies that are not handed out; none: not known
    std::function<void(object::Damage)> damaged = {};  // a read has met one
    hr::Log diary;
    Limits limits = {};
  };
  explicit S3Front(Parts parts);
  S3Front(const S3Front&) = delete;
  S3Front& operator=(const S3Front&) = delete;

  net::Task<net::Response> handle(net::RequestHead& head, net::RequestBody& body) override;

  // What is due by the clock: abandoned uploads, objects that a lifecycle takes. Call now and then.
  void tick();

  // Of every operation that was asked for at least once, by name.
  std::vector<std::pair<std::string_view, OperationCount>> counters() const;
  // Requests that were no operation at all: a bad URI, a method no resource knows.
  OperationCount unrouted() const { return unrouted_; }
  std::uint64_t body_bytes_in() const { return services_.bytes_in; }
  std::uint64_t body_bytes_out() const { return services_.bytes_out; }

 private:
  AnswerTask answer(net::RequestHead& head, net::RequestBody& body, OperationCount*& count);
  AnswerTask perform(Request& request);
  AnswerTask post(Request& request, std::span<const codec::HeaderField> sent);
  void add_cors(const net::RequestHead& head, net::Response& response) const;
  net::Task<void> run_lifecycles(Time now);
  net::Response error_response(const wire::S3Error& error, const net::RequestHead& head) const;

  Services services_;
  const os::Clock& clock_;
  std::vector<std::string> domains_;
  Authorizer authorizer_;
  Time next_look_{};  // for abandoned uploads
  Time next_lifecycle_{};
  bool lifecycle_runs_ = false;
  net::Gate steps_;  // work of uploads on the pool
  std::array<OperationCount, wire::kS3Ops> counts_{};
  OperationCount unrouted_;
};

}  // namespace hr::s3
