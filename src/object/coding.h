// How objects and buckets stand in the index, and their keys there.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "object/object.h"

namespace hr::object {

Bytes object_key(BucketId bucket, ByteView key);  // of Table::kObjects and Table::kBodies
ByteView key_in_bucket(ByteView object_key);      // the S3 key of an index key

Bytes encode(const Object& object);
Result<Object> decode_object(ByteView value);

Bytes encode(const Bucket& bucket);
Result<Bucket> decode_bucket(ByteView value);

}  // namespace hr::object
