#include "wire/s3_documents.h"

#include "codec/digest.h"
#include "codec/time_text.h"
#include "codec/uri.h"
#include "codec/xml.h"

#include <fmt/format.h>

namespace hr::wire {
namespace {

using codec::XmlWriter;

constexpr ByteView kNamespace = "http://s3.amazonaws.com/doc/2006-03-01/";
constexpr ByteView kSchemaInstance = "http://www.w3.org/2001/XMLSchema-instance";

XmlWriter& begin(XmlWriter& xml, ByteView root) {
  return xml.declaration().open(root, {{"xmlns", kNamespace}});
}

void write_owner(XmlWriter& xml, const S3Owner& owner, ByteView element = "Owner") {
  xml.open(element).element("ID", owner.id).element("DisplayName", owner.display_name).close();
}

Bytes quoted(std::string_view etag) { return Bytes("\"").append(etag).append("\""); }

// What encoding-type=url applies to: keys, prefixes, delimiters, markers.
void write_shown(XmlWriter& xml, const S3Listing& page, std::string_view text) {
  page.url_encoded ? xml.text(codec::percent_encode(text, codec::Slash::kKeep)) : xml.text(text);
}

void write_shown(XmlWriter& xml, const S3Listing& page, ByteView element, std::string_view text) {
  xml.open(element);
  write_shown(xml, page, text);
  xml.close();
}

void write_page_head(XmlWriter& xml, const S3Listing& page) {
  xml.element("Name", page.bucket);
  write_shown(xml, page, "Prefix", page.prefix);
  if (!page.delimiter.empty()) write_shown(xml, page, "Delimiter", page.delimiter);
  xml.element("MaxKeys", static_cast<std::int64_t>(page.max_keys));
  if (page.url_encoded) xml.element("EncodingType", "url");
  xml.element("IsTruncated", page.truncated);
}

// There are a thousand of these on a page: what does not change is written in one piece.
void write_entry_body(XmlWriter& xml, const S3ListEntry& entry) {
  xml.raw("<LastModified>").raw(codec::iso8601(entry.modified));
  xml.raw("</LastModified><ETag>&quot;").text(entry.etag).raw("&quot;</ETag>");
  if (!entry.checksum_algorithm.empty()) {
    xml.element("ChecksumAlgorithm", entry.checksum_algorithm);
    xml.element("ChecksumType", entry.checksum_composite ? "COMPOSITE" : "FULL_OBJECT");
  }
  xml.element("Size", static_cast<std::int64_t>(entry.bytes));
}

void write_contents(XmlWriter& xml, const S3Listing& page, const S3Owner* owner) {
  for (const S3ListEntry& entry : page.entries) {
    xml.raw("<Contents><Key>");
    write_shown(xml, page, entry.key);
    xml.raw("</Key>");
    write_entry_body(xml, entry);
    if (owner) write_owner(xml, *owner);
    xml.raw("<StorageClass>STANDARD</StorageClass></Contents>");
  }
}

void write_common_prefixes(XmlWriter& xml, const S3Listing& page) {
  for (const std::string& prefix : page.common_prefixes) {
    xml.raw("<CommonPrefixes><Prefix>");
    write_shown(xml, page, prefix);
    xml.raw("</Prefix></CommonPrefixes>");
  }
}

// Of one line of a page, about: what it is written to need not grow often.
constexpr std::size_t kEntryBytes = 256;
constexpr std::size_t kOwnerBytes = 128;
std::size_t bytes_about(const S3Listing& page, bool owner) {
  return 1024 + page.entries.size() * (kEntryBytes + (owner ? kOwnerBytes : 0)) +
         page.common_prefixes.size() * kOwnerBytes;
}

void write_filter(XmlWriter& xml, const S3QueueRule& rule) {
  if (rule.prefix.empty() && rule.suffix.empty()) return;
  xml.open("Filter").open("S3Key");
  if (!rule.prefix.empty())
    xml.open("FilterRule").element("Name", "Prefix").element("Value", rule.prefix).close();
  if (!rule.suffix.empty())
    xml.open("FilterRule").element("Name", "Suffix").element("Value", rule.suffix).close();
  xml.close().close();
}

void write_parts_attributes(XmlWriter& xml, const S3PartsAttributes& parts, std::string_view algorithm) {
  xml.open("ObjectParts").element("PartsCount", std::int64_t{parts.count});
  if (!parts.parts.empty()) {
    xml.element("PartNumberMarker", std::int64_t{parts.marker});
    xml.element("NextPartNumberMarker", std::int64_t{parts.parts.back().number});
    xml.element("MaxParts", static_cast<std::int64_t>(parts.max_parts));
    xml.element("IsTruncated", parts.truncated);
  }
  for (const S3PartAttributes& part : parts.parts) {
    xml.open("Part").element("PartNumber", std::int64_t{part.number});
    xml.element("Size", static_cast<std::int64_t>(part.bytes));
    xml.element(fmt::format("Checksum{}", algorithm), part.checksum).close();
  }
  xml.close();
}

void write_version(XmlWriter& xml, const S3Listing& page, const S3ListVersions& extra,
                   const S3ListEntry& entry, const S3VersionEntry& version) {
  xml.open(version.delete_marker ? "DeleteMarker" : "Version");
  write_shown(xml, page, "Key", entry.key);
  xml.element("VersionId", version.version_id).element("IsLatest", version.latest);
  if (version.delete_marker) {
    xml.element("LastModified", codec::iso8601(entry.modified));
    write_owner(xml, extra.owner);
  } else {
    write_entry_body(xml, entry);
    write_owner(xml, extra.owner);
    xml.element("StorageClass", "STANDARD");
  }
  xml.close();
}

void write_deleted(XmlWriter& xml, const S3DeleteOutcome& one) {
  xml.open("Deleted").element("Key", one.key);
  if (!one.version_id.empty()) xml.element("VersionId", one.version_id);
  if (one.delete_marker) {
    xml.element("DeleteMarker", true).element("DeleteMarkerVersionId", one.marker_version_id);
  }
  xml.close();
}

}  // namespace

S3Owner owner_of_account(std::string_view account) {
  return {.id = codec::sha256_hex(fmt::format("headrace canonical user {}", account)),
          .display_name = std::string(account)};
}

Bytes write_buckets(const S3BucketList& list) {
  Bytes out;
  XmlWriter xml(out);
  begin(xml, "ListAllMyBucketsResult");
  write_owner(xml, list.owner);
  xml.open("Buckets");
  for (const S3BucketEntry& bucket : list.buckets) {
    xml.open("Bucket").element("Name", bucket.name).element("CreationDate", codec::iso8601(bucket.created));
    xml.element("BucketRegion", bucket.region).close();
  }
  xml.close();
  if (!list.prefix.empty()) xml.element("Prefix", list.prefix);
  if (!list.continuation_token.empty()) xml.element("ContinuationToken", list.continuation_token);
  xml.close();
  return out;
}

Bytes write_list_v1(const S3Listing& page, const S3ListV1& extra) {
  Bytes out;
  out.reserve(bytes_about(page, true));
  XmlWriter xml(out);
  begin(xml, "ListBucketResult");
  write_page_head(xml, page);
  write_shown(xml, page, "Marker", extra.marker);
  if (page.truncated && !page.delimiter.empty()) write_shown(xml, page, "NextMarker", extra.next_marker);
  write_contents(xml, page, &extra.owner);
  write_common_prefixes(xml, page);
  xml.close();
  return out;
}

Bytes write_list_v2(const S3Listing& page, const S3ListV2& extra) {
  Bytes out;
  out.reserve(bytes_about(page, extra.owner.has_value()));
  XmlWriter xml(out);
  begin(xml, "ListBucketResult");
  write_page_head(xml, page);
  xml.element("KeyCount", static_cast<std::int64_t>(page.entries.size() + page.common_prefixes.size()));
  if (!extra.token.empty()) xml.element("ContinuationToken", extra.token);
  if (page.truncated) xml.element("NextContinuationToken", extra.next_token);
  if (!extra.start_after.empty()) write_shown(xml, page, "StartAfter", extra.start_after);
  write_contents(xml, page, extra.owner ? &*extra.owner : nullptr);
  write_common_prefixes(xml, page);
  xml.close();
  return out;
}

Bytes write_list_versions(const S3Listing& page, const S3ListVersions& extra) {
  Bytes out;
  out.reserve(bytes_about(page, true));
  XmlWriter xml(out);
  begin(xml, "ListVersionsResult");
  write_page_head(xml, page);
  write_shown(xml, page, "KeyMarker", extra.key_marker);
  xml.element("VersionIdMarker", extra.version_id_marker);
  if (page.truncated) {
    write_shown(xml, page, "NextKeyMarker", extra.next_key_marker);
    if (!extra.next_version_id_marker.empty()) {
      xml.element("NextVersionIdMarker", extra.next_version_id_marker);
    }
  }
  for (std::size_t i = 0; i < page.entries.size(); ++i) {
    write_version(xml, page, extra, page.entries[i], extra.versions.at(i));
  }
  write_common_prefixes(xml, page);
  xml.close();
  return out;
}

Bytes write_delete_result(const std::vector<S3DeleteOutcome>& outcomes, bool quiet) {
  Bytes out;
  XmlWriter xml(out);
  begin(xml, "DeleteResult");
  for (const S3DeleteOutcome& one : outcomes) {
    if (!one.error) {
      if (!quiet) write_deleted(xml, one);
      continue;
    }
    const std::string_view message =
        one.error->message.empty() ? default_message(one.error->code) : std::string_view(one.error->message);
    xml.open("Error").element("Key", one.key);
    if (!one.version_id.empty()) xml.element("VersionId", one.version_id);
    xml.element("Code", to_string(one.error->code));
    xml.element("Message", message).close();
  }
  xml.close();
  return out;
}

Bytes write_copied(std::string_view root, const S3Copied& copied) {
  Bytes out;
  XmlWriter xml(out);
  begin(xml, root).element("LastModified", codec::iso8601(copied.modified));
  xml.element("ETag", quoted(copied.etag));
  if (!copied.checksum.empty()) {
    xml.element(fmt::format("Checksum{}", copied.checksum_algorithm), copied.checksum);
    xml.element("ChecksumType", "FULL_OBJECT");
  }
  xml.close();
  return out;
}

Bytes write_attributes(const S3Attributes& attributes) {
  Bytes out;
  XmlWriter xml(out);
  begin(xml, "GetObjectAttributesResponse");
  if (attributes.etag) xml.element("ETag", *attributes.etag);
  if (attributes.checksum) {
    xml.open("Checksum");
    xml.element(fmt::format("Checksum{}", attributes.checksum_algorithm), *attributes.checksum);
    xml.element("ChecksumType", attributes.checksum_composite ? "COMPOSITE" : "FULL_OBJECT").close();
  }
  if (attributes.parts) write_parts_attributes(xml, *attributes.parts, attributes.checksum_algorithm);
  if (attributes.storage_class) xml.element("StorageClass", "STANDARD");
  if (attributes.bytes) xml.element("ObjectSize", static_cast<std::int64_t>(*attributes.bytes));
  xml.close();
  return out;
}

Bytes write_location(std::string_view region) {
  Bytes out;
  XmlWriter xml(out);
  begin(xml, "LocationConstraint").text(region == "us-east-1" ? std::string_view() : region).close();
  return out;
}

Bytes write_versioning(std::string_view status) {
  Bytes out;
  XmlWriter xml(out);
  begin(xml, "VersioningConfiguration");
  if (!status.empty()) xml.element("Status", status);
  xml.close();
  return out;
}

Bytes write_acl(const S3Owner& owner) {
  Bytes out;
  XmlWriter xml(out);
  begin(xml, "AccessControlPolicy");
  write_owner(xml, owner);
  xml.open("AccessControlList").open("Grant");
  xml.open("Grantee", {{"xmlns:xsi", kSchemaInstance}, {"xsi:type", "CanonicalUser"}});
  xml.element("ID", owner.id).element("DisplayName", owner.display_name).close();
  xml.element("Permission", "FULL_CONTROL").close().close().close();
  return out;
}

Bytes write_notification(const std::vector<S3QueueRule>& rules) {
  Bytes out;
  XmlWriter xml(out);
  begin(xml, "NotificationConfiguration");
  for (const S3QueueRule& rule : rules) {
    xml.open("QueueConfiguration").element("Id", rule.id).element("Queue", rule.queue_arn);
    for (const std::string& event : rule.events) xml.element("Event", event);
    write_filter(xml, rule);
    xml.close();
  }
  xml.close();
  return out;
}

}  // namespace hr::wire
