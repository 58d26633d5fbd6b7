// The bytes of one object or part on their way in: the aws-chunked framing is taken off, every digest that
// was promised is computed, and the payload goes to memory (when it is small) or to a blob. Nothing counts
// before finish(): until then the blob has no name, and destroying the upload removes its file. Not tied to a
// thread; feed() and finish() may block when the payload goes to a blob.
#pragma once

#include "base/bytes.h"
#include "codec/aws_chunked.h"
#include "codec/digest.h"
#include "object/object.h"
#include "storage/blob/blob.h"
#include "wire/s3_error.h"
#include "wire/s3_headers.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace hr::s3 {

struct UploadSpec {
  std::uint64_t bytes = 0;  // of the payload; where that is open-ended, at most
  bool open_ended = false;
  std::uint64_t bytes_min = 0;  // of one that is: EntityTooSmall
  wire::S3BodyChecks checks;
  std::optional<Bytes> sha256;                               // that the body must have, hexadecimal
  std::optional<codec::ChunkedSpec> chunked;                 // none: the body is the payload
  std::uint64_t inline_bytes_max = object::kInlineBytesMax;  // larger payloads go to a blob
  // Computed though nobody promised a value, for who stores the payload; not beside checks.algorithm.
  std::optional<codec::ChecksumAlgorithm> also_compute;
};

struct Uploaded {
  std::string etag;  // MD5, hexadecimal
  std::uint64_t bytes = 0;
  std::optional<object::Checksum> checksum;
  Bytes inline_body;
  std::optional<storage::BlobName> blob;
};

class Upload {
 public:
  // `blobs` must outlive this.
  Upload(UploadSpec spec, storage::BlobStore& blobs);

  // The next bytes of the body as sent.
  wire::S3Result<void> feed(ByteView piece);
  // Its two halves, for two threads: keep() takes the framing off and stores the payload, which it gives back
  // as views into `piece`; digest() goes over the same, in the same order, beside the keep() of later pieces.
  wire::S3Result<std::vector<ByteView>> keep(ByteView piece);
  void digest(std::span<const ByteView> payload);
  // At the end of the body: every promise is checked, then the blob is committed.
  wire::S3Result<Uploaded> finish();

 private:
  wire::S3Result<void> store(ByteView payload);
  wire::S3Result<void> to_blob(ByteView payload);
  wire::S3Result<void> check_length() const;
  wire::S3Result<void> end_framing();
  wire::S3Result<void> check_digests(ByteView md5);
  wire::S3Result<std::optional<object::Checksum>> check_checksum();

  UploadSpec spec_;
  storage::BlobStore& blobs_;
  std::optional<codec::AwsChunkedDecoder> decoder_;
  codec::Md5 md5_;
  std::optional<codec::Sha256> sha256_;
  std::optional<codec::Checksummer> checksum_;
  std::uint64_t bytes_ = 0;
  Bytes inline_body_;
  std::unique_ptr<storage::BlobWriter> writer_;
};

}  // namespace hr::s3
