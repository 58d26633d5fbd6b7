#include "wire/s3_requests.h"

#include "base/result.h"
#include "codec/header_field.h"
#include "wire/s3_target.h"
#include "wire/s3_xml.h"

#include <fmt/format.h>

#include <algorithm>

namespace hr::wire {
namespace {

using codec::XmlNode;

S3Result<bool> parse_flag(ByteView text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return s3_fail(S3Code::kMalformedXml);
}

std::unexpected<S3Error> not_here(std::string_view element) {
  return s3_fail(S3Code::kNotImplemented, fmt::format("{} is not implemented.", element));
}

std::string without_quotes(std::string_view tag) {
  if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') tag = tag.substr(1, tag.size() - 2);
  return std::string(tag);
}

S3Result<S3Delete> parse_object(const XmlNode& node) {
  S3Delete out;
  bool has_key = false;
  for (const XmlNode& child : node.children) {
    if (child.name == "Key" && !has_key) {
      out.key = child.text;
      has_key = true;
    } else if (child.name == "ETag" && !out.etag) {
      out.etag = without_quotes(child.text);
    } else if (child.name == "VersionId" && !out.version) {
      out.version = child.text;
    } else if (child.name == "LastModifiedTime" || child.name == "Size") {
      return not_here(child.name);
    } else {
      return s3_fail(S3Code::kMalformedXml);
    }
  }
  if (!has_key || out.key.empty()) return s3_fail(S3Code::kMalformedXml);
  return out;
}

S3Result<void> parse_filter_rule(const XmlNode& rule, S3QueueRule& out) {
  const Bytes* name = rule.child_text("Name");
  const Bytes* value = rule.child_text("Value");
  if (!name || !value) return s3_fail(S3Code::kMalformedXml);
  const Bytes lower = codec::lower_case(*name);
  if (lower != "prefix" && lower != "suffix") {
    return s3_bad_argument("FilterRule.Name", *name, "filter rule name must be either prefix or suffix");
  }
  std::string& slot = lower == "prefix" ? out.prefix : out.suffix;
  if (!slot.empty()) {
    return s3_bad_argument("FilterRule.Name", *name,
                           "Cannot specify more than one prefix rule and one suffix rule in a filter.");
  }
  if (value->size() > kS3KeyBytesMax) {
    return s3_bad_argument("FilterRule.Value", {},
                           "Size of filter rule value cannot exceed 1024 bytes in UTF-8");
  }
  slot = *value;
  return {};
}

S3Result<void> parse_filter(const XmlNode& filter, S3QueueRule& out) {
  for (const XmlNode& key : filter.children) {
    if (key.name != "S3Key") return s3_fail(S3Code::kMalformedXml);
    for (const XmlNode& rule : key.children) {
      if (rule.name != "FilterRule") return s3_fail(S3Code::kMalformedXml);
      HR_TRY(parse_filter_rule(rule, out));
    }
  }
  return {};
}

S3Result<S3QueueRule> parse_queue_rule(const XmlNode& node) {
  S3QueueRule out;
  for (const XmlNode& child : node.children) {
    if (child.name == "Id") {
      if (child.text.size() > 255)
        return s3_bad_argument("Id", {}, "Id cannot be longer than 255 characters");
      out.id = child.text;
    } else if (child.name == "Queue" && out.queue_arn.empty()) {
      out.queue_arn = child.text;
    } else if (child.name == "Event") {
      out.events.push_back(child.text);
    } else if (child.name == "Filter") {
      HR_TRY(parse_filter(child, out));
    } else {
      return s3_fail(S3Code::kMalformedXml);
    }
  }
  if (out.queue_arn.empty() || out.events.empty()) return s3_fail(S3Code::kMalformedXml);
  return out;
}

}  // namespace

S3Result<S3DeleteRequest> parse_delete(ByteView xml) {
  HR_ASSIGN(const XmlNode root, parse_s3_document(xml, "Delete"));
  S3DeleteRequest out;
  for (const XmlNode& child : root.children) {
    if (child.name == "Quiet") {
      HR_ASSIGN(out.quiet, parse_flag(child.text));
    } else if (child.name == "Object") {
      if (out.objects.size() == kS3DeletesMax) return s3_fail(S3Code::kMalformedXml);
      HR_ASSIGN(S3Delete object, parse_object(child));
      out.objects.push_back(std::move(object));
    } else {
      return s3_fail(S3Code::kMalformedXml);
    }
  }
  if (out.objects.empty()) return s3_fail(S3Code::kMalformedXml);
  return out;
}

S3Result<std::string> parse_create_bucket(ByteView xml) {
  if (xml.empty()) return std::string();
  HR_ASSIGN(const XmlNode root, parse_s3_document(xml, "CreateBucketConfiguration"));
  std::string location;
  for (const XmlNode& child : root.children) {
    if (child.name != "LocationConstraint") return not_here(child.name);
    location = child.text;
  }
  return location;
}

S3Result<bool> parse_versioning(ByteView xml) {
  HR_ASSIGN(const XmlNode root, parse_s3_document(xml, "VersioningConfiguration"));
  const Bytes* status = nullptr;
  for (const XmlNode& child : root.children) {
    if (child.name == "MfaDelete") {
      if (child.text != "Disabled") return not_here("MfaDelete (deleting by two factors)");
    } else if (child.name == "Status" && !status) {
      status = &child.text;
    } else {
      return s3_fail(S3Code::kMalformedXml);
    }
  }
  if (!status) return s3_fail(S3Code::kIllegalVersioningConfiguration);
  if (*status == "Enabled") return true;
  if (*status == "Suspended") return false;
  return s3_fail(S3Code::kMalformedXml);
}

S3Result<std::vector<S3QueueRule>> parse_notification(ByteView xml) {
  HR_ASSIGN(const XmlNode root, parse_s3_document(xml, "NotificationConfiguration"));
  std::vector<S3QueueRule> out;
  for (const XmlNode& child : root.children) {
    if (child.name == "TopicConfiguration" || child.name == "CloudFunctionConfiguration" ||
        child.name == "EventBridgeConfiguration") {
      return s3_fail(S3Code::kNotImplemented,
                     fmt::format("{}: events go to SQS queues only (QueueConfiguration).", child.name));
    }
    if (child.name != "QueueConfiguration") return s3_fail(S3Code::kMalformedXml);
    if (out.size() == kS3NotificationRulesMax) {
      return s3_fail(S3Code::kInvalidArgument, "A bucket can have at most 100 notification configurations.");
    }
    HR_ASSIGN(S3QueueRule rule, parse_queue_rule(child));
    out.push_back(std::move(rule));
  }
  return out;
}

}  // namespace hr::wire
