#include "s3/upload.h"

#include "codec/base64.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <optional>

namespace hr::s3 {
namespace {

using wire::S3Code;

// Blobs in memory, and what became of them.
struct MemoryBlobs : storage::BlobStore {
  Bytes stored;
  int open_writers = 0;
  int committed = 0;
  std::optional<Error> failure;  // of append() and commit()

  struct Writer : storage::BlobWriter {
    explicit Writer(MemoryBlobs& blobs) : owner(blobs) { ++owner.open_writers; }
    ~Writer() override { --owner.open_writers; }
    Status append(ByteView data) override {
      if (owner.failure) return std::unexpected(*owner.failure);
      written.append(data);
      return {};
    }
    Result<storage::BlobName> commit() override {
      ++owner.committed;
      owner.stored = written;
      return storage::BlobName{1, 1};
    }
    std::uint64_t bytes() const override { return written.size(); }
    MemoryBlobs& owner;
    Bytes written;
  };

  Result<std::unique_ptr<storage::BlobWriter>> create() override { return std::make_unique<Writer>(*this); }
  Result<std::unique_ptr<os::File>> open(const storage::BlobName&) const override {
    return fail(Errc::kUnsupported, "not in this test");
  }
  Status remove(const storage::BlobName&) override { return {}; }
  std::shared_ptr<void> pin(std::vector<storage::BlobName>) override { return {}; }
  std::shared_ptr<void> hold() override { return {}; }
  storage::BlobName next() const override { return {1, 2}; }
  Result<std::vector<storage::BlobName>> list(unsigned) const override { return {}; }
};

UploadSpec plain(std::uint64_t bytes) {
  UploadSpec spec;
  spec.bytes = bytes;
  return spec;
}

S3Code end_of(Upload& upload, ByteView body) {
  if (auto fed = upload.feed(body); !fed) return fed.error().code;
  const auto done = upload.finish();
  EXPECT_FALSE(done);
  return done ? S3Code::kAccessForbidden : done.error().code;
}

TEST(Upload, sixteen_kibibytes_stay_inline_and_one_more_byte_makes_a_blob) {
  for (const std::size_t size : {0UZ, 1UZ, 16384UZ, 16385UZ}) {
    MemoryBlobs blobs;
    const Bytes body(size, 'b');
    Upload upload(plain(size), blobs);
    ASSERT_TRUE(upload.feed(body));
    const auto done = upload.finish();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->etag, codec::md5_hex(body));
    EXPECT_EQ(done->blob.has_value(), size > 16384);
    EXPECT_EQ(done->blob ? blobs.stored : done->inline_body, body);
  }
}

TEST(Upload, a_body_that_is_too_short_or_too_long_leaves_nothing) {
  MemoryBlobs blobs;
  {
    Upload upload(plain(20'000), blobs);
    EXPECT_EQ(end_of(upload, Bytes(19'999, 'x')), S3Code::kIncompleteBody);
    EXPECT_EQ(blobs.open_writers, 1);
  }
  Upload longer(plain(10), blobs);
  EXPECT_EQ(longer.feed(Bytes(11, 'x')).error().code, S3Code::kIncompleteBody);
  EXPECT_EQ(blobs.open_writers, 0);
  EXPECT_EQ(blobs.committed, 0);
}

TEST(Upload, a_wrong_digest_is_refused_before_the_blob_is_committed) {
  MemoryBlobs blobs;
  const Bytes body(20'000, 'x');
  auto spec = plain(body.size());
  spec.checks.md5 = codec::md5("other");
  Upload by_md5(spec, blobs);
  EXPECT_EQ(end_of(by_md5, body), S3Code::kBadDigest);

  spec = plain(body.size());
  spec.sha256 = codec::sha256_hex("other");
  Upload by_sha(spec, blobs);
  EXPECT_EQ(end_of(by_sha, body), S3Code::kXAmzContentSha256Mismatch);

  spec = plain(body.size());
  spec.checks.algorithm = codec::ChecksumAlgorithm::kCrc32;
  spec.checks.checksum = "AAAAAA==";
  Upload by_crc(spec, blobs);
  EXPECT_EQ(end_of(by_crc, body), S3Code::kBadDigest);
  EXPECT_EQ(blobs.committed, 0);
}

TEST(Upload, a_verified_checksum_is_kept) {
  MemoryBlobs blobs;
  for (const auto algorithm : {codec::ChecksumAlgorithm::kCrc32, codec::ChecksumAlgorithm::kCrc32c,
                               codec::ChecksumAlgorithm::kCrc64Nvme, codec::ChecksumAlgorithm::kSha1,
                               codec::ChecksumAlgorithm::kSha256}) {
    codec::Checksummer sum(algorithm);
    sum.update("body");
    auto spec = plain(4);
    spec.checks.algorithm = algorithm;
    spec.checks.checksum = sum.base64();
    Upload upload(spec, blobs);
    ASSERT_TRUE(upload.feed("body"));
    const auto done = upload.finish();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->checksum, (object::Checksum{std::string(codec::to_string(algorithm)), sum.base64()}));
  }
}

UploadSpec unsigned_trailer(std::uint64_t bytes) {
  UploadSpec spec = plain(bytes);
  spec.checks.algorithm = codec::ChecksumAlgorithm::kCrc32;
  spec.checks.trailers = {"x-amz-checksum-crc32"};
  spec.chunked = codec::ChunkedSpec{.mode = codec::PayloadMode::kStreamingUnsignedTrailer,
                                    .decoded_length = bytes,
                                    .trailers = spec.checks.trailers,
                                    .key = {},
                                    .scope = {},
                                    .amz_date = {},
                                    .seed_signature = {}};
  return spec;
}

std::string framed(std::string_view body, std::string_view crc) {
  return fmt::format("{:x}\r\n{}\r\n0\r\nx-amz-checksum-crc32:{}\r\n\r\n", body.size(), body, crc);
}

std::string crc_of(std::string_view body) {
  codec::Checksummer sum(codec::ChecksumAlgorithm::kCrc32);
  sum.update(body);
  return sum.base64();
}

TEST(Upload, the_framing_of_aws_chunked_is_taken_off_in_pieces_of_any_size) {
  const std::string wire = framed("hello", crc_of("hello"));
  for (std::size_t step = 1; step <= wire.size(); ++step) {
    MemoryBlobs blobs;
    Upload upload(unsigned_trailer(5), blobs);
    for (std::size_t at = 0; at < wire.size(); at += step) {
      ASSERT_TRUE(upload.feed(std::string_view(wire).substr(at, step)));
    }
    const auto done = upload.finish();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->inline_body, "hello");
    EXPECT_EQ(done->checksum->value, crc_of("hello"));
  }
}

TEST(Upload, what_is_digested_after_later_pieces_are_kept_is_the_same) {
  const Bytes body(20'000, 'b');
  const std::string wire = framed(body, crc_of(body));
  MemoryBlobs blobs;
  Upload upload(unsigned_trailer(body.size()), blobs);
  std::vector<std::vector<ByteView>> undigested;
  for (std::size_t at = 0; at < wire.size(); at += 3'000) {
    auto kept = upload.keep(std::string_view(wire).substr(at, 3'000));
    ASSERT_TRUE(kept);
    undigested.push_back(std::move(*kept));
    if (undigested.size() > 1) upload.digest(undigested[undigested.size() - 2]);
  }
  upload.digest(undigested.back());
  const auto done = upload.finish();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->etag, codec::md5_hex(body));
  EXPECT_EQ(done->checksum->value, crc_of(body));
  EXPECT_EQ(blobs.stored, body);
}

TEST(Upload, a_trailer_that_lies_or_is_missing_is_refused) {
  MemoryBlobs blobs;
  Upload lying(unsigned_trailer(5), blobs);
  EXPECT_EQ(end_of(lying, framed("hello", crc_of("other"))), S3Code::kBadDigest);
  Upload garbled(unsigned_trailer(5), blobs);
  EXPECT_EQ(end_of(garbled, framed("hello", "???")), S3Code::kInvalidRequest);
  Upload missing(unsigned_trailer(5), blobs);
  EXPECT_EQ(end_of(missing, "5\r\nhello\r\n0\r\n\r\n"), S3Code::kInvalidRequest);
  Upload cut(unsigned_trailer(5), blobs);
  EXPECT_EQ(end_of(cut, "5\r\nhel"), S3Code::kIncompleteBody);
  Upload short_of(unsigned_trailer(6), blobs);
  EXPECT_EQ(end_of(short_of, framed("hello", crc_of("hello"))), S3Code::kIncompleteBody);
}

TEST(Upload, a_full_disk_is_an_answer) {
  MemoryBlobs blobs;
  blobs.failure = Error{Errc::kNoSpace, "blob.write: no space"};
  Upload upload(plain(20'000), blobs);
  EXPECT_EQ(upload.feed(Bytes(20'000, 'x')).error().code, S3Code::kServiceUnavailable);
}

}  // namespace
}  // namespace hr::s3
