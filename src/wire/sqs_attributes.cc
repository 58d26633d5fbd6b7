#include "wire/sqs_attributes.h"

#include "wire/sqs_members.h"
#include "wire/sqs_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace hr::wire::sqs {
namespace {

using enum ErrorCode;

constexpr std::array<std::string_view, 21> kNames = {
    "QueueArn",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "VisibilityTimeout",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "DelaySeconds",
    "ReceiveMessageWaitTimeSeconds",
    "Policy",
    "RedrivePolicy",
    "RedriveAllowPolicy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "SqsManagedSseEnabled",
    "FifoQueue",
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoThroughputLimit",
};
constexpr std::size_t kRedriveSourcesMax = 10;
constexpr std::size_t kKeyIdBytesMax = 2048;

struct NumberRule {
  std::string_view name;
  std::uint32_t low, high;
  std::optional<std::uint32_t> QueueAttributes::* member;
};
constexpr std::array kNumbers = {
    NumberRule{"DelaySeconds", 0, kDelaySecondsMax, &QueueAttributes::delay},
    NumberRule{"VisibilityTimeout", 0, kVisibilitySecondsMax, &QueueAttributes::visibility_timeout},
    NumberRule{"MessageRetentionPeriod", 60, 1'209'600, &QueueAttributes::retention},
    NumberRule{"ReceiveMessageWaitTimeSeconds", 0, kWaitSecondsMax, &QueueAttributes::receive_wait},
    NumberRule{"MaximumMessageSize", 1'024, kMessageBytesMax, &QueueAttributes::maximum_message_size},
};

std::unexpected<Error> bad_value(ByteView name) {
  return refuse(kInvalidAttributeValue, fmt::format("Invalid value for the parameter {}.", name));
}

bool is_in(ByteView text, std::int64_t low, std::int64_t high) {
  const auto number = parse_integer(text);
  return number && *number >= low && *number <= high;
}

// ---- policies

struct RedriveAllow {
  Bytes permission;
  std::vector<Bytes> sources;
};

Outcome<RedriveAllow> parse_redrive_allow(ByteView text) {
  constexpr std::string_view kName = "RedriveAllowPolicy";
  const auto policy = codec::parse_json(text, {.bytes_max = kPolicyBytesMax, .depth_max = 4});
  if (!policy || !policy->is_object()) return bad_value(kName);
  RedriveAllow allow;
  HR_ASSIGN(allow.permission, text_of(*policy, "redrivePermission"));
  HR_ASSIGN(allow.sources, texts_of(*policy, "sourceQueueArns"));
  const bool by_queue = allow.permission == "byQueue";
  if (!by_queue && allow.permission != "allowAll" && allow.permission != "denyAll") return bad_value(kName);
  if (by_queue == allow.sources.empty() || allow.sources.size() > kRedriveSourcesMax) return bad_value(kName);
  return allow;
}

Outcome<void> read_redrive(ByteView value, QueueAttributes& out) {
  if (value.empty()) {
    out.clear_redrive = true;
    return {};
  }
  HR_ASSIGN(out.redrive, parse_redrive_policy(value));
  return {};
}

// ---- one attribute

Outcome<void> check_stored(ByteView name, ByteView value) {
  if (value.empty()) return {};  // removes it
  if (name == "Policy") return check_policy(value);
  if (name == "RedriveAllowPolicy") {
    HR_TRY(parse_redrive_allow(value));
    return {};
  }
  if (name == "KmsMasterKeyId" && value.size() <= kKeyIdBytesMax) return {};
  if (name == "KmsDataKeyReusePeriodSeconds" && is_in(value, 60, 86'400)) return {};
  if (name == "SqsManagedSseEnabled" && (value == "true" || value == "false")) return {};
  return bad_value(name);
}

struct FifoRule {
  std::string_view name, usual, other;  // its two values, the first one the default
};
constexpr std::array kFifoRules = {
    FifoRule{"ContentBasedDeduplication", "false", "true"},
    FifoRule{"DeduplicationScope", "queue", "messageGroup"},
    FifoRule{"FifoThroughputLimit", "perQueue", "perMessageGroupId"},
};

Outcome<void> read_fifo(const Bytes& name, ByteView value, QueueAttributes& out) {
  if (name == "FifoQueue") {
    out.fifo = value == "true";
    if (out.fifo) return {};
    return refuse(kInvalidAttributeValue,
                  "Invalid value for the parameter FifoQueue. It can only be set to true.");
  }
  const auto& rule = *std::ranges::find(kFifoRules, ByteView(name), &FifoRule::name);
  if (value != rule.usual && value != rule.other) return bad_value(name);
  out.stored[name] = value == rule.usual ? Bytes() : Bytes(value);
  return {};
}

bool is_stored(ByteView name) {
  return name == "Policy" || name == "RedriveAllowPolicy" || name == "KmsMasterKeyId" ||
         name == "KmsDataKeyReusePeriodSeconds" || name == "SqsManagedSseEnabled";
}

Outcome<void> read_one(const Bytes& name, const Bytes& value, QueueAttributes& out) {
  const auto number = std::ranges::find(kNumbers, ByteView(name), &NumberRule::name);
  if (number != kNumbers.end()) {
    if (!is_in(value, number->low, number->high)) return bad_value(name);
    out.*number->member = static_cast<std::uint32_t>(*parse_integer(value));
    return {};
  }
  if (name == "RedrivePolicy") return read_redrive(value, out);
  if (is_fifo_attribute(name)) return read_fifo(name, value, out);
  if (!is_stored(name)) {
    return refuse(kInvalidAttributeName, fmt::format("Unknown Attribute {}.", ByteView(name).substr(0, 128)));
  }
  HR_TRY(check_stored(name, value));
  out.stored[name] = value;
  return {};
}

}  // namespace

std::span<const std::string_view> queue_attribute_names() { return kNames; }
bool is_fifo_attribute(ByteView name) {
  return name == "FifoQueue" || std::ranges::find(kFifoRules, name, &FifoRule::name) != kFifoRules.end();
}
ByteView fifo_default(ByteView name) {
  const auto rule = std::ranges::find(kFifoRules, name, &FifoRule::name);
  return rule == kFifoRules.end() ? ByteView() : rule->usual;
}
bool is_queue_attribute(ByteView name) {
  return name == "All" || std::ranges::find(kNames, name) != kNames.end();
}

Outcome<QueueAttributes> read_queue_attributes(const codec::Json::Object& attributes) {
  QueueAttributes out;
  for (const auto& [name, value] : attributes) {
    const Bytes* text = value.as_string();
    if (text == nullptr) {
      return refuse(kSerialization,
                    fmt::format("The attribute {} must be a string.", ByteView(name).substr(0, 128)));
    }
    HR_TRY(read_one(name, *text, out));
  }
  const auto set = [&](const Bytes& name, ByteView unless) {
    const auto at = out.stored.find(name);
    return at != out.stored.end() && !at->second.empty() && at->second != unless;
  };
  if (set("KmsMasterKeyId", "") && set("SqsManagedSseEnabled", "false")) {
    return refuse(
        kInvalidAttributeName,
        "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE "
        "or SQS SSE.");
  }
  return out;
}

Outcome<RedrivePolicy> parse_redrive_policy(ByteView text) {
  const auto bad = [text](ByteView reason) {
    return invalid_value(text.substr(0, kPolicyBytesMax), "RedrivePolicy", reason);
  };
  const auto json = codec::parse_json(text, {.bytes_max = kPolicyBytesMax, .depth_max = 4});
  if (!json || !json->is_object()) return bad("Redrive policy is not a valid JSON map.");
  for (const ByteView name : {"deadLetterTargetArn", "maxReceiveCount"}) {
    if (json->find(name) != nullptr) continue;
    return bad(fmt::format("Redrive policy does not contain mandatory attribute: {}.", name));
  }
  if (json->as_object()->size() != 2)
    return bad("Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount].");
  const Bytes* arn = json->find("deadLetterTargetArn")->as_string();
  if (arn == nullptr || !arn->starts_with("arn:")) return bad("Invalid value for deadLetterTargetArn.");
  const auto count = integer_of(*json, "maxReceiveCount");
  if (!count || !*count || **count < 1 || **count > 1'000) {
    return bad("Invalid value for maxReceiveCount, valid values are from 1 to 1000 both inclusive.");
  }
  return RedrivePolicy{.target_arn = *arn, .max_receive_count = static_cast<std::uint32_t>(**count)};
}

Bytes to_text(const RedrivePolicy& policy) {
  Bytes text;
  codec::JsonWriter(text)
      .begin_object()
      .field("deadLetterTargetArn", policy.target_arn)
      .field("maxReceiveCount", std::int64_t{policy.max_receive_count})
      .end_object();
  return text;
}

bool redrive_allowed(ByteView policy, ByteView source_arn) {
  if (policy.empty()) return true;
  const auto allow = parse_redrive_allow(policy);
  if (!allow || allow->permission == "denyAll") return false;
  return allow->permission == "allowAll" ||
         std::ranges::find(allow->sources, source_arn) != allow->sources.end();
}

}  // namespace hr::wire::sqs
