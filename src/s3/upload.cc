#include "s3/upload.h"

#include "base/result.h"
#include "s3/request.h"

#include <utility>

namespace hr::s3 {
namespace {

using wire::S3Code;
using wire::S3Result;

std::unexpected<wire::S3Error> refused(const codec::ChunkedError& error) {
  switch (error.code) {
    case codec::ChunkedErrc::kSignature:
      return wire::s3_fail(S3Code::kSignatureDoesNotMatch);
    case codec::ChunkedErrc::kTruncated:
    case codec::ChunkedErrc::kLength:
      return wire::s3_fail(S3Code::kIncompleteBody, error.message);
    case codec::ChunkedErrc::kTrailer:
      return wire::s3_fail(S3Code::kInvalidRequest, error.message);
    case codec::ChunkedErrc::kMalformed:
    case codec::ChunkedErrc::kTooLong:
      break;
  }
  return wire::s3_fail(S3Code::kInvalidRequest, error.message);
}

}  // namespace

Upload::Upload(UploadSpec spec, storage::BlobStore& blobs) : spec_(std::move(spec)), blobs_(blobs) {
  if (spec_.chunked) decoder_.emplace(*std::exchange(spec_.chunked, std::nullopt));
  if (spec_.sha256) sha256_.emplace();
  if (const auto algorithm = spec_.checks.algorithm ? spec_.checks.algorithm : spec_.also_compute) {
    checksum_.emplace(*algorithm);
  }
  if (!spec_.open_ended && spec_.bytes <= spec_.inline_bytes_max) inline_body_.reserve(spec_.bytes);
}

S3Result<void> Upload::feed(ByteView piece) {
  HR_ASSIGN(const std::vector<ByteView> payload, keep(piece));
  digest(payload);
  return {};
}

S3Result<std::vector<ByteView>> Upload::keep(ByteView piece) {
  std::vector<ByteView> payload;
  if (!decoder_) {
    payload.push_back(piece);
  } else if (auto fed = decoder_->feed(piece, payload); !fed) {
    return refused(fed.error());
  }
  for (const ByteView part : payload) HR_TRY(store(part));
  return payload;
}

void Upload::digest(std::span<const ByteView> payload) {
  for (const ByteView part : payload) {
    md5_.update(part);
    if (sha256_) sha256_->update(part);
    if (checksum_) checksum_->update(part);
  }
}

S3Result<void> Upload::store(ByteView payload) {
  if (payload.size() > spec_.bytes - bytes_) {
    if (spec_.open_ended) {
      return wire::s3_fail(S3Code::kEntityTooLarge, {}, {{"MaxSizeAllowed", std::to_string(spec_.bytes)}});
    }
    return wire::s3_fail(S3Code::kIncompleteBody, "The body is longer than was announced.");
  }
  bytes_ += payload.size();
  if ((spec_.open_ended ? bytes_ : spec_.bytes) <= spec_.inline_bytes_max) {
    inline_body_.append(payload);
    return {};
  }
  // An open-ended payload may have begun as a small one.
  if (!inline_body_.empty()) HR_TRY(to_blob(std::exchange(inline_body_, {})));
  return to_blob(payload);
}

S3Result<void> Upload::to_blob(ByteView payload) {
  if (!writer_) {
    auto writer = blobs_.create();
    if (!writer) return std::unexpected(error_of(writer.error()));
    writer_ = std::move(*writer);
  }
  if (auto appended = writer_->append(payload); !appended) return std::unexpected(error_of(appended.error()));
  return {};
}

S3Result<void> Upload::check_length() const {
  if (!spec_.open_ended) {
    return bytes_ == spec_.bytes ? S3Result<void>() : wire::s3_fail(S3Code::kIncompleteBody);
  }
  if (bytes_ >= spec_.bytes_min) return {};
  return wire::s3_fail(
      S3Code::kEntityTooSmall, {},
      {{"ProposedSize", std::to_string(bytes_)}, {"MinSizeAllowed", std::to_string(spec_.bytes_min)}});
}

S3Result<void> Upload::end_framing() {
  if (!decoder_) return {};
  auto trailers = decoder_->finish();
  if (!trailers) return refused(trailers.error());
  for (auto& [name, value] : *trailers) {
    const auto algorithm = codec::checksum_of_header(name);
    if (!algorithm || algorithm != spec_.checks.algorithm) {
      return wire::s3_fail(S3Code::kInvalidRequest, "The trailer is not the one that was announced.");
    }
    HR_TRY(wire::check_checksum_text(*algorithm, value));
    spec_.checks.checksum = std::move(value);
  }
  return {};
}

S3Result<void> Upload::check_digests(ByteView md5) {
  if (spec_.checks.md5 && *spec_.checks.md5 != md5) return wire::s3_fail(S3Code::kBadDigest);
  if (!sha256_) return {};
  const Bytes computed = to_hex(sha256_->finish());
  if (computed == *spec_.sha256) return {};
  return wire::s3_fail(
      S3Code::kXAmzContentSha256Mismatch, {},
      {{"ClientComputedContentSHA256", *spec_.sha256}, {"S3ComputedContentSHA256", computed}});
}

S3Result<std::optional<object::Checksum>> Upload::check_checksum() {
  if (!checksum_) return std::nullopt;
  const Bytes computed = checksum_->base64();
  if (spec_.checks.algorithm && computed != spec_.checks.checksum) {
    return std::unexpected(wire::checksum_mismatch(*spec_.checks.algorithm));
  }
  return object::Checksum{std::string(codec::to_string(checksum_->algorithm())), computed};
}

S3Result<Uploaded> Upload::finish() {
  HR_TRY(end_framing());
  HR_TRY(check_length());
  const Bytes md5 = md5_.finish();
  HR_TRY(check_digests(md5));
  Uploaded out;
  HR_ASSIGN(out.checksum, check_checksum());
  out.etag = to_hex(md5);
  out.bytes = bytes_;
  out.inline_body = std::move(inline_body_);
  if (!writer_) return out;
  auto name = writer_->commit();
  if (!name) return std::unexpected(error_of(name.error()));
  writer_.reset();
  out.blob = *name;
  return out;
}

}  // namespace hr::s3
