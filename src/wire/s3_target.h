// What a request is about: bucket, key and parameters, from the Host header and the request target. A key is
// the path's bytes, percent-decoded once and never normalised: "a//b", "a/../b" and "%2e%2e" are just keys.
// Our rules within AWS's: a key is UTF-8 without NUL (nginx, which may stand in front, refuses %00), and no
// bucket begins with '_' (AWS allows no such name either), so that /_headrace/ is never one.
#pragma once

#include "codec/uri.h"
#include "wire/s3_error.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace hr::wire {

inline constexpr std::size_t kS3KeyBytesMax = 1024;

struct S3Target {
  std::string bucket;  // empty: the service itself
  std::string key;     // empty: the bucket itself
  codec::Pairs query;
  std::string_view path;       // as sent, for signatures and the error's Resource; views into the target
  std::string_view raw_query;  // as sent
  bool bucket_in_host = false;
};

// `domains`: hosts whose subdomains are buckets ("localhost": photos.localhost). Any other host means path
// style. InvalidURI, KeyTooLongError; whether the bucket's name may exist is check_bucket_name's business.
S3Result<S3Target> parse_s3_target(std::string_view target, std::string_view host,
                                   std::span<const std::string> domains);

// x-amz-copy-source: "/BUCKET/KEY?versionId=ID", percent-encoded, the slash in front and the version
// optional. InvalidArgument.
struct S3CopySource {
  std::string bucket, key;
  std::optional<std::string> version{};
};
S3Result<S3CopySource> parse_copy_source(std::string_view value);

// AWS's "General purpose bucket naming rules". Also for reading: an invalid name is InvalidBucketName.
S3Result<void> check_bucket_name(std::string_view name);

S3Result<void> check_key(std::string_view key);  // 1 to 1,024 bytes of UTF-8 without NUL

}  // namespace hr::wire
