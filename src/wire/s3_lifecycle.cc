#include "wire/s3_lifecycle.h"

#include "base/result.h"
#include "codec/time_text.h"
#include "wire/s3_tagging.h"
#include "wire/s3_xml.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

namespace hr::wire {
namespace {

using codec::XmlNode;

constexpr std::size_t kIdCharsMax = 255;
constexpr std::int32_t kNewerMax = 100;

std::unexpected<S3Error> malformed() { return s3_fail(S3Code::kMalformedXml); }

std::unexpected<S3Error> refused(std::string message) {
  return s3_fail(S3Code::kInvalidRequest, std::move(message));
}

template <class T>
S3Result<T> number(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return malformed();
  return value;
}

S3Result<std::int32_t> days(std::string_view action, const XmlNode& node) {
  HR_ASSIGN(const auto value, number<std::int32_t>(node.text));
  if (value > 0) return value;
  return s3_fail(S3Code::kInvalidArgument,
                 fmt::format("'{}' for {} action must be a positive integer", node.name, action));
}

// --- filters ---

S3Result<void> take_tag(const XmlNode& node, S3LifecycleRule& rule) {
  const Bytes* key = node.child_text("Key");
  const Bytes* value = node.child_text("Value");
  if (!key || !value) return malformed();
  HR_TRY(check_tag(*key, *value));
  if (!rule.tags.emplace(*key, *value).second) return refused("Duplicate Tag Keys are not allowed.");
  return {};
}

S3Result<void> take_predicate(const XmlNode& node, S3LifecycleRule& rule) {
  if (node.name == "Prefix") {
    rule.prefix = node.text;
  } else if (node.name == "Tag") {
    return take_tag(node, rule);
  } else if (node.name == "ObjectSizeGreaterThan") {
    HR_ASSIGN(rule.larger_than, number<std::uint64_t>(node.text));
  } else if (node.name == "ObjectSizeLessThan") {
    HR_ASSIGN(rule.smaller_than, number<std::uint64_t>(node.text));
  } else {
    return malformed();
  }
  return {};
}

S3Result<void> take_filter(const XmlNode& filter, S3LifecycleRule& rule) {
  if (filter.children.size() > 1) return malformed();
  if (filter.children.empty()) return {};
  const XmlNode& only = filter.children.front();
  if (only.name != "And") return take_predicate(only, rule);
  if (only.children.size() < 2) return malformed();
  for (const XmlNode& one : only.children) HR_TRY(take_predicate(one, rule));
  if (rule.larger_than && rule.smaller_than && *rule.larger_than >= *rule.smaller_than) {
    return refused("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.");
  }
  return {};
}

// --- actions ---

S3Result<void> take_expiration(const XmlNode& node, S3LifecycleRule& rule) {
  if (node.children.size() != 1) return malformed();
  const XmlNode& only = node.children.front();
  if (only.name == "Days") {
    HR_ASSIGN(rule.days, days("Expiration", only));
  } else if (only.name == "Date") {
    const auto date = codec::parse_iso8601(only.text);
    if (!date) return malformed();
    if (*date != std::chrono::floor<std::chrono::days>(*date)) {
      return s3_fail(S3Code::kInvalidArgument, "'Date' must be at midnight GMT");
    }
    rule.date = *date;
  } else if (only.name == "ExpiredObjectDeleteMarker") {
    if (only.text != "true" && only.text != "false") return malformed();
    rule.expired_delete_marker = only.text == "true";
  } else {
    return malformed();
  }
  return {};
}

S3Result<void> take_noncurrent(const XmlNode& node, S3LifecycleRule& rule) {
  for (const XmlNode& child : node.children) {
    if (child.name == "NoncurrentDays") {
      HR_ASSIGN(rule.noncurrent_days, days("NoncurrentVersionExpiration", child));
    } else if (child.name == "NewerNoncurrentVersions") {
      HR_ASSIGN(rule.noncurrent_kept, days("NoncurrentVersionExpiration", child));
      if (rule.noncurrent_kept > kNewerMax) return malformed();
    } else {
      return malformed();
    }
  }
  return rule.noncurrent_days ? S3Result<void>() : malformed();
}

S3Result<void> take_abort(const XmlNode& node, S3LifecycleRule& rule) {
  if (node.children.size() != 1 || node.children.front().name != "DaysAfterInitiation") return malformed();
  HR_ASSIGN(rule.abort_days, days("AbortIncompleteMultipartUpload", node.children.front()));
  return {};
}

S3Result<void> take_element(const XmlNode& node, S3LifecycleRule& rule) {
  if (node.name == "ID") {
    if (node.text.size() > kIdCharsMax) {
      return s3_fail(S3Code::kInvalidArgument, "ID length should not exceed allowed limit of 255");
    }
    rule.id = node.text;
  } else if (node.name == "Status") {
    if (node.text != "Enabled" && node.text != "Disabled") return malformed();
    rule.enabled = node.text == "Enabled";
  } else if (node.name == "Prefix") {
    rule.prefix = node.text;
    rule.old_form = true;
  } else if (node.name == "Filter") {
    return take_filter(node, rule);
  } else if (node.name == "Expiration") {
    return take_expiration(node, rule);
  } else if (node.name == "NoncurrentVersionExpiration") {
    return take_noncurrent(node, rule);
  } else if (node.name == "AbortIncompleteMultipartUpload") {
    return take_abort(node, rule);
  } else if (node.name == "Transition" || node.name == "NoncurrentVersionTransition") {
    return s3_fail(S3Code::kNotImplemented,
                   fmt::format("{} has nowhere to lead: STANDARD is the only storage class.", node.name));
  } else {
    return malformed();
  }
  return {};
}

S3Result<void> check_elements(const XmlNode& node) {
  std::set<std::string_view> seen;
  for (const XmlNode& child : node.children) {
    if (!seen.insert(child.name).second && !child.name.ends_with("Transition")) return malformed();
  }
  if (!seen.contains("Status") || seen.contains("Prefix") == seen.contains("Filter")) return malformed();
  return {};
}

S3Result<void> check_rule(const S3LifecycleRule& rule) {
  const bool acts =
      rule.days || rule.date || rule.expired_delete_marker || rule.noncurrent_days || rule.abort_days;
  if (!acts) return refused("At least one action needs to be specified in a rule");
  const bool by_object = !rule.tags.empty() || rule.larger_than || rule.smaller_than;
  if (rule.abort_days && by_object) {
    return refused("AbortIncompleteMultipartUpload cannot be specified with Tags or object sizes.");
  }
  if (rule.expired_delete_marker && by_object) {
    return refused("ExpiredObjectDeleteMarker cannot be specified with Tags or object sizes.");
  }
  return {};
}

// --- deciding ---

bool fits(const S3LifecycleRule& rule, const S3LifecycleObject& object) {
  if (!rule.enabled || !object.key.starts_with(rule.prefix)) return false;
  if (rule.larger_than && object.bytes <= *rule.larger_than) return false;
  if (rule.smaller_than && object.bytes >= *rule.smaller_than) return false;
  return std::ranges::all_of(rule.tags, [&](const auto& tag) {
    if (!object.tags) return false;
    const auto found = object.tags->find(tag.first);
    return found != object.tags->end() && found->second == tag.second;
  });
}

void earlier(std::optional<S3Expiry>& best, Time at, const S3LifecycleRule& rule) {
  if (!best || at < best->at) best = S3Expiry{at, rule.id};
}

void write_tag(codec::XmlWriter& xml, const std::pair<const std::string, std::string>& tag) {
  xml.open("Tag").element("Key", tag.first).element("Value", tag.second).close();
}

void write_filter(codec::XmlWriter& xml, const S3LifecycleRule& rule) {
  if (rule.old_form) {
    xml.element("Prefix", rule.prefix);
    return;
  }
  const std::size_t parts = (rule.prefix.empty() ? 0U : 1U) + rule.tags.size() +
                            (rule.larger_than ? 1U : 0U) + (rule.smaller_than ? 1U : 0U);
  xml.open("Filter");
  if (parts > 1) xml.open("And");
  if (!rule.prefix.empty()) xml.element("Prefix", rule.prefix);
  for (const auto& tag : rule.tags) write_tag(xml, tag);
  if (rule.larger_than) xml.element("ObjectSizeGreaterThan", std::to_string(*rule.larger_than));
  if (rule.smaller_than) xml.element("ObjectSizeLessThan", std::to_string(*rule.smaller_than));
  if (parts > 1) xml.close();
  xml.close();
}

void write_actions(codec::XmlWriter& xml, const S3LifecycleRule& rule) {
  if (rule.days || rule.date || rule.expired_delete_marker) {
    xml.open("Expiration");
    if (rule.days) xml.element("Days", *rule.days);
    if (rule.date) xml.element("Date", codec::iso8601(*rule.date));
    if (rule.expired_delete_marker) xml.element("ExpiredObjectDeleteMarker", true);
    xml.close();
  }
  if (rule.noncurrent_days) {
    xml.open("NoncurrentVersionExpiration").element("NoncurrentDays", *rule.noncurrent_days);
    if (rule.noncurrent_kept > 0) xml.element("NewerNoncurrentVersions", rule.noncurrent_kept);
    xml.close();
  }
  if (rule.abort_days) {
    xml.open("AbortIncompleteMultipartUpload").element("DaysAfterInitiation", *rule.abort_days).close();
  }
}

}  // namespace

S3Result<std::vector<S3LifecycleRule>> parse_lifecycle(ByteView xml) {
  HR_ASSIGN(const XmlNode root, parse_s3_document(xml, "LifecycleConfiguration"));
  std::vector<S3LifecycleRule> rules;
  std::set<std::string> ids;
  for (const XmlNode& node : root.children) {
    if (node.name != "Rule" || rules.size() == kS3LifecycleRulesMax) return malformed();
    HR_TRY(check_elements(node));
    S3LifecycleRule& rule = rules.emplace_back();
    for (const XmlNode& element : node.children) HR_TRY(take_element(element, rule));
    HR_TRY(check_rule(rule));
    if (rule.id.empty()) rule.id = fmt::format("rule-{}", rules.size());
    if (!ids.insert(rule.id).second) {
      return s3_fail(S3Code::kInvalidArgument,
                     "Rule ID must be unique. Found same ID for more than one rule");
    }
  }
  if (rules.empty()) return malformed();
  return rules;
}

Bytes write_lifecycle(std::span<const S3LifecycleRule> rules) {
  Bytes out;
  codec::XmlWriter xml(out);
  begin_s3_document(xml, "LifecycleConfiguration");
  for (const S3LifecycleRule& rule : rules) {
    xml.open("Rule").element("ID", rule.id);
    write_filter(xml, rule);
    xml.element("Status", rule.enabled ? "Enabled" : "Disabled");
    write_actions(xml, rule);
    xml.close();
  }
  xml.close();
  return out;
}

Time lifecycle_due(Time from, std::int32_t days) {
  const auto later = from + std::chrono::days(days);
  return std::chrono::time_point_cast<Duration>(std::chrono::ceil<std::chrono::days>(later));
}

std::optional<S3Expiry> expiry_of(std::span<const S3LifecycleRule> rules, const S3LifecycleObject& object) {
  std::optional<S3Expiry> best;
  for (const S3LifecycleRule& rule : rules) {
    if (!fits(rule, object)) continue;
    if (rule.days) earlier(best, lifecycle_due(object.modified, *rule.days), rule);
    if (rule.date) earlier(best, *rule.date, rule);
  }
  return best;
}

std::optional<S3Expiry> noncurrent_expiry_of(std::span<const S3LifecycleRule> rules,
                                             const S3LifecycleObject& object, Time superseded,
                                             std::size_t newer) {
  std::optional<S3Expiry> best;
  for (const S3LifecycleRule& rule : rules) {
    if (!rule.noncurrent_days || !fits(rule, object)) continue;
    if (newer < static_cast<std::size_t>(rule.noncurrent_kept)) continue;
    earlier(best, lifecycle_due(superseded, *rule.noncurrent_days), rule);
  }
  return best;
}

bool removes_marker(std::span<const S3LifecycleRule> rules, std::string_view key, Time modified, Time now) {
  return std::ranges::any_of(rules, [&](const S3LifecycleRule& rule) {
    if (!rule.enabled || !key.starts_with(rule.prefix) || !rule.tags.empty()) return false;
    // Days and Date reach a marker that hides nothing too.
    return rule.expired_delete_marker || (rule.days && lifecycle_due(modified, *rule.days) <= now) ||
           (rule.date && *rule.date <= now);
  });
}

std::optional<Time> abort_of(std::span<const S3LifecycleRule> rules, std::string_view key, Time initiated) {
  std::optional<Time> best;
  for (const S3LifecycleRule& rule : rules) {
    if (!rule.enabled || !rule.abort_days || !key.starts_with(rule.prefix)) continue;
    const Time at = lifecycle_due(initiated, *rule.abort_days);
    if (!best || at < *best) best = at;
  }
  return best;
}

}  // namespace hr::wire
