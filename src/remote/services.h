// Signed calls to SQS and S3, and how their failures are told apart: what may be tried again, what is
// missing, what was refused. Credentials that ran out and a clock that is wrong are mended here, once a call.
// Owned by whoever talks to the services; used on the reactor only.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "codec/sigv4.h"
#include "net/runtime.h"
#include "os/clock.h"
#include "remote/aws_settings.h"
#include "remote/http_client.h"
#include "remote/key_source.h"
#include "remote/throttle.h"

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <random>
#include <string>

namespace hr::remote {

enum class FaultKind : std::uint8_t {
  kUnreachable,  // nobody answered; whether the call was carried out may be unknown
  kTimeout,      //
  kCancelled,    //
  kThrottled,    // the service asks for patience
  kOverLimit,    // too many messages of the queue are in flight
  kServer,       // 5xx, or an answer that cannot be read
  kMissing,      // no such queue, bucket or key
  kConflict,     // exists already with other settings, or a condition does not hold
  kRefused,      // the request is at fault: sending it again changes nothing
};

struct Fault {
  FaultKind kind = FaultKind::kServer;
  int status = 0;  // 0: no answer
  Bytes code;      // the service's own: "QueueDoesNotExist", "NoSuchKey"
  Bytes message;

  bool transient() const { return kind <= FaultKind::kServer && kind != FaultKind::kCancelled; }
  Bytes text() const;  // "QueueDoesNotExist: ..."
  bool operator==(const Fault&) const = default;
};

template <class T>
using Answer = std::expected<T, Fault>;

// Where one of the two services is, and how requests to it are signed.
struct ServicePlace {
  Endpoint endpoint;
  std::string region = "us-east-1";
  codec::Credentials credentials = {};
  bool searched = false;  // instead of `credentials`: those that find_keys() finds
};

struct ServicesSetup {
  ServicePlace sqs, s3;
  AwsSettings aws = {};  // where one is searched
};

// When a call that failed may be sent again by itself, within its timeout.
enum class Repeat : std::uint8_t {
  kNever,    //
  kRefused,  // what the service says it did not do for being busy
  kAlways,   // done twice is done once: whatever became of the first
};

// Whether a call waits for its turn when the service has refused others for their rate.
enum class Pace : std::uint8_t { kKept, kNone };  // kNone: what holds or ends a lease

struct CallOptions {
  Duration timeout = 10s;
  Bytes request_id = {};  // sent as x-request-id when not empty
};

// What was asked so far, repeats included: what Amazon bills.
struct RequestCounts {
  std::uint64_t sqs = 0, s3 = 0;
  std::uint64_t repeated = 0, throttled = 0;
};

class Services {
 public:
  // `log` hears of credentials found and lost, and once of a clock that is wrong.
  Services(net::Runtime& runtime, const os::Clock& clock, ServicesSetup setup, hr::Log log);
  ~Services();

  struct Request {
    Bytes service;  // "sqs" or "s3"
    Bytes method;
    Bytes path = "/";  // encoded
    codec::Pairs query = {};
    codec::Pairs headers = {};
    Bytes body = {};
    Repeat repeat = Repeat::kNever;
    Pace pace = Pace::kKept;
  };
  // Any answer of the service, also an error. Only what failed below HTTP is a Fault.
  net::Task<Answer<codec::Response>> call(Request request, CallOptions options = {},
                                          Cancel* cancel = nullptr);

  const ServicePlace& s3_place() const { return setup_.s3; }
  const RequestCounts& counts() const { return counts_; }
  hr::Log log() const { return log_; }
  const os::Clock& clock() const { return clock_; }
  // By the services' clock, as far as they have told that it differs from this host's.
  Time now() const { return clock_.wall() + skew_; }
  net::Runtime& runtime() { return runtime_; }

 private:
  net::Task<Result<codec::Credentials>> credentials_for(const ServicePlace& place, Duration timeout);
  net::Task<Answer<codec::Response>> attempt(const Request& request, const CallOptions& options,
                                             Cancel* cancel, const codec::Credentials& credentials);
  // Signed with what is known now, and once more with what its refusal teaches.
  net::Task<Answer<codec::Response>> mended(const Request& request, const CallOptions& options,
                                            Cancel* cancel);
  net::Task<Status> wait_for_turn(const Request& request, Nanos deadline);
  // How long until the next try; none: the outcome stands.
  std::optional<Duration> pause_before_repeat(const Request& request, const Answer<codec::Response>& answer,
                                              int repeats);
  // Whether the same request, signed anew, may be taken.
  bool learn(const Request& request, const codec::Response& response, const codec::Credentials& used,
             Time signed_at);
  // How hard one of the services is asked.
  struct Effort {
    RetryBudget budget;
    Pacer pacer;
  };
  Effort& effort_of(const Request& request) { return request.service == "s3" ? s3_effort_ : sqs_effort_; }
  net::Task<void> pause(Duration time);

  net::Runtime& runtime_;
  const os::Clock& clock_;
  const ServicesSetup setup_;
  hr::Log log_;
  HttpClient sqs_http_;
  std::unique_ptr<HttpClient> s3_http_;  // null: the same
  std::unique_ptr<KeySource> keys_;      // null: nothing is searched for
  Effort sqs_effort_, s3_effort_;
  RequestCounts counts_;
  std::minstd_rand random_;  // of jitter
  Duration skew_{};          // of the local clock: what to add to it
};

// Of an answer that is no success. Pure.
Fault fault_of_sqs(const codec::Response& response);
Fault fault_of_s3(const codec::Response& response);
Fault fault_of_error(const Error& error, bool cancelled);
FaultKind fault_kind(int status, ByteView code);

}  // namespace hr::remote
