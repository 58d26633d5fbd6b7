// How queues are called on the wire: URLs and ARNs. A URL is the caller's own host with /ACCOUNT/NAME; only
// those two are looked at when it comes back, so that a queue is found under every name this store is reached
// by.
#pragma once

#include "base/bytes.h"

#include <optional>

namespace hr::sqs {

struct QueueName {
  Bytes account;
  Bytes name;

  bool operator==(const QueueName&) const = default;
};

// "http://host[:port]/ACCOUNT/NAME", or the path alone. A slash at the end is fine; a query or fragment is
// not.
std::optional<QueueName> parse_queue_url(ByteView url);

// "http://" and the Host header, or localhost where there is none that could stand in a URL.
Bytes base_url(ByteView host_header);
Bytes queue_url(ByteView base, ByteView account, ByteView name);

Bytes queue_arn(ByteView region, ByteView account, ByteView name);  // arn:aws:sqs:REGION:ACCOUNT:NAME
// The queue an ARN of that region names.
std::optional<QueueName> parse_queue_arn(ByteView arn, ByteView region);

}  // namespace hr::sqs
