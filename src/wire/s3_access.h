// The documents about who may come near a bucket, besides its policy: the public access block and the
// ownership controls. Pure.
#pragma once

#include "base/bytes.h"
#include "wire/s3_error.h"

#include <string_view>

namespace hr::wire {

struct S3AccessBlock {
  bool block_public_acls = false, ignore_public_acls = false;  // there are no ACLs here
  bool block_public_policy = false;                            // no policy that lets anybody in is taken
  bool restrict_public_buckets = false;                        // one that does lets the owner in only
  bool operator==(const S3AccessBlock&) const = default;
};
S3Result<S3AccessBlock> parse_access_block(ByteView xml);
Bytes write_access_block(const S3AccessBlock& block);

// BucketOwnerEnforced is the only one there is: NotImplemented.
S3Result<void> check_ownership(ByteView xml);
Bytes write_ownership();

Bytes write_policy_status(bool is_public);

}  // namespace hr::wire
