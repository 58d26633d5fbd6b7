#include "wire/s3_multipart.h"

#include "base/result.h"
#include "codec/time_text.h"
#include "codec/uri.h"
#include "codec/xml.h"
#include "wire/s3_headers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace hr::wire {
namespace {

using codec::ChecksumAlgorithm;
using codec::XmlNode;
using codec::XmlWriter;

constexpr ByteView kNamespace = "http://s3.amazonaws.com/doc/2006-03-01/";
// In front of 16 hexadecimal digits: clients there are that take an id for a number when it looks like one.
constexpr std::string_view kUploadIdPrefix = "u";
constexpr std::size_t kUploadIdDigits = 16;
constexpr std::size_t kPartNodesMax = 8 * kS3PartsMax;

XmlWriter& begin(XmlWriter& xml, ByteView root) {
  return xml.declaration().open(root, {{"xmlns", kNamespace}});
}

std::string_view type_of(bool composite) { return composite ? "COMPOSITE" : "FULL_OBJECT"; }

bool is_crc(ChecksumAlgorithm algorithm) {
  return algorithm != ChecksumAlgorithm::kSha1 && algorithm != ChecksumAlgorithm::kSha256;
}

std::string without_quotes(std::string_view tag) {
  if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') tag = tag.substr(1, tag.size() - 2);
  return std::string(tag);
}

std::optional<std::uint32_t> small_number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

S3Result<S3CompletedPart> parse_part(const XmlNode& node) {
  constexpr std::string_view kChecksum = "Checksum";
  S3CompletedPart out;
  for (const XmlNode& child : node.children) {
    if (child.name == "PartNumber" && out.number == 0) {
      const auto number = small_number(child.text);
      if (!number) return s3_fail(S3Code::kMalformedXml);
      if (*number < 1 || *number > kS3PartsMax) {
        return s3_bad_argument("PartNumber", child.text,
                               "PartNumber must be an integer between 1 and 10000, inclusive");
      }
      out.number = *number;
    } else if (child.name == "ETag" && out.etag.empty()) {
      out.etag = without_quotes(child.text);
    } else if (child.name.starts_with(kChecksum) && !out.algorithm) {
      const auto algorithm =
          codec::parse_checksum_algorithm(std::string_view(child.name).substr(kChecksum.size()));
      if (!algorithm) return s3_fail(S3Code::kMalformedXml);
      out.algorithm = *algorithm;
      out.checksum = child.text;
    } else {
      return s3_fail(S3Code::kMalformedXml);
    }
  }
  if (out.number == 0 || out.etag.empty()) return s3_fail(S3Code::kMalformedXml);
  return out;
}

void write_owner(XmlWriter& xml, ByteView element, const S3Owner& owner) {
  xml.open(element).element("ID", owner.id).element("DisplayName", owner.display_name).close();
}

// Who began it: a key of the owner's account.
void write_initiator(XmlWriter& xml, const S3Owner& owner, std::string_view access_key) {
  xml.open("Initiator").element("ID", owner.id).element("DisplayName", access_key).close();
}

void write_checksum(XmlWriter& xml, std::string_view algorithm, std::string_view value) {
  if (!value.empty()) xml.element(fmt::format("Checksum{}", algorithm), value);
}

void write_checksum_kind(XmlWriter& xml, std::string_view algorithm, bool composite) {
  if (algorithm.empty()) return;
  xml.element("ChecksumAlgorithm", algorithm).element("ChecksumType", type_of(composite));
}

}  // namespace

std::string show_upload_id(std::uint64_t id) { return fmt::format("{}{:016x}", kUploadIdPrefix, id); }

std::optional<std::uint64_t> parse_upload_id(std::string_view text) {
  if (text.size() != kUploadIdPrefix.size() + kUploadIdDigits) return std::nullopt;
  std::uint64_t id = 0;
  const std::string_view digits = text.substr(kUploadIdPrefix.size());
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id, 16);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (id == 0 || show_upload_id(id) != text) return std::nullopt;
  return id;
}

S3Result<std::uint32_t> parse_part_number(std::string_view text) {
  const auto number = small_number(text);
  if (number && *number >= 1 && *number <= kS3PartsMax) return *number;
  return s3_bad_argument("partNumber", text, "Part number must be an integer between 1 and 10000, inclusive");
}

S3Result<S3UploadChecksum> parse_upload_checksum(codec::HeaderFields headers) {
  S3UploadChecksum out;
  const auto type = header(headers, "x-amz-checksum-type");
  if (const auto name = header(headers, "x-amz-checksum-algorithm")) {
    const auto algorithm = codec::parse_checksum_algorithm(*name);
    if (!algorithm) {
      return s3_fail(S3Code::kInvalidRequest,
                     "Checksum algorithm provided is unsupported. Please try again with any of the valid "
                     "types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]");
    }
    out.algorithm = *algorithm;
    out.composite = *algorithm != ChecksumAlgorithm::kCrc64Nvme;
  }
  if (!type) return out;
  if (!out.algorithm) {
    return s3_fail(S3Code::kInvalidRequest,
                   "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm "
                   "header.");
  }
  if (*type != "COMPOSITE" && *type != "FULL_OBJECT") {
    return s3_fail(S3Code::kInvalidRequest, "Value for x-amz-checksum-type header is invalid.");
  }
  out.composite = *type == "COMPOSITE";
  const bool possible =
      out.composite ? *out.algorithm != ChecksumAlgorithm::kCrc64Nvme : is_crc(*out.algorithm);
  if (possible) return out;
  return s3_fail(S3Code::kInvalidRequest,
                 fmt::format("The {} checksum type cannot be used with the {} checksum algorithm.", *type,
                             codec::to_string(*out.algorithm)));
}

S3Result<std::vector<S3CompletedPart>> parse_complete(ByteView xml) {
  auto root = codec::parse_xml(
      xml, {.bytes_max = kS3CompleteXmlBytesMax, .depth_max = 8, .nodes_max = kPartNodesMax});
  if (!root || root->name != "CompleteMultipartUpload") return s3_fail(S3Code::kMalformedXml);
  std::vector<S3CompletedPart> out;
  for (const XmlNode& child : root->children) {
    if (child.name != "Part" || out.size() == kS3PartsMax) return s3_fail(S3Code::kMalformedXml);
    HR_ASSIGN(S3CompletedPart part, parse_part(child));
    if (!out.empty() && part.number <= out.back().number) return s3_fail(S3Code::kInvalidPartOrder);
    out.push_back(std::move(part));
  }
  if (out.empty()) return s3_fail(S3Code::kMalformedXml);
  return out;
}

Bytes write_initiated(std::string_view bucket, std::string_view key, std::string_view upload_id) {
  Bytes out;
  XmlWriter xml(out);
  begin(xml, "InitiateMultipartUploadResult");
  xml.element("Bucket", bucket).element("Key", key).element("UploadId", upload_id).close();
  return out;
}

Bytes write_completed(const S3Completed& completed) {
  Bytes out;
  XmlWriter xml(out);
  begin(xml, "CompleteMultipartUploadResult");
  xml.element("Location", completed.location).element("Bucket", completed.bucket);
  xml.element("Key", completed.key).element("ETag", fmt::format("\"{}\"", completed.etag));
  write_checksum(xml, completed.checksum_algorithm, completed.checksum);
  if (!completed.checksum.empty()) xml.element("ChecksumType", type_of(completed.checksum_composite));
  xml.close();
  return out;
}

Bytes write_parts(const S3PartList& list) {
  Bytes out;
  XmlWriter xml(out);
  begin(xml, "ListPartsResult");
  xml.element("Bucket", list.bucket).element("Key", list.key).element("UploadId", list.upload_id);
  write_initiator(xml, list.owner, list.initiator);
  write_owner(xml, "Owner", list.owner);
  xml.element("StorageClass", "STANDARD").element("PartNumberMarker", std::int64_t{list.marker});
  const std::uint32_t next = list.parts.empty() ? list.marker : list.parts.back().number;
  xml.element("NextPartNumberMarker", std::int64_t{next});
  xml.element("MaxParts", static_cast<std::int64_t>(list.max_parts)).element("IsTruncated", list.truncated);
  write_checksum_kind(xml, list.checksum_algorithm, list.checksum_composite);
  for (const S3PartEntry& part : list.parts) {
    xml.open("Part").element("PartNumber", std::int64_t{part.number});
    xml.element("LastModified", codec::iso8601(part.modified));
    xml.element("ETag", fmt::format("\"{}\"", part.etag));
    xml.element("Size", static_cast<std::int64_t>(part.bytes));
    write_checksum(xml, part.checksum_algorithm, part.checksum);
    xml.close();
  }
  xml.close();
  return out;
}

Bytes write_uploads(const S3UploadList& list) {
  const auto shown = [&](std::string_view text) {
    return list.url_encoded ? codec::percent_encode(text, codec::Slash::kKeep) : Bytes(text);
  };
  Bytes out;
  XmlWriter xml(out);
  begin(xml, "ListMultipartUploadsResult");
  xml.element("Bucket", list.bucket).element("KeyMarker", shown(list.key_marker));
  xml.element("UploadIdMarker", list.upload_id_marker);
  xml.element("NextKeyMarker", shown(list.next_key_marker));
  xml.element("NextUploadIdMarker", list.next_upload_id_marker);
  xml.element("Prefix", shown(list.prefix));
  if (!list.delimiter.empty()) xml.element("Delimiter", shown(list.delimiter));
  if (list.url_encoded) xml.element("EncodingType", "url");
  xml.element("MaxUploads", static_cast<std::int64_t>(list.max_uploads));
  xml.element("IsTruncated", list.truncated);
  for (const S3UploadEntry& upload : list.uploads) {
    xml.open("Upload").element("Key", shown(upload.key)).element("UploadId", upload.upload_id);
    write_initiator(xml, list.owner, upload.initiator);
    write_owner(xml, "Owner", list.owner);
    xml.element("StorageClass", "STANDARD").element("Initiated", codec::iso8601(upload.initiated));
    write_checksum_kind(xml, upload.checksum_algorithm, upload.checksum_composite);
    xml.close();
  }
  for (const std::string& prefix : list.common_prefixes) {
    xml.open("CommonPrefixes").element("Prefix", shown(prefix)).close();
  }
  xml.close();
  return out;
}

}  // namespace hr::wire
