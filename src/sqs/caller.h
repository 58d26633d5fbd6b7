// Who asks, for what, and how the caller reaches us: what the front knows of a request beside its parameters.
// Views point into the request's head, which outlives the action.
#pragma once

#include "base/bytes.h"
#include "net/http.h"
#include "wire/auth.h"
#include "wire/sqs_request.h"

namespace hr::sqs {

struct Caller {
  wire::Identity identity;
  wire::sqs::Action action{};
  Bytes base_url;      // "http://host:port"
  Bytes path;          // of the request: names the queue where QueueUrl is missing
  Bytes dedup_id;      // x-headrace-dedup-id: one message for it within five minutes
  ByteView source_ip;  // empty: through a unix socket
  ByteView user_agent;
  net::RequestBody* body = nullptr;  // tells when a waiting receiver has gone
};

}  // namespace hr::sqs
