// S3's Signature Version 2 in a URL (AWSAccessKeyId, Expires, Signature; HMAC-SHA1), which older SDKs,
// Debian's boto3 among them, still make by default for presigned URLs. Both sides, pure.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "codec/header_field.h"
#include "codec/sigv4.h"

#include <expected>

namespace hr::codec {

struct V2Request {
  ByteView method;
  ByteView path;   // as sent, still encoded
  ByteView query;  // as sent, still encoded
  HeaderFields headers;
  ByteView host_bucket = {};  // the bucket, when the Host header names it (virtual-host style)
};

// `expires` is the text of the Expires parameter. x-amz-* parameters of the query count as headers, and so do
// content-type and content-md5 where the header is absent: SDKs put them there. kInvalid: a bad escape.
Result<Bytes> v2_string_to_sign(const V2Request& request, ByteView expires);

struct V2Verified {
  Bytes access_key;
  Time expires{};
};

// Unknown key and wrong signature have the same text and cost the same work, as in sigv4.h. The body is never
// covered. There is no upper limit to Expires in this scheme; `expires_max` refuses what lies further ahead.
std::expected<V2Verified, AuthError> verify_v2_presigned(
    const V2Request& request, const KeyLookup& lookup, Time now,
    Duration expires_max = std::chrono::seconds(604'800));

// The whole query, with the request's own in front.
Result<Bytes> presign_v2(const V2Request& request, const Credentials& credentials, Time expires);

}  // namespace hr::codec
