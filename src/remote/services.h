// Signed calls to SQS and S3 at one endpoint, and how their failures are told apart: what may be tried again,
// what is missing, what was refused. Owned by whoever talks to the services; used on the reactor only.
#pragma once

#include "base/result.h"
#include "codec/sigv4.h"
#include "net/runtime.h"
#include "os/clock.h"
#include "remote/http_client.h"

#include <cstdint>
#include <expected>
#include <string>

namespace hr::remote {

enum class FaultKind : std::uint8_t {
  kUnreachable,  // nobody answered; whether the call was carried out may be unknown
  kTimeout,      //
  kCancelled,    //
  kThrottled,    // the service asks for patience
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

struct ServiceSettings {
  std::string endpoint;  // parse_endpoint
  codec::Credentials credentials;
  std::string region = "us-east-1";
};

struct CallOptions {
  Duration timeout = 10s;
  Bytes request_id = {};  // sent as x-request-id when not empty
};

class Services {
 public:
  Services(net::Runtime& runtime, const os::Clock& clock, Endpoint endpoint, codec::Credentials credentials,
           std::string region);

  struct Request {
    Bytes service;  // "sqs" or "s3"
    Bytes method;
    Bytes path = "/";  // encoded
    codec::Pairs query = {};
    codec::Pairs headers = {};
    Bytes body = {};
  };
  // Any answer of the service, also an error. Only what failed below HTTP is a Fault.
  net::Task<Answer<codec::Response>> call(Request request, CallOptions options = {},
                                          Cancel* cancel = nullptr);

  const std::string& region() const { return region_; }
  net::Runtime& runtime() { return runtime_; }

 private:
  net::Runtime& runtime_;
  const os::Clock& clock_;
  HttpClient http_;
  codec::Credentials credentials_;
  std::string region_;
};

// Of an answer that is no success. Pure.
Fault fault_of_sqs(const codec::Response& response);
Fault fault_of_s3(const codec::Response& response);
Fault fault_of_error(const Error& error, bool cancelled);

}  // namespace hr::remote
