// Messages of a queue as they are, none received: by our own store's way of looking, else, where that is not
// known, by receives whose messages are visible again at once (for dead-letter queues only: it counts).
#pragma once

#include "headrace/operator.h"

#include <cstddef>
#include <string>
#include <vector>

namespace hr {

struct SeenMessage {
  std::string id, body;
  std::int64_t sent = 0;  // Unix ms
  std::uint32_t receives = 0;
  codec::Pairs attributes;  // text ones

  std::string attribute(std::string_view name) const;
};

// Of the answer of `GET /_aws/sqs/messages` in JSON. Pure. kInvalid.
Result<std::vector<SeenMessage>> read_seen(std::string_view json);

struct LookOptions {
  std::size_t most = 1'000;
  bool in_work = false, delayed = false;  // those too
  bool by_receiving = false;              // where there is no other way
};

// kUnsupported: this service cannot show them; kNotFound: no such queue; kUnavailable.
net::Task<Result<std::vector<SeenMessage>>> look(Operator& here, std::string queue_url, LookOptions options);

}  // namespace hr
