// Queue attributes: their names, and the ranges of what a request may set.
// Source: SQS API Reference, CreateQueue and SetQueueAttributes.
#pragma once

#include "base/bytes.h"
#include "codec/json.h"
#include "wire/sqs_error.h"
#include "wire/sqs_request.h"

#include <span>
#include <string_view>

namespace hr::wire::sqs {

// All attributes that can be asked for, in the order in which answers show them.
std::span<const std::string_view> queue_attribute_names();
bool is_queue_attribute(ByteView name);
// FifoQueue, ContentBasedDeduplication, DeduplicationScope, FifoThroughputLimit.
bool is_fifo_attribute(ByteView name);
// What a FIFO queue has where nothing was set; empty for every other attribute.
ByteView fifo_default(ByteView name);

// The map "Attributes" of CreateQueue and SetQueueAttributes.
Outcome<QueueAttributes> read_queue_attributes(const codec::Json::Object& attributes);

Outcome<RedrivePolicy> parse_redrive_policy(ByteView text);
Bytes to_text(const RedrivePolicy& policy);  // {"deadLetterTargetArn":"...","maxReceiveCount":3}

// May `source_arn` use the queue with this RedriveAllowPolicy (empty: none is set) as its dead-letter queue?
bool redrive_allowed(ByteView policy, ByteView source_arn);

}  // namespace hr::wire::sqs
