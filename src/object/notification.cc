#include "object/notification.h"

#include "codec/json.h"
#include "codec/time_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

namespace hr::object {
namespace {

// Those that changes here cause, or will cause once the operation of that name is answered.
constexpr std::array<std::string_view, 14> kEvents = {"s3:ObjectCreated:*",
                                                      "s3:ObjectCreated:Put",
                                                      "s3:ObjectCreated:Post",
                                                      "s3:ObjectCreated:Copy",
                                                      "s3:ObjectRemoved:*",
                                                      "s3:ObjectCreated:CompleteMultipartUpload",
                                                      "s3:ObjectRemoved:Delete",
                                                      "s3:ObjectRemoved:DeleteMarkerCreated",
                                                      "s3:ObjectTagging:*",
                                                      "s3:ObjectTagging:Put",
                                                      "s3:ObjectTagging:Delete",
                                                      "s3:LifecycleExpiration:*",
                                                      "s3:LifecycleExpiration:Delete",
                                                      "s3:LifecycleExpiration:DeleteMarkerCreated"};

// Known to S3 and caused by nothing here.
constexpr std::array<std::string_view, 14> kForeignEvents = {
    "s3:ReducedRedundancyLostObject",
    "s3:ObjectRestore:*",
    "s3:ObjectRestore:Post",
    "s3:ObjectRestore:Completed",
    "s3:ObjectRestore:Delete",
    "s3:Replication:*",
    "s3:Replication:OperationFailedReplication",
    "s3:Replication:OperationNotTracked",
    "s3:Replication:OperationMissedThreshold",
    "s3:Replication:OperationReplicatedAfterThreshold",
    "s3:LifecycleTransition",
    "s3:IntelligentTiering",
    "s3:ObjectAcl:Put",
    "s3:ObjectAnnotation:*"};

constexpr std::string_view kScheme = "s3:";
constexpr std::string_view kEtagOfNothing = "d41d8cd98f00b204e9800998ecf8427e";
constexpr std::string_view kVersionPrefix = "v0000000000000000";  // 32 characters, as AWS's are
constexpr std::size_t kVersionDigits = 15;

// "s3:ObjectCreated:*" covers "s3:ObjectCreated:Put"; without a star, the same name.
bool covers(std::string_view pattern, std::string_view event) {
  if (!pattern.ends_with('*')) return pattern == event;
  return event.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool share_an_event(const NotificationRule& a, const NotificationRule& b) {
  return std::ranges::any_of(a.events, [&](const std::string& one) {
    return std::ranges::any_of(
        b.events, [&](const std::string& other) { return covers(one, other) || covers(other, one); });
  });
}

// Some key may match both.
bool overlap(const NotificationRule& a, const NotificationRule& b) {
  return (a.prefix.starts_with(b.prefix) || b.prefix.starts_with(a.prefix)) &&
         (a.suffix.ends_with(b.suffix) || b.suffix.ends_with(a.suffix));
}

Status check_event(const std::string& event) {
  if (std::ranges::find(kEvents, event) != kEvents.end()) return {};
  if (std::ranges::find(kForeignEvents, event) != kForeignEvents.end()) {
    return fail(Errc::kUnsupported, fmt::format("events of the type {} are not sent here", event));
  }
  return fail(Errc::kInvalid, fmt::format("the event {} is not supported for notifications", event));
}

Status check_rule(const NotificationRule& rule) {
  if (rule.events.empty()) return fail(Errc::kInvalid, "a notification needs at least one event");
  if (std::max(rule.prefix.size(), rule.suffix.size()) > kFilterValueBytesMax) {
    return fail(Errc::kInvalid, "size of filter rule value cannot exceed 1024 bytes in UTF-8 representation");
  }
  for (const std::string& event : rule.events) HR_TRY(check_event(event));
  return {};
}

bool plain(unsigned char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
         c == '_' || c == '*' || c == '/';
}

void write_object(codec::JsonWriter& out, const Change& change) {
  out.key("object").begin_object();
  out.field("key", event_key(change.key));
  if (change.tells == Tells::kCreated) out.field("size", static_cast<std::int64_t>(change.object->bytes));
  if (change.object != nullptr) out.field("eTag", change.object->etag);
  if (change.tells == Tells::kMarker) out.field("eTag", kEtagOfNothing);
  if (change.version > 0) out.field("versionId", show_version(change.version));
  if (change.tells != Tells::kTagged) out.field("sequencer", fmt::format("{:018X}", change.sequencer));
  out.end_object();
}

void write_s3(codec::JsonWriter& out, const Bucket& bucket, const NotificationRule& rule,
              const Change& change) {
  out.key("s3").begin_object();
  out.field("s3SchemaVersion", "1.0");
  out.field("configurationId", rule.id);
  out.key("bucket").begin_object();
  out.field("name", bucket.name);
  out.key("ownerIdentity").begin_object().field("principalId", bucket.account).end_object();
  out.field("arn", "arn:aws:s3:::" + bucket.name);
  out.end_object();
  write_object(out, change);
  out.end_object();
}

}  // namespace

Result<void> validate_rules(std::span<const NotificationRule> rules) {
  if (rules.size() > kRulesMax) {
    return fail(Errc::kLimit, fmt::format("{} notifications are more than {}", rules.size(), kRulesMax));
  }
  std::set<std::string_view> ids;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    HR_TRY(check_rule(rules[i]));
    if (!ids.insert(rules[i].id).second) {
      return fail(Errc::kInvalid, "same ID used for multiple configurations; IDs must be unique");
    }
    for (const NotificationRule& other : rules.first(i)) {
      if (!share_an_event(rules[i], other) || !overlap(rules[i], other)) continue;
      return fail(Errc::kInvalid,
                  "configurations overlap; configurations on the same bucket cannot share a common "
                  "event type");
    }
  }
  return {};
}

bool matches(const NotificationRule& rule, std::string_view event, ByteView key) {
  if (!key.starts_with(rule.prefix) || !key.ends_with(rule.suffix)) return false;
  return std::ranges::any_of(rule.events, [&](std::string_view pattern) {
    return pattern.starts_with(kScheme) && covers(pattern.substr(kScheme.size()), event);
  });
}

std::string event_message(const Bucket& bucket, const NotificationRule& rule, const Change& change) {
  std::string text;
  codec::JsonWriter out(text);
  out.begin_object().key("Records").begin_array().begin_object();
  out.field("eventVersion", "2.1");
  out.field("eventSource", "aws:s3");
  out.field("awsRegion", bucket.region);
  out.field("eventTime", codec::iso8601(change.time));
  out.field("eventName", change.event_name);
  out.key("userIdentity").begin_object().field("principalId", change.principal).end_object();
  out.key("requestParameters").begin_object().field("sourceIPAddress", change.source_ip).end_object();
  out.key("responseElements").begin_object();
  out.field("x-amz-request-id", change.request_id);
  out.field("x-amz-id-2", change.request_id);
  out.end_object();
  write_s3(out, bucket, rule, change);
  out.end_object().end_array().end_object();
  return text;
}

std::string test_message(const Bucket& bucket, std::string_view request_id, Time now) {
  std::string text;
  codec::JsonWriter out(text);
  out.begin_object();
  out.field("Service", "Amazon S3");
  out.field("Event", "s3:TestEvent");
  out.field("Time", codec::iso8601(now));
  out.field("Bucket", bucket.name);
  out.field("RequestId", request_id);
  out.field("HostId", request_id);
  out.end_object();
  return text;
}

std::string show_version(std::uint64_t version) { return fmt::format("{}{:015x}", kVersionPrefix, version); }

std::optional<std::uint64_t> parse_version(std::string_view text) {
  if (!text.starts_with(kVersionPrefix)) return std::nullopt;
  const std::string_view digits = text.substr(kVersionPrefix.size());
  std::uint64_t version = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), version, 16);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  if (!whole || digits.size() != kVersionDigits || version == 0 || show_version(version) != text) {
    return std::nullopt;
  }
  return version;
}

std::string event_key(ByteView key) {
  std::string out;
  out.reserve(key.size());
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == ' ') {
      out += '+';
    } else if (plain(byte)) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "%{:02X}", byte);
    }
  }
  return out;
}

}  // namespace hr::object
