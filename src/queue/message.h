// What a message carries besides the engine's own fields, as it stands in the log: attributes, system
// attributes, sender, MD5s, body. Encoded once by the sender's front end, decoded by the receiver's.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace hr::queue {

struct MessageAttribute {
  std::string name;
  std::string type;   // "String", "Number", "Binary", with an optional ".custom" label
  std::string value;  // raw bytes for Binary
  bool operator==(const MessageAttribute&) const = default;
};

struct MessageContent {
  std::string body;
  std::vector<MessageAttribute> attributes;  // in name order
  std::string md5_of_body;                   // hex
  std::string md5_of_attributes;             // hex; empty without attributes
  std::string sender;                        // SenderId
  std::string trace_header;                  // AWSTraceHeader; may be empty
  std::string group;                         // MessageGroupId; may be empty
  std::string deduplication{};               // MessageDeduplicationId; in FIFO queues

  bool operator==(const MessageContent&) const = default;
};

Bytes encode_content(const MessageContent& content);

// `record`: the whole payload of the record a Delivery points at: a MessageSent, or a MessageCopied, whose
// bytes are the same.
Result<MessageContent> decode_delivered(ByteView record);

}  // namespace hr::queue
