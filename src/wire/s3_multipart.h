// Multipart uploads on the wire: the identifiers and numbers of their parameters, the document that completes
// one, and the documents S3 answers with. Pure.
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "codec/digest.h"
#include "codec/header_field.h"
#include "wire/s3_documents.h"
#include "wire/s3_error.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hr::wire {

inline constexpr std::uint32_t kS3PartsMax = 10'000;
inline constexpr std::uint64_t kS3PartBytesMin = 5U << 20;       // but for the last one
inline constexpr std::size_t kS3CompleteXmlBytesMax = 4U << 20;  // 10,000 parts, each with a checksum

std::string show_upload_id(std::uint64_t id);
std::optional<std::uint64_t> parse_upload_id(std::string_view text);

// 1 to 10,000; InvalidArgument.
S3Result<std::uint32_t> parse_part_number(std::string_view text);

// x-amz-checksum-algorithm and x-amz-checksum-type of CreateMultipartUpload.
struct S3UploadChecksum {
  std::optional<codec::ChecksumAlgorithm> algorithm;
  bool composite = false;
};
S3Result<S3UploadChecksum> parse_upload_checksum(codec::HeaderFields headers);

struct S3CompletedPart {
  std::uint32_t number = 0;
  std::string etag{};  // without quotes
  // As the client believes it to be; at most one.
  std::optional<codec::ChecksumAlgorithm> algorithm;
  std::string checksum{};
};
// 1 to 10,000 parts, numbers ascending: MalformedXML, InvalidPartOrder.
S3Result<std::vector<S3CompletedPart>> parse_complete(ByteView xml);

// --- answers ---

Bytes write_initiated(std::string_view bucket, std::string_view key, std::string_view upload_id);

struct S3Completed {
  std::string location{}, bucket{}, key{}, etag{};
  std::string checksum_algorithm{}, checksum{};  // may be empty
  bool checksum_composite = false;
};
Bytes write_completed(const S3Completed& completed);

struct S3PartEntry {
  std::uint32_t number = 0;
  Time modified{};
  std::string etag{};
  std::uint64_t bytes = 0;
  std::string checksum_algorithm{}, checksum{};  // may be empty
};
struct S3PartList {
  std::string bucket{}, key{}, upload_id{};
  S3Owner owner{};
  std::string initiator{};
  std::uint32_t marker = 0;
  std::size_t max_parts = 1000;
  bool truncated = false;
  std::string checksum_algorithm{};  // of the upload; may be empty
  bool checksum_composite = false;
  std::vector<S3PartEntry> parts{};
};
Bytes write_parts(const S3PartList& list);

struct S3UploadEntry {
  std::string key{}, upload_id{}, initiator{};
  Time initiated{};
  std::string checksum_algorithm{};  // may be empty
  bool checksum_composite = false;
};
struct S3UploadList {
  std::string bucket{}, prefix{}, delimiter{}, key_marker{}, upload_id_marker{};
  std::string next_key_marker{}, next_upload_id_marker{};
  std::size_t max_uploads = 1000;
  bool truncated = false;
  bool url_encoded = false;
  S3Owner owner{};
  std::vector<S3UploadEntry> uploads{};
  std::vector<std::string> common_prefixes{};
};
Bytes write_uploads(const S3UploadList& list);

}  // namespace hr::wire
