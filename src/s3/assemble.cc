#include "s3/assemble.h"

#include "codec/base64.h"
#include "codec/digest.h"
#include "wire/s3_headers.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hr::s3 {
namespace {

using codec::ChecksumAlgorithm;
using wire::S3Code;
using wire::S3Result;

std::optional<Bytes> raw_md5(std::string_view hex) {
  if (hex.size() != 2 * codec::Md5::kSize) return std::nullopt;
  Bytes raw;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const auto digit = [](char c) { return c >= 'a' ? c - 'a' + 10 : c - '0'; };
    const auto hexadecimal = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    if (!hexadecimal(hex[i]) || !hexadecimal(hex[i + 1])) return std::nullopt;
    raw.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  }
  return raw;
}

std::vector<std::pair<std::string, std::string>> fields_of(const object::Upload& upload,
                                                           const wire::S3CompletedPart& listed) {
  return {{"UploadId", wire::show_upload_id(static_cast<std::uint64_t>(upload.id))},
          {"PartNumber", std::to_string(listed.number)},
          {"ETag", listed.etag}};
}

// A composite checksum is made of what the client has seen of each part.
S3Result<void> check_part_checksum(const object::Upload& upload, const object::Part& part,
                                   const wire::S3CompletedPart& listed) {
  if (!listed.algorithm) {
    if (!upload.checksum_composite || upload.checksum_algorithm.empty()) return {};
    return wire::s3_fail(
        S3Code::kInvalidRequest,
        fmt::format("The upload was created using a {0} checksum. The complete request must include the "
                    "checksum for each part. It was missing for part {1} in the request.",
                    codec::lower_case(upload.checksum_algorithm), listed.number));
  }
  const bool same = part.checksum && part.checksum->algorithm == codec::to_string(*listed.algorithm) &&
                    part.checksum->value == listed.checksum;
  if (same) return {};
  return wire::s3_fail(S3Code::kInvalidPart, {}, fields_of(upload, listed));
}

S3Result<const object::Part*> find_part(const object::Upload& upload,
                                        std::span<const object::ListedPart> there,
                                        const wire::S3CompletedPart& listed, bool last) {
  const auto at = std::ranges::lower_bound(there, listed.number, {}, &object::ListedPart::number);
  if (at == there.end() || at->number != listed.number || at->part.etag != listed.etag) {
    return wire::s3_fail(S3Code::kInvalidPart, {}, fields_of(upload, listed));
  }
  HR_TRY(check_part_checksum(upload, at->part, listed));
  if (last || at->part.bytes >= wire::kS3PartBytesMin) return &at->part;
  auto fields = fields_of(upload, listed);
  fields.emplace_back("ProposedSize", std::to_string(at->part.bytes));
  fields.emplace_back("MinSizeAllowed", std::to_string(wire::kS3PartBytesMin));
  return wire::s3_fail(S3Code::kEntityTooSmall, {}, std::move(fields));
}

// Adds one part after the other.
class ChecksumOfParts {
 public:
  ChecksumOfParts(ChecksumAlgorithm algorithm, bool composite)
      : algorithm_(algorithm), composite_(composite), of_checksums_(algorithm) {}

  bool add(const object::Part& part) {
    if (!part.checksum) return false;
    const auto raw = codec::base64_decode(part.checksum->value);
    if (!raw) return false;
    if (composite_) {
      of_checksums_.update(*raw);
    } else if (count_ == 0) {
      whole_ = *raw;
    } else {
      auto joined = codec::join_crcs(algorithm_, whole_, *raw, part.bytes);
      if (!joined) return false;
      whole_ = std::move(*joined);
    }
    ++count_;
    return true;
  }
  std::string value() const {
    return composite_ ? fmt::format("{}-{}", of_checksums_.base64(), count_) : codec::base64_encode(whole_);
  }

 private:
  ChecksumAlgorithm algorithm_;
  bool composite_;
  codec::Checksummer of_checksums_;
  Bytes whole_;
  std::size_t count_ = 0;
};

S3Result<std::optional<object::Checksum>> checksum_of(const object::Upload& upload,
                                                      std::span<const object::Part* const> parts) {
  const auto algorithm = codec::parse_checksum_algorithm(upload.checksum_algorithm);
  if (!algorithm) return std::nullopt;
  ChecksumOfParts sum(*algorithm, upload.checksum_composite);
  for (const object::Part* part : parts) {
    if (!sum.add(*part)) return wire::s3_fail(S3Code::kInternalError);
  }
  return object::Checksum{upload.checksum_algorithm, sum.value()};
}

// What the request's headers say of the whole.
S3Result<void> check_headers(codec::HeaderFields headers, const object::Upload& upload,
                             const Assembled& made) {
  if (const auto size = wire::header(headers, "x-amz-mp-object-size")) {
    HR_ASSIGN(const std::uint64_t bytes, wire::parse_length("x-amz-mp-object-size", *size));
    if (bytes != made.bytes) {
      return wire::s3_fail(S3Code::kInvalidRequest,
                           "The provided 'x-amz-mp-object-size' header does not match what was computed.");
    }
  }
  if (const auto type = wire::header(headers, "x-amz-checksum-type")) {
    const std::string_view actual = upload.checksum_composite ? "COMPOSITE" : "FULL_OBJECT";
    if (upload.checksum_algorithm.empty() || *type != actual) {
      return wire::s3_fail(S3Code::kInvalidRequest,
                           fmt::format("The upload was created using the {} checksum mode. The complete "
                                       "request must use the same checksum mode.",
                                       upload.checksum_algorithm.empty() ? "null" : actual));
    }
  }
  for (const auto& [name, value] : headers) {
    const auto algorithm = codec::checksum_of_header(codec::lower_case(name));
    if (!algorithm || !made.checksum || made.checksum->algorithm != codec::to_string(*algorithm)) continue;
    const std::string_view expected = made.checksum->value;
    if (value != expected && value != expected.substr(0, expected.find('-'))) {
      return std::unexpected(wire::checksum_mismatch(*algorithm));
    }
  }
  return {};
}

}  // namespace

std::string etag_of_parts(std::span<const wire::S3CompletedPart> listed) {
  codec::Md5 md5;
  for (const wire::S3CompletedPart& part : listed) {
    const auto raw = raw_md5(part.etag);
    if (!raw) return {};
    md5.update(*raw);
  }
  return fmt::format("{}-{}", to_hex(md5.finish()), listed.size());
}

S3Result<Assembled> assemble(const object::Upload& upload, std::span<const object::ListedPart> there,
                             std::span<const wire::S3CompletedPart> listed, codec::HeaderFields headers) {
  Assembled out;
  std::vector<const object::Part*> parts;
  for (const wire::S3CompletedPart& one : listed) {
    HR_ASSIGN(const object::Part* part, find_part(upload, there, one, &one == &listed.back()));
    parts.push_back(part);
    out.bytes += part->bytes;
    const bool same_kind = part->checksum && part->checksum->algorithm == upload.checksum_algorithm;
    out.manifest.push_back(
        {.bytes = part->bytes, .blob = part->blob, .checksum = same_kind ? part->checksum->value : ""});
  }
  out.etag = etag_of_parts(listed);
  HR_ASSIGN(out.checksum, checksum_of(upload, parts));
  HR_TRY(check_headers(headers, upload, out));
  return out;
}

}  // namespace hr::s3
