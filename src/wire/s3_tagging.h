// Tags of objects and buckets on the wire: the Tagging document, the x-amz-tagging header, and the rules both
// must keep ("Tagging objects" in the Amazon S3 User Guide). Pure.
#pragma once

#include "base/bytes.h"
#include "wire/s3_error.h"

#include <cstddef>
#include <map>
#include <string>

namespace hr::wire {

inline constexpr std::size_t kS3ObjectTagsMax = 10;
inline constexpr std::size_t kS3BucketTagsMax = 50;
inline constexpr std::size_t kS3TagKeyCharsMax = 128;
inline constexpr std::size_t kS3TagValueCharsMax = 256;

using S3Tags = std::map<std::string, std::string>;

// MalformedXML; InvalidTag: a key twice, too long, of other characters or AWS's own; BadRequest: too many.
S3Result<S3Tags> parse_tagging(ByteView xml, std::size_t tags_max);
// x-amz-tagging of an object: "a=b&c=d", encoded as a query. InvalidArgument where it is none.
S3Result<S3Tags> parse_tagging_header(std::string_view value);

// One tag, for documents that name some.
S3Result<void> check_tag(std::string_view key, std::string_view value);

Bytes write_tagging(const S3Tags& tags);

}  // namespace hr::wire
