// The rules about one message: body characters, message attributes, sizes, and the MD5s that SDKs compare.
// Source: Developer Guide, "Amazon SQS message metadata" (attribute rules, MD5 calculation).
#pragma once

#include "base/bytes.h"
#include "codec/json.h"
#include "wire/sqs_error.h"
#include "wire/sqs_request.h"

#include <cstddef>
#include <span>
#include <vector>

namespace hr::wire::sqs {

// Body and attributes (names, types and values), as the size limits count them.
std::size_t message_bytes(const Message& message);

// Lower-case hexadecimal; empty without attributes. `attributes` in name order.
Bytes md5_of_attributes(std::span<const MessageAttribute> attributes);
// Of the system attributes that can be sent: the trace header. Empty without one.
Bytes md5_of_system_attributes(const Message& message);

bool is_binary(const MessageAttribute& attribute);

// Body, attributes, delay, group and deduplication id of a SendMessage request or of a batch entry.
Outcome<Message> read_message(const codec::Json& members);

// MessageGroupId, MessageDeduplicationId, ReceiveRequestAttemptId: 1 to 128 letters, digits and punctuation.
// Empty when there is none.
Outcome<Bytes> read_id(const codec::Json& members, ByteView name);

// Does MessageAttributeNames ask for this attribute? "All" and ".*" ask for every one, "foo.*" for those that
// begin with "foo".
bool wanted(std::span<const Bytes> patterns, ByteView name);

}  // namespace hr::wire::sqs
