#include "s3/request.h"

#include "codec/digest.h"
#include "s3/policy.h"
#include "wire/s3_headers.h"

#include <utility>

namespace hr::s3 {

using wire::S3Code;
using wire::S3Error;
using wire::S3Result;

net::Task<S3Result<std::optional<Bytes>>> read_index(const Services& services, storage::Table table,
                                                     Bytes key) {
  auto value = services.index.get(table, key, storage::Patience::kMemory);
  if (!value && value.error().code == Errc::kBusy) {
    const storage::Index& index = services.index;
    value = co_await services.runtime.on_pool(
        [&index, table, key = std::move(key)] { return index.get(table, key, storage::Patience::kAny); });
  }
  if (!value) {
    services.diary.error("s3.index_read_failed", {{"reason", value.error().message}});
    co_return std::unexpected(error_of(value.error()));
  }
  co_return std::move(*value);
}

S3Error error_of(const Error& error) {
  switch (error.code) {
    case Errc::kNoSpace:
      return {S3Code::kServiceUnavailable, "The store has no space left: only deletes are taken.", {}};
    case Errc::kBusy:
      return {S3Code::kSlowDown, {}, {}};
    case Errc::kUnavailable:
    case Errc::kClosed:
      return {S3Code::kServiceUnavailable, {}, {}};
    default:
      return {S3Code::kInternalError, {}, {}};
  }
}

namespace {

S3Result<const object::Bucket*> find_bucket(Services& services, const Request& request,
                                            const std::string& name) {
  HR_TRY(wire::check_bucket_name(name));
  const object::Bucket* bucket = services.store.objects().bucket(name);
  if (bucket) return bucket;
  if (request.identity.account.empty()) return wire::s3_fail(S3Code::kAccessDenied);
  return wire::s3_fail(S3Code::kNoSuchBucket, {}, {{"BucketName", name}});
}

S3Result<void> check_owner(const Request& request, const object::Bucket& bucket, std::string_view header) {
  const auto expected = wire::header(request.headers, header);
  if (expected && *expected != bucket.account) return wire::s3_fail(S3Code::kAccessDenied);
  return {};
}

}  // namespace

S3Result<const object::Bucket*> own_bucket(Services& services, const Request& request) {
  HR_ASSIGN(const object::Bucket* bucket, find_bucket(services, request, request.target.bucket));
  HR_TRY(may(services, request, *bucket));
  HR_TRY(check_owner(request, *bucket, "x-amz-expected-bucket-owner"));
  return bucket;
}

S3Result<const object::Bucket*> source_bucket(Services& services, const Request& request,
                                              const wire::S3CopySource& source) {
  HR_ASSIGN(const object::Bucket* bucket, find_bucket(services, request, source.bucket));
  HR_TRY(may(services, request, *bucket, source.version ? "GetObjectVersion" : "GetObject", source.key));
  HR_TRY(check_owner(request, *bucket, "x-amz-source-expected-bucket-owner"));
  return bucket;
}

net::Task<S3Result<std::string>> read_small_body(const Services& services, Request& request) {
  return read_small_body(request, services.limits.small_body_bytes_max);
}

net::Task<S3Result<std::string>> read_small_body(Request& request, std::size_t bytes_max) {
  std::string body;
  if (request.body.content_length() != 0) {
    auto read = co_await request.body.read_all(bytes_max);
    if (!read) {
      if (read.error().code == Errc::kLimit) co_return wire::s3_fail(S3Code::kMaxMessageLengthExceeded);
      if (read.error().code == Errc::kTimeout) co_return wire::s3_fail(S3Code::kRequestTimeout);
      co_return wire::s3_fail(S3Code::kIncompleteBody);
    }
    body = std::move(*read);
  }
  if (request.payload == codec::PayloadMode::kSha256) {
    const Bytes computed = body.empty() ? Bytes(codec::kEmptySha256) : codec::sha256_hex(body);
    if (computed != request.body_sha256) {
      co_return wire::s3_fail(
          S3Code::kXAmzContentSha256Mismatch, {},
          {{"ClientComputedContentSHA256", request.body_sha256}, {"S3ComputedContentSHA256", computed}});
    }
  }
  co_return body;
}

net::Task<S3Result<std::string>> read_checked_body(const Services& services, Request& request) {
  auto body = co_await read_small_body(services, request);
  if (!body) co_return body;
  const auto checks = wire::parse_body_checks(request.headers);
  if (!checks) co_return std::unexpected(checks.error());
  if (checks->md5 && *checks->md5 != codec::md5(*body)) co_return wire::s3_fail(S3Code::kBadDigest);
  if (checks->algorithm) {
    codec::Checksummer sum(*checks->algorithm);
    sum.update(*body);
    if (sum.base64() != checks->checksum) {
      co_return std::unexpected(wire::checksum_mismatch(*checks->algorithm));
    }
  }
  co_return body;
}

net::Response empty_response(int status) {
  net::Response response;
  response.status = status;
  return response;
}

net::Response xml_response(Bytes document) {
  net::Response response = empty_response(200);
  response.body = std::move(document);
  response.headers.add("Content-Type", "application/xml");
  return response;
}

}  // namespace hr::s3
